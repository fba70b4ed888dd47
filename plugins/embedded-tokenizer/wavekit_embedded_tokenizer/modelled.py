"""Streams whose probabilities are a trained model's: `wavekit encode --model RUN`.

The tokens of the run's own tokenizer are coded one after another, with what the model says of each among the legal ones. To
decode, the model is asked the same again, and must answer the same to the last digit: so a stream names the model and what its
digits depend on, and is refused elsewhere. Encoding and decoding are one drawing of a sequence (`wavekit_core.tokens`), whose
tokens are not chosen but known or read.

    file    magic 4s "WKM1", length of the header u32, the header, its CRC-32 u32; payloads in turn; little-endian
    header  JSON: `Header`
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from wavekit_core.compiled import compiled
from wavekit_core.data.files import open_regular, shown
from wavekit_core.errors import DamagedError, DataError, RecipeError
from wavekit_core.kinds import Autoregressive
from wavekit_core.opened import OpenRun
from wavekit_core.pictures import levels
from wavekit_core.runs.facts import arithmetic
from wavekit_core.tokens.writing import write
from wavekit_embedded_tokenizer import rangecoder
from wavekit_embedded_tokenizer.container import MOST_IMAGES
from wavekit_embedded_tokenizer.language import END
from wavekit_embedded_tokenizer.rangecoder import EXHAUSTED, PLACE, code_with
from wavekit_embedded_tokenizer.stream import Pixels, psnr
from wavekit_embedded_tokenizer.tokenizer import EmbeddedTokenizer

MAGIC = b"WKM1"
_LENGTH, _SUM = struct.Struct("<4sI"), struct.Struct("<I")
MOST_HEADER = 1 << 24
Checksum = Annotated[int, Field(ge=0, lt=1 << 32)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", max_length=200)]


class Image(BaseModel):
    """An image of a file: bytes and CRC-32 of its payload; whether that is `whole`, not cut when it was written; the CRC-32 of
    the tokens that it determines, a byte each, filled up with ends."""

    model_config = ConfigDict(strict=True, extra="forbid")

    bytes: Annotated[int, Field(ge=0, lt=1 << 40)]
    crc32: Checksum
    whole: bool
    tokens: Checksum


class Header(BaseModel):
    """`model`: SHA-256 of weights and recipe; what else the digits of its probabilities depend on; the images."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: Sha256
    torch: Line
    device: Line
    threads: Annotated[int, Field(ge=1, le=4096)]
    processor: Line
    images: Annotated[list[Image], Field(min_length=1, max_length=MOST_IMAGES)]


@dataclass(frozen=True)
class Entry:
    """One image: its payload, or what is there of it."""

    image: Image
    payload: bytes

    @property
    def length(self) -> int:
        """Bytes of the payload in the file that was written."""
        return self.image.bytes

    @property
    def cut(self) -> bool:
        """Whether the end of the payload has been lost since it was written."""
        return len(self.payload) < self.length

    @property
    def whole(self) -> bool:
        return self.image.whole and not self.cut


def is_modelled(path: Path) -> bool:
    """Whether a file is such a stream. Raises DataError for no regular file."""
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read ({os.strerror(error.errno or 0)}); check the disk") from error


def written(facts: dict[str, Any], entries: list[Entry]) -> bytes:
    """The file. `facts` as `ModelCoder.facts` gives them."""
    head = Header(**facts, images=[entry.image for entry in entries]).model_dump_json().encode()
    head = _LENGTH.pack(MAGIC, len(head)) + head
    return head + _SUM.pack(zlib.crc32(head)) + b"".join(entry.payload for entry in entries)


def opened(path: Path, partial: bool) -> tuple[Header, list[Entry]]:
    """A file's header and images. With `partial`, it may end anywhere behind its header. Raises DamagedError for anything that
    `written` does not write."""
    try:
        with open_regular(path) as file:
            return _read(file, partial)
    except DamagedError as error:
        raise DamagedError(f"{shown(path)}: {error}") from None


def _read(file: BinaryIO, partial: bool) -> tuple[Header, list[Entry]]:
    size = os.fstat(file.fileno()).st_size
    begin = file.read(_LENGTH.size)
    if begin[: len(MAGIC)] != MAGIC:
        raise DamagedError("does not begin with WKM1, so it is no stream coded with a model")
    length = _LENGTH.unpack(begin)[1] if len(begin) == _LENGTH.size else size
    left = size - _LENGTH.size - length - _SUM.size
    if left < 0:
        raise DamagedError("ends within its header; nothing can be read of it")
    if length > MOST_HEADER:
        raise DamagedError("its header has values that no stream has; take an undamaged copy")
    text = file.read(length)
    if file.read(_SUM.size) != _SUM.pack(zlib.crc32(begin + text)):
        raise DamagedError("the checksum of its header is wrong; take an undamaged copy")
    try:
        head = Header.model_validate_json(text)
    except ValidationError:
        raise DamagedError("its header has values that no stream has; take an undamaged copy") from None
    entries = []
    for image in head.images:
        entry = Entry(image, file.read(min(image.bytes, left)))
        left -= len(entry.payload)
        if not entry.cut and zlib.crc32(entry.payload) != image.crc32:
            raise DamagedError("the checksum of its data is wrong; take an undamaged copy")
        entries.append(entry)
    if left:
        raise DamagedError(f"goes on for {left} bytes behind its end; take an undamaged copy")
    if not partial and any(entry.cut for entry in entries):
        raise DamagedError("is cut; see what is left of it with --partial")
    return head, entries


class ModelCoder:
    """Codes images with a trained run. Raises RecipeError for a run whose model writes no embedded tokens."""

    def __init__(self, run: OpenRun):
        model = run.model
        tokenizer = model.transforms[-1] if len(model.transforms) else None
        if not isinstance(model.generator, Autoregressive) or not isinstance(tokenizer, EmbeddedTokenizer):
            raise RecipeError(
                f"{run.folder.path}: its model does not write embedded tokens; give a run of one that does"
            )
        self.run, self.pipeline, self.generator = run, model, model.generator
        self.space = run.session.space
        self.facts = {"model": digest(run), **arithmetic(run.session.device)}

    def require(self, head: Header) -> None:
        """Raises RecipeError if a stream was coded with another model, or where its digits may differ."""
        if head.model != self.facts["model"]:
            raise RecipeError(
                f"it was coded with the model {head.model[:12]}, and that of {self.run.folder.path} is "
                f"{self.facts['model'][:12]}; give the run that it was coded with, and --at its checkpoint"
            )
        for name, here in self.facts.items():
            if (there := getattr(head, name)) != here:
                raise RecipeError(
                    f"it was coded with {name} {there}, and here it is {here}: the model's last digits would differ, and with "
                    "them the tokens; decode it where it was encoded"
                )

    def encode(self, pixels: Pixels, limit: int | None = None, reach: float | None = None) -> Entry:
        """8-bit pixels (H, W) or (H, W, 3): all tokens, cut after `limit` bytes, or where `reach` dB are reached.

        Raises RecipeError for images that the model does not know, and where `reach` is not reached by its tokens; DataError for
        coefficients that its tokenizer has no plane for.
        """
        tokens = self.pipeline.represent(self._images(pixels).to(self.run.session.device)).cpu()
        coder = _Coder(tokens[0])
        self._walk(coder)
        payload = coder.finish()
        if reach is not None:
            written = coder.ends[
                self._enough(tokens, pixels, reach) - 1
            ]  # bytes; what follows is still to be told from others
            for size in range(written, len(payload)):
                cut = _entry(payload[:size], tokens, whole=False)
                found = self._tokens(cut)
                if psnr(self._pixels(found), self._shown(pixels)) >= reach:
                    return _entry(cut.payload, found, whole=False)
        elif limit is not None and limit < len(payload):
            cut = _entry(payload[:limit], tokens, whole=False)
            return _entry(cut.payload, self._tokens(cut), whole=False)
        return _entry(payload, tokens, whole=True)

    def tokens(self, entry: Entry) -> Tensor:
        """(1, length): the tokens that the bytes of an entry determine. Raises DamagedError if they are none of this model, or
        not those that were written."""
        tokens = self._tokens(entry)
        if not entry.cut and _checksum(tokens) != entry.image.tokens:
            raise DamagedError("the tokens that are read are not those that were written; take an undamaged copy")
        return tokens

    def _tokens(self, entry: Entry) -> Tensor:
        coder = _Coder(None, entry.payload, partial=not entry.whole)
        tokens = torch.full((1, self.generator.space.length), END)
        damaged = False
        try:
            self._walk(coder)
            damaged = coder.misses_end
        except _Ended as ended:
            damaged = ended.reason == EXHAUSTED
        if damaged:
            raise DamagedError("its data do not end where its image does; take an undamaged copy")
        if coder.told is not None:
            tokens[:, : coder.place] = coder.told[:, : coder.place]
        return tokens

    def decode(self, entry: Entry) -> Pixels:
        """Pixels (H, W) or (H, W, 3). Raises as `tokens`."""
        return self._pixels(self.tokens(entry))

    @torch.no_grad()
    def _walk(self, coder: _Coder) -> None:
        write(self.generator, coder.choose, 1, None, self.generator.space.length, callback=coder.tell)

    def _images(self, pixels: Pixels) -> Tensor:
        """(1, C, H, W) of the model's data."""
        space, channels = self.space, 1 if pixels.ndim == 2 else 3
        fits = pixels.shape[:2] == (space.height, space.width) and (channels, space.channels) in (
            (1, 1),
            (1, 3),
            (3, 3),
        )
        if not fits:
            kinds = {1: "grey", 3: "RGB"}
            raise RecipeError(
                f"is {pixels.shape[0]}×{pixels.shape[1]}, {kinds[channels]}, and the model knows images of "
                f"{space.height}×{space.width}, {kinds.get(space.channels, f'{space.channels} channels')}; bring it to that form"
            )
        planes = torch.from_numpy(np.ascontiguousarray(self._shown(pixels)))
        planes = planes[None] if planes.ndim == 2 else planes.permute(2, 0, 1)
        return (planes.float() / 255 * (space.high - space.low) + space.low)[None]

    def _shown(self, pixels: Pixels) -> Pixels:
        """Grey in as many channels as the model has."""
        return np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 and self.space.channels == 3 else pixels

    @torch.no_grad()
    def _pixels(self, tokens: Tensor) -> Pixels:
        image = levels(self.pipeline.invert(tokens.to(self.run.session.device)), self.space)[0]
        return image[0] if len(image) == 1 else np.ascontiguousarray(np.moveaxis(image, 0, 2))

    def _enough(self, tokens: Tensor, pixels: Pixels, reach: float) -> int:
        """How many tokens reach a PSNR."""
        wanted = self._shown(pixels)
        places = torch.arange(tokens.shape[1])
        low, high = 0, int((tokens != END).sum())
        if (best := psnr(self._pixels(tokens), wanted)) < reach:
            raise RecipeError(f"{reach:g} dB is not reached, {best:.2f} dB is: the model's tokens are no finer")
        while high - low > 1:
            middle = (low + high) // 2
            if psnr(self._pixels(torch.where(places < middle, tokens, END)), wanted) >= reach:
                high = middle
            else:
                low = middle
        return high


def digest(run: OpenRun) -> str:
    """SHA-256 of what a run's model is: transforms and generator of its recipe, and the weights that it draws with."""
    plain = run.session.recipe.plain()
    total = hashlib.sha256(json.dumps([plain["transform"], plain["generator"]], sort_keys=True).encode())
    for name, tensor in sorted(run.model.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        total.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        total.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _entry(payload: bytes, tokens: Tensor, whole: bool) -> Entry:
    image = Image(bytes=len(payload), crc32=zlib.crc32(payload), whole=whole, tokens=_checksum(tokens))
    return Entry(image, payload)


def _checksum(tokens: Tensor) -> int:
    return zlib.crc32(bytes(tokens[0].tolist()))


class _Ended(Exception):
    """The bytes say no more; `reason` as in `rangecoder`."""

    def __init__(self, reason: int):
        super().__init__(reason)
        self.reason = reason


class _Coder:
    """Says the next token of one sequence: of the `sequence` (length,) that is written into bytes, or read from `data`."""

    def __init__(self, sequence: Tensor | None, data: bytes = b"", partial: bool = False):
        self.sequence = sequence
        self.data = (
            np.frombuffer(data, np.uint8).copy() if sequence is None else np.zeros(64 + 4 * len(sequence), np.uint8)
        )
        self.partial = partial
        self.state = np.zeros(10, np.int64)
        if not rangecoder.start(self.state, self.data, partial, sequence is None):
            raise DamagedError("its data begin as no stream does; take an undamaged copy")
        self.told: Tensor | None = None
        self.place = 0  # of the next token
        self.ends: list[int] = []  # for each token, the bytes written when it was coded

    def choose(self, log_odds: Tensor) -> Tensor:
        """(1,): the token, for log-odds (1, V), -inf for what is not legal."""
        odds = log_odds[0].double().cpu()
        shares = torch.where(odds.isinf(), 0, (odds.softmax(0) * (1 << 31)).long().clamp(min=1)).numpy()
        wanted = 0 if self.sequence is None else int(self.sequence[self.place])
        token = int(_symbol(self.sequence is None, wanted, shares, self.state, self.data))
        if token < 0:
            raise _Ended(token)
        return torch.tensor([token])

    def tell(self, *told: Any) -> None:
        """After each token, with all so far last."""
        self.told, self.place = told[-1], self.place + 1
        self.ends.append(int(self.state[PLACE]))

    def finish(self) -> bytes:
        return self.data[: int(rangecoder.finish(self.state, self.data))].tobytes()

    @property
    def misses_end(self) -> bool:
        """Whether the bytes do not end where the sequence that was read does."""
        read = rangecoder.length_read(self.state)
        return bool(len(self.data) > read if self.partial else len(self.data) != read)


@compiled
def _symbol(decoding, wanted, shares, coder, data):  # type: ignore[no-untyped-def]
    """Write the token `wanted`, or read one, as decisions "is it this one" among those with a share; or why it ends."""
    left = shares.sum()
    last = 0
    for token in range(len(shares)):
        if shares[token] > 0:
            last = token
    for token in range(len(shares)):
        if shares[token] == 0:
            continue
        if token == last:
            return token
        p1 = min(max(int(shares[token] * 65536 // left), 1), 65535)
        bit = code_with(decoding, int(token == wanted), p1, coder, data)
        if bit < 0:
            return bit
        if bit:
            return token
        left -= shares[token]
    return last
