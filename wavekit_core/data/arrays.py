"""A split whose images lie in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavekit_core.kinds.dataset import Batch


def checked_indices(indices: Sequence[int] | NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """`indices` as an array (B,). Raises `IndexError` for one outside 0 … length - 1; a negative one is a fault."""
    wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
    if wanted.size and not (wanted.min() >= 0 and wanted.max() < length):
        raise IndexError(f"indices {wanted.min()} … {wanted.max()} of a split of {length} images (0 … {length - 1})")
    return wanted


class ArraySplit:
    """Images (N, C, H, W) uint8 and labels (N,) or None; a batch is float32 in [0, 1], pixel / 255.

    `finish`, if given, maps the float batch (B, C, H, W) to the images that are handed out.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.integer] | None,
        finish: Callable[[Tensor], Tensor] | None = None,
    ):
        self._images = images
        self._labels = None if labels is None else labels.astype(np.int64)
        self._finish = finish

    def __len__(self) -> int:
        return len(self._images)

    def batch(self, indices: Sequence[int] | NDArray[np.int64], words: NDArray[np.uint64] | None = None, /) -> Batch:
        wanted = checked_indices(indices, len(self))
        images = torch.from_numpy(self._images[wanted]).to(torch.float32).div_(255)
        labels = None if self._labels is None else torch.from_numpy(self._labels[wanted])
        return Batch(self._finish(images) if self._finish else images, labels)
