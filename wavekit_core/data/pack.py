"""Writing shards from any data set."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from wavekit_core.data.files import shown
from wavekit_core.data.shards import FORM, INDEX, Index, Shard, image_file, label_file
from wavekit_core.errors import RecipeError
from wavekit_core.kinds.dataset import Dataset, Split
from wavekit_core.runs.owner import owned
from wavekit_core.runs.publish import TEMPORARY, disk_faults, remove_folder, require_room, sync
from wavekit_core.watch import Watcher

CHUNK = 64


def pack(dataset: Dataset, target: Path, per_shard: int, source: str, watcher: Watcher) -> float:
    """Write the fixed views of `dataset` as a folder of shards of `per_shard` images, which appears whole or not at all.

    First the training images, then those held out, in shards of their own; pixel = round(255 · value). Returns the largest
    change by that rounding, in units of the range: 0 for a set of 8-bit images.

    Raises `RecipeError` if the target exists or the range is not [0, 1], `DataError`, `BusyError` and `ResourceError`.
    """
    space = dataset.space
    if (space.low, space.high) != (0, 1):
        raise RecipeError(f"{space}: shards hold images in [0, 1]; this set cannot be packed")
    target = Path(os.path.abspath(target))
    with owned(target):
        if os.path.lexists(target):
            raise RecipeError(f"{shown(target)}: is there already; name another folder, or remove it")
        total = len(dataset.train) + len(dataset.held_out)
        require_room(target.parent, total * space.numbers, target.name)
        temporary = target.parent / f"{TEMPORARY}{target.name}"
        with disk_faults(target, total * space.numbers):
            remove_folder(temporary)
            temporary.mkdir()
        try:
            with watcher.phase("packing", total, unit="images") as advance:
                writer = _Writer(dataset, temporary, lambda done: advance(done, ""))
                for split, is_held_out in ((dataset.train, False), (dataset.held_out, True)):
                    for first in range(0, len(split), per_shard):
                        writer.shard(split, first, min(first + per_shard, len(split)), is_held_out)
            index = Index(
                form=FORM, shape=space.shape, classes=list(dataset.classes), source=source, shards=writer.shards
            )
            with _writing(temporary / INDEX) as file:
                file.write(index.model_dump_json(indent=1).encode() + b"\n")
            with disk_faults(target):
                sync(temporary)
                os.rename(temporary, target)
                sync(target.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                remove_folder(temporary)
            raise
    return writer.rounding


class _Writer:
    """Writes one shard after the other."""

    def __init__(self, dataset: Dataset, folder: Path, advance: Any):
        self._shape, self._labelled = dataset.space.shape, bool(dataset.classes)
        self._folder, self._advance = folder, advance
        self._done = 0
        self.shards: list[Shard] = []
        self.rounding = 0.0

    def shard(self, split: Split, first: int, end: int, is_held_out: bool) -> None:
        """The images `first` … `end` - 1 of `split` as the next shard."""
        count, number = end - first, len(self.shards)
        labels = np.zeros(count, np.int64)
        with _writing(self._folder / image_file(number)) as file:
            images = _Hashed(file)
            images.header((count, *self._shape), np.uint8)
            for start in range(first, end, CHUNK):
                wanted = np.arange(start, min(start + CHUNK, end))
                batch = split.batch(wanted)
                values = batch.data.numpy() * np.float32(255)
                pixels = np.rint(values)
                self.rounding = max(self.rounding, float(np.abs(values - pixels).max()) / 255)
                images.write(np.ascontiguousarray(pixels.clip(0, 255).astype(np.uint8)).tobytes())
                if batch.labels is not None:
                    labels[wanted - first] = batch.labels.numpy()
                self._done += len(wanted)
                self._advance(self._done)
        given = self._labels(number, labels) if self._labelled else None
        held = count if is_held_out else 0
        self.shards.append(Shard(count=count, held_out=held, images=images.hexdigest, labels=given))

    def _labels(self, number: int, labels: Any) -> str:
        with _writing(self._folder / label_file(number)) as file:
            hashed = _Hashed(file)
            hashed.header(labels.shape, np.int64)
            hashed.write(labels.astype("<i8").tobytes())
        return hashed.hexdigest


class _Hashed:
    """A .npy file whose SHA-256 is known when it is written."""

    def __init__(self, file: BinaryIO):
        self._file, self._digest = file, hashlib.sha256()

    def header(self, shape: tuple[int, ...], kind: type[np.integer]) -> None:
        descr = npy.dtype_to_descr(np.dtype(kind).newbyteorder("<"))
        npy.write_array_header_1_0(self, {"descr": descr, "fortran_order": False, "shape": shape})  # type: ignore[arg-type]

    def write(self, content: bytes) -> int:
        self._digest.update(content)
        return self._file.write(content)

    @property
    def hexdigest(self) -> str:
        return self._digest.hexdigest()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[BinaryIO]:
    """A new file, on the disk when the block ends. Raises `ResourceError`."""
    with disk_faults(path), open(path, "xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
