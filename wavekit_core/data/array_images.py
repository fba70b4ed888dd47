"""Images that lie in arrays: in memory or in files that are read when needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wavekit_core.data.fit import fit_pixels
from wavekit_core.data.views import View, ViewSplit
from wavekit_core.errors import DataError
from wavekit_core.spaces import ImageSpace


class ArrayImages:
    """`read(i)` gives image `i` of `name` as it is, (C, H, W) uint8."""

    def __init__(self, name: str, read: Callable[[int], NDArray[np.uint8]], view: View):
        self._name, self._read, self._view = name, read, view

    def name(self, number: int) -> str:
        return f"{self._name}: image {number}"

    def pixels(self, number: int) -> NDArray[np.uint8]:
        pixels = self._read(number)
        try:
            return pixels if self._view.size is None else fit_pixels(pixels, self._view.size, self._view.fit)
        except DataError as error:
            raise DataError(f"{self.name(number)}: {error}") from error


def view_space(shape: tuple[int, int, int], view: View) -> ImageSpace:
    """The space of the views of images of `shape` (C, H, W)."""
    channels, height, width = shape
    return ImageSpace(channels, view.size or height, view.size or width)


def array_split(
    images: ArrayImages,
    shape: tuple[int, int, int],
    view: View,
    members: NDArray[np.integer],
    labels: NDArray[np.integer] | None,
) -> ViewSplit:
    """A split of images that all have `shape`. Raises `DataError` if they are too small for a tile or too large to be padded."""
    sizes = np.array([shape[1:]], np.int64)
    tiles = np.repeat(view.tiles(sizes, images), len(members))
    if view.size is not None and view.fit == "pad":
        images.pixels(int(members[0]))
    return ViewSplit(images, view, view_space(shape, view).shape, members, tiles, labels)


def class_names(labels: list[NDArray[np.integer] | None], where: str) -> tuple[str, ...]:
    """The names "0", "1", … of the classes of all labels; empty without. Raises `DataError` for negative or endless ones."""
    given: list[Any] = [part for part in labels if part is not None and len(part)]
    low, top = min((int(part.min()) for part in given), default=0), max((int(part.max()) for part in given), default=-1)
    if low < 0 or top >= 100_000:
        raise DataError(f"{where}: labels from {low} to {top}; classes are numbered from 0; number them anew")
    return tuple(str(label) for label in range(top + 1))
