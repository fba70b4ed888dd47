"""Datasets give images by index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wavekit_core.component import Component
from wavekit_core.spaces import ImageSpace


@dataclass(frozen=True)
class Batch:
    """`data` of the space at this point of the pipeline, (B, …); `labels` (B,) int64 or None."""

    data: Any
    labels: Tensor | None = None


class Split(Protocol):
    """A part of a data set: for training, or held out."""

    def __len__(self) -> int: ...

    def batch(self, indices: Sequence[int] | NDArray[np.int64], words: NDArray[np.uint64] | None = None, /) -> Batch:
        """The images (B, C, H, W), float32 in the data set's range, and labels at `indices`. Raises `DataError` with the
        file's name.

        Called from a loader's thread: it draws no random numbers of its own. Training hands it `words` (B,), one random word
        an image; a set with random views (crops, flips) makes each from its word alone, others ignore them. Without words
        every image has its one fixed view.
        """
        ...


class Dataset(Component, ABC):
    """Images with, or without, class labels. The constructor finds out sizes and counts but may leave pixels unread."""

    kind: ClassVar[str] = "dataset"

    space: ImageSpace
    classes: tuple[str, ...] = ()  # names of the classes; empty without labels
    remarks: Sequence[str] = ()  # what a person should know of the data
    train: Split
    held_out: Split

    @classmethod
    def declares(cls, **values: Any) -> ImageSpace | None:
        """The space that the constructor would give for these parameters, if it can be told without the data."""
        return None

    @abstractmethod
    def digest(self) -> str:
        """A SHA-256 that changes when the data do."""
