"""Looking at every image of a data set: what cannot be decoded, what is there twice, what is constant."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from wavekit_core.data.files import shown
from wavekit_core.data.image_folder import UnusableImages, decode
from wavekit_core.data.shards import Shards
from wavekit_core.data.views import View
from wavekit_core.errors import DataError
from wavekit_core.kinds.dataset import Batch, Dataset, Split
from wavekit_core.watch import Watcher

CHUNK = 64


@dataclass
class Part:
    """What was found in one split. `digests` maps the content of an image to the first index that has it."""

    count: int
    faults: list[str] = field(default_factory=list)
    decoded: int = 0
    constant: list[int] = field(default_factory=list)
    repeated: list[tuple[int, int]] = field(default_factory=list)
    classes: Counter[int] = field(default_factory=Counter)
    digests: dict[bytes, int] = field(default_factory=dict)


@dataclass
class Survey:
    """What was found in both splits: `leaks` are pairs (training index, held-out index) of equal images. `damaged` are files
    whose content is not what was recorded."""

    train: Part
    held_out: Part
    leaks: list[tuple[int, int]]
    damaged: list[str]


def survey(dataset: Dataset, watcher: Watcher) -> Survey:
    """Decode every fixed view of every split. Content is compared after rounding to 8 bits; labels are not."""
    damaged: list[str] = []
    if isinstance(dataset, Shards):
        total = len(dataset.index.shards)
        with watcher.phase("comparing digests", total, unit="shards") as advance:
            damaged = dataset.changed(lambda done: advance(done, ""))
    train = _part(dataset, dataset.train, "decoding the training images", watcher)
    held_out = _part(dataset, dataset.held_out, "decoding the held-out images", watcher)
    leaks = {index: train.digests[key] for key, index in held_out.digests.items() if key in train.digests}
    leaks |= {again: leaks[first] for first, again in held_out.repeated if first in leaks}
    return Survey(train, held_out, [(first, index) for index, first in sorted(leaks.items())], damaged)


def undecodable(unusable: UnusableImages, watcher: Watcher) -> list[str]:
    """What is wrong with every file of a folder that cannot be decoded, where the headers of some showed it already."""
    faults = {name: f"{shown(unusable.source.path(name))}: {reason}" for name, reason in unusable.faults}
    view = View(None, "resize")
    with watcher.phase("decoding the other images", len(unusable.usable), unit="images") as advance:
        for done, name in enumerate(unusable.usable, 1):
            try:
                decode(unusable.source, name, 3, view)
            except DataError as error:
                faults[name] = str(error)
            advance(done, "")
    return [faults[name] for name in sorted(faults)]


def describe(split: Split, index: int, part: str) -> str:
    """What to call an image: its file if the split knows it."""
    name = getattr(split, "name", None)
    return str(name(index)) if name else f"{part} image {index}"


def pairs(
    first: Split, second: Split, found: Sequence[tuple[int, int]], names: tuple[str, str]
) -> list[tuple[str, int]]:
    """Pairs of equal images as (`one = other`, how many): the tiles of two files together, if there are several."""
    alike: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for a, b in found:
        alike.setdefault((_file(first, a, names[0]), _file(second, b, names[1])), []).append((a, b))
    told = []
    for (one, other), members in alike.items():
        (a, b), count = members[0], len(members)
        single = f"{describe(first, a, names[0])} = {describe(second, b, names[1])}"
        told.append((f"{one} = {other} ({count:,} tiles)" if count > 1 else single, count))
    return told


def _file(split: Split, index: int, part: str) -> str:
    file = getattr(split, "file", None)
    return str(file(index)) if file else describe(split, index, part)


def _part(dataset: Dataset, split: Split, name: str, watcher: Watcher) -> Part:
    part = Part(len(split))
    space = dataset.space
    with watcher.phase(name, len(split), unit="images") as advance:
        for indices, batch in _batches(split, part.faults):
            steps = (batch.data.numpy() - np.float32(space.low)) * np.float32(255 / (space.high - space.low))
            pixels = np.rint(steps).clip(0, 255).astype(np.uint8)
            constant = pixels.reshape(len(pixels), -1)
            for row, index in enumerate(indices):
                key = hashlib.blake2b(pixels[row].tobytes(), digest_size=16).digest()
                if (first := part.digests.setdefault(key, index)) != index:
                    part.repeated.append((first, index))
                if constant[row].min() == constant[row].max():
                    part.constant.append(index)
            if batch.labels is not None:
                part.classes.update(batch.labels.tolist())
            part.decoded += len(indices)
            advance(indices[-1] + 1, "")
    return part


def _batches(split: Split, faults: list[str]) -> Iterator[tuple[list[int], Batch]]:
    """The images in batches; those of a batch that cannot be read one by one, with what is wrong added to `faults`.

    A fault that the first and the last image of a split share is one of the whole, and no other image is tried.
    """
    length = len(split)
    for start in range(0, length, CHUNK):
        indices = list(range(start, min(start + CHUNK, length)))
        try:
            batch = split.batch(indices)
        except DataError:
            for index in indices:
                try:
                    single = split.batch([index])
                except DataError as error:
                    message = str(error)
                    if message not in faults:
                        faults.append(message)
                    if start == 0 and length > CHUNK and _message(split, length - 1) == message:
                        return
                else:
                    yield [index], single
        else:
            yield indices, batch


def _message(split: Split, index: int) -> str | None:
    try:
        split.batch([index])
    except DataError as error:
        return str(error)
    return None
