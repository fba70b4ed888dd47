"""A folder of .npy shards, for sets that are larger than memory: `wavekit data pack` writes it, `shards` reads it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wavekit_core.data.array_images import ArrayImages, array_split, view_space
from wavekit_core.data.files import open_regular, shown
from wavekit_core.data.fit import Fit
from wavekit_core.data.npy_file import NpyFile
from wavekit_core.data.views import View
from wavekit_core.errors import DataError
from wavekit_core.kinds.dataset import Dataset

INDEX = "shards.json"
FORM = 1
INDEX_LIMIT = 2**28
_STRICT = ConfigDict(strict=True, extra="forbid")
_SHA256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Length = Annotated[int, Field(ge=1, le=65_536)]


class Shard(BaseModel):
    """One shard: so many images, of which the last `held_out` are held out, and the SHA-256 of its files."""

    model_config = _STRICT

    count: Annotated[int, Field(ge=1)]
    held_out: Annotated[int, Field(ge=0)]
    images: _SHA256
    labels: _SHA256 | None


class Index(BaseModel):
    """What `shards.json` says. `source` is only for people."""

    model_config = _STRICT

    form: int
    shape: tuple[_Length, _Length, _Length]
    classes: list[str]
    source: str
    shards: Annotated[list[Shard], Field(min_length=1, max_length=100_000)]


def image_file(number: int) -> str:
    return f"images-{number:05d}.npy"


def label_file(number: int) -> str:
    return f"labels-{number:05d}.npy"


class Shards(Dataset):
    """Images (C, H, W) in [0, 1] from `images-00000.npy`, `images-00001.npy`, … (n, C, H, W) uint8, with `labels-00000.npy`, …
    (n,) int64 if there are classes, and `shards.json`, which lists them.

    A batch reads the bytes of its images and no others, by place, so the files may be larger than memory. Held out: the last
    so many images of every shard that `shards.json` says. `size`, `fit`, `random_crops`, `flip` as for `CifarBinary`.

    The constructor checks headers and lengths; the digest is that of the digests in `shards.json`, and `wavekit data check`
    compares them with the files. Raises `DataError` naming the file.
    """

    def __init__(
        self,
        path: Annotated[str, Field(min_length=1)],
        size: Annotated[int, Field(ge=1, le=4096)] | None = None,
        fit: Fit = "resize-crop",
        random_crops: bool = False,
        flip: bool = False,
    ):
        view = View(size, fit, random_crops, flip)
        self._path = Path(path)
        self.index = _read_index(self._path / INDEX)
        shape = self.index.shape
        self.classes = tuple(self.index.classes)
        self._files = [self._opened(image_file(i), (s.count, *shape)) for i, s in enumerate(self.index.shards)]
        labels = self._labels() if self.classes else None
        counts = np.array([shard.count for shard in self.index.shards])
        self._ends = np.cumsum(counts)
        place = np.concatenate([np.arange(count, 0, -1) for count in counts])  # 1 for the last of its shard
        chosen = place <= np.repeat([shard.held_out for shard in self.index.shards], counts)
        for part, what in ((~chosen, "for training"), (chosen, "held out")):
            if not part.any():
                raise DataError(f"{shown(path)}: no image is {what}; pack a set that has both parts")
        self._identity = f"shards size={size} fit={fit}"
        images = ArrayImages(shown(path), self._image, view)
        self.space = view_space(shape, view)
        self.train, self.held_out = (
            array_split(images, shape, view, np.flatnonzero(part), labels) for part in (~chosen, chosen)
        )

    def digest(self) -> str:
        """Over the parameters, what `shards.json` says of each file, and the files' sizes."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        said = self.index.model_dump(exclude={"source"})
        sizes = [file.size for file in self._files]
        return hashlib.sha256(json.dumps([self._identity, said, sizes], sort_keys=True).encode()).hexdigest()

    def changed(self, advance: Callable[[int], None]) -> list[str]:
        """The files whose content is not what `shards.json` says, each with the reason. Reads all of them; `advance` is told how
        many shards are done."""
        faults = []
        for number, shard in enumerate(self.index.shards):
            for name, said in ((image_file(number), shard.images), (label_file(number), shard.labels)):
                if said is not None and _sha256(self._path / name) != said:
                    faults.append(f"{shown(self._path / name)}: its content is not what {INDEX} says (SHA-256 differs)")
            advance(number + 1)
        return faults

    def _opened(self, name: str, shape: tuple[int, ...]) -> NpyFile:
        file = NpyFile(self._path / name)
        if file.shape != shape or (len(shape) > 1 and file.dtype != np.uint8):
            raise DataError(
                f"{shown(self._path / name)}: holds {'×'.join(map(str, file.shape))} {file.dtype}, and {INDEX} says "
                f"{'×'.join(map(str, shape))}; it is another file; pack the set again"
            )
        return file

    def _labels(self) -> NDArray[np.integer]:
        parts = [self._opened(label_file(i), (s.count,)).read() for i, s in enumerate(self.index.shards)]
        labels = np.concatenate(parts)
        if labels.min() < 0 or labels.max() >= len(self.classes):
            raise DataError(
                f"{shown(self._path)}: labels from {labels.min()} to {labels.max()} for {len(self.classes)} classes; "
                "pack the set again"
            )
        return labels

    def _image(self, number: int) -> NDArray[np.uint8]:
        shard = int(np.searchsorted(self._ends, number, side="right"))
        first = self._ends[shard] - self.index.shards[shard].count
        return self._files[shard].item(int(number - first)).view(np.uint8)


def _read_index(path: Path) -> Index:
    """Raises `DataError`."""
    with open_regular(path) as file:
        content = file.read(INDEX_LIMIT + 1)
    try:
        if len(content) > INDEX_LIMIT:
            raise ValueError(f"more than {INDEX_LIMIT} bytes")
        index = Index.model_validate_json(content)
        if any(shard.held_out > shard.count for shard in index.shards):
            raise ValueError("a shard holds out more images than it has")
        if any((shard.labels is None) == bool(index.classes) for shard in index.shards):
            raise ValueError("classes and label files do not agree")
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{shown(path)}: is not what `wavekit data pack` writes ({where}: {first['msg']}); pack again"
        ) from None
    except ValueError as error:
        raise DataError(
            f"{shown(path)}: is not what `wavekit data pack` writes ({error}); pack the set again"
        ) from None
    if index.form != FORM:
        raise DataError(f"{shown(path)}: has form {index.form}, this release reads form {FORM}; pack the set again")
    return index


def _sha256(path: str | os.PathLike[str]) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
