"""Real images for a metric: a number of them that does not depend on chance outside the metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from wavekit_core.engine.order import permutation
from wavekit_core.kinds.dataset import Batch, Split

CHUNK = 256

Seed = Annotated[int, Field(ge=0, lt=2**63)]


def subset(length: int, count: int, seed: int) -> NDArray[np.int64]:
    """At most `count` of the indices 0 … length - 1, in rising order; a function of its arguments alone."""
    return np.sort(permutation(length, 0, seed)[:count]) if length else np.zeros(0, np.int64)


def batches(split: Split, indices: NDArray[np.int64]) -> Iterator[Batch]:
    """The images at `indices`, CHUNK at a time."""
    for start in range(0, len(indices), CHUNK):
        yield split.batch(indices[start : start + CHUNK].tolist())


def load(
    split: Split, indices: NDArray[np.int64], reduce: Callable[[Tensor], Tensor] = lambda images: images
) -> Tensor:
    """`reduce` of the images at `indices`, concatenated: (len(indices), …). At least one index."""
    return torch.cat([reduce(batch.data) for batch in batches(split, indices)])
