"""Real images for a metric: a number of them that does not depend on chance outside the metric."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from wavekit_core.engine.order import permutation
from wavekit_core.kinds.dataset import Batch, Dataset, Split
from wavekit_core.pictures import quantise
from wavekit_core.spaces import ImageSpace

CHUNK = 256
T = TypeVar("T")

Seed = Annotated[int, Field(ge=0, lt=2**63)]


def subset(length: int, count: int, seed: int) -> NDArray[np.int64]:
    """At most `count` of the indices 0 … length - 1, in rising order; a function of its arguments alone."""
    return np.sort(permutation(length, 0, seed)[:count]) if length else np.zeros(0, np.int64)


def for_floors(length: int) -> NDArray[np.int64]:
    """A fifth of the indices of `length` training images, in rising order. No judge of this package is trained on them, so that
    features of them are as those of new images; floors are measured on them."""
    return np.sort(permutation(length, 1, 0)[: length // 5]) if length else np.zeros(0, np.int64)


def for_judges(length: int) -> NDArray[np.int64]:
    """The other four fifths."""
    return np.setdiff1d(np.arange(length), for_floors(length), assume_unique=True)


def batches(split: Split, indices: NDArray[np.int64], space: ImageSpace) -> Iterator[Batch]:
    """The images at `indices`, CHUNK at a time, in 8-bit steps of `space` as the images that they are compared with."""
    for start in range(0, len(indices), CHUNK):
        batch = split.batch(indices[start : start + CHUNK].tolist())
        yield Batch(quantise(batch.data, space), batch.labels)


def load(split: Split, indices: NDArray[np.int64], space: ImageSpace) -> Tensor:
    """The images at `indices` in 8-bit steps: (len(indices), C, H, W). At least one index."""
    return torch.cat([batch.data for batch in batches(split, indices, space)])


class Remembered:
    """What was computed for the data set of this evaluation, shared by its metrics; another data set takes its place."""

    def __init__(self) -> None:
        self._dataset: Dataset | None = None
        self._values: dict[Hashable, Any] = {}

    def get(self, dataset: Dataset, key: Hashable, make: Callable[[], T]) -> T:
        """The value for `key`, made if it is not there."""
        if self._dataset is not dataset:
            self._dataset, self._values = dataset, {}
        if key not in self._values:
            self._values[key] = make()
        return self._values[key]
