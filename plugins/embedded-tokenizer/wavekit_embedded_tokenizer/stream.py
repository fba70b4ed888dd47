"""Images to the entries of a stream and back, at a quality, a rate, or a distance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wavekit_core.errors import DamagedError
from wavekit_embedded_tokenizer import codec
from wavekit_embedded_tokenizer.container import Entry, check_memory
from wavekit_embedded_tokenizer.photo import MODES, Coding, coefficients, levels_for, pixels_of

Pixels = NDArray[np.uint8]
QUALITIES = {"draft": 6, "good": 4, "high": 2}  # log2 T_f, in grey levels
FINEST = -4  # log2 T_f that no image of 8 bits needs less than


@dataclass(frozen=True)
class Target:
    """What is wanted of an image: `limit` bytes at most, and no more than reach `psnr` dB; without either, all planes to T_f."""

    quality: str = "good"
    lossless: bool = False
    limit: int | None = None
    psnr: float | None = None
    wavelet: str = "bior4.4"


def encoded(pixels: Pixels, target: Target, mode: str = MODES[1]) -> Entry:
    """8-bit pixels (H, W) or (H, W, 3) to an entry. Raises ResourceError where memory does not suffice."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else 3
    how = Coding(height, width, channels, levels_for(height, width), target.wavelet, mode, target.lossless)
    check_memory(how)
    values = coefficients(pixels, how)
    if target.lossless:
        lowest = 0
    elif target.psnr is not None:
        error = 255 / 10 ** (target.psnr / 20)  # root mean square
        lowest = max(FINEST, math.floor(math.log2(max(error, 1e-3))))
    else:
        lowest = QUALITIES[target.quality] if target.limit is None else FINEST
    while True:
        made = codec.encode(values, 2.0**lowest, how.layout, target.limit)
        entry = Entry(how, lowest, made.top, made.whole, made.data, len(made.data))
        if target.psnr is None:
            return entry
        if made.whole and lowest > FINEST and not target.lossless and psnr(decoded(entry), pixels) < target.psnr:
            lowest -= 1
            continue
        return _shortest(entry, pixels, target.psnr)


def _shortest(entry: Entry, pixels: Pixels, wanted: float) -> Entry:
    """The fewest bytes that reach `wanted` dB, if any do."""
    low, high = -1, len(entry.payload)  # the first does not reach it, the second does, or nothing does
    while high - low > 1:
        middle = (low + high) // 2
        if psnr(decoded(prefix(entry, middle)), pixels) >= wanted:
            high = middle
        else:
            low = middle
    return prefix(entry, high)


def prefix(entry: Entry, length: int) -> Entry:
    """The entry with the first bytes of its payload only."""
    whole = entry.whole and length == len(entry.payload)
    return replace(entry, payload=entry.payload[:length], length=length, whole=whole)


def decoded(entry: Entry) -> Pixels:
    """Pixels (H, W) or (H, W, 3). Raises DamagedError if the bytes are no stream of this image, ResourceError for too little
    memory."""
    found = tokens_of(entry)
    return pixels_of(found.known, found.sign, entry.threshold, entry.how)


def tokens_of(entry: Entry, tokens: int = 0, traced: int = 0) -> codec.Decoded:
    """The tokens of an entry, as `codec.decode` gives them. Raises as `decoded`."""
    check_memory(entry.how)
    whole = entry.whole and not entry.cut
    found = codec.decode(entry.payload, entry.top, entry.how.layout, whole, tokens, traced)
    if found.damaged:
        raise DamagedError("its data do not end where its image does; take an undamaged copy")
    return found


def psnr(one: Pixels, other: Pixels) -> float:
    """dB, over all channels; infinite for equal images."""
    error = float(np.mean((one.astype(np.float32) - other) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf
