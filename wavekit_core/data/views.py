"""A split whose images are read one by one and handed out as views: tiles, random places, mirrors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from wavekit_core.data.arrays import checked_indices
from wavekit_core.data.fit import Fit, tile_count, tile_place
from wavekit_core.errors import DataError, RecipeError
from wavekit_core.kinds.dataset import Batch

LISTED = 10


class Images(Protocol):
    """Images by number, read when they are asked for."""

    def pixels(self, number: int) -> NDArray[np.uint8]:
        """(C, size, size), fitted; with `crop`, and without a size, the whole image (C, H, W)."""
        ...

    def name(self, number: int) -> str:
        """What to call it in a message."""
        ...


@dataclass(frozen=True)
class View:
    """What is handed out of an image. `size` None: all of it.

    Raises `RecipeError` for `crop` without a size and for random crops of anything else than crops.
    """

    size: int | None
    fit: Fit
    random_crops: bool = False
    flip: bool = False

    def __post_init__(self) -> None:
        if self.fit == "crop" and self.size is None:
            raise RecipeError("fit: crop cuts tiles of size × size, and no size is given; give one")
        if self.random_crops and self.fit != "crop":
            raise RecipeError(f"random_crops moves tiles, and fit: {self.fit} makes none; write fit: crop with it")

    def tiles(self, sizes: NDArray[np.int64], images: Images) -> NDArray[np.int64]:
        """How many views each image of `sizes` (N, 2) has (N,). Raises `DataError` naming the images that hold no tile."""
        if self.fit != "crop" or self.size is None:
            return np.ones(len(sizes), np.int64)
        counts = np.array([tile_count(height, width, self.size) for height, width in sizes.tolist()], np.int64)
        small = np.flatnonzero(counts == 0)
        if len(small):
            listed = ", ".join(f"{images.name(int(i))} ({sizes[i][0]}×{sizes[i][1]})" for i in small[:LISTED])
            more = f" and {len(small) - LISTED} more" if len(small) > LISTED else ""
            raise DataError(
                f"{listed}{more}: smaller than a tile of {self.size}×{self.size} pixels; make size smaller, remove them or "
                "use another fit"
            )
        return counts

    def of(self, pixels: NDArray[np.uint8], tile: int, word: int | None) -> NDArray[np.uint8]:
        """The view of an image (C, H, W): tile number `tile`, or what the random 64-bit `word` makes of it.

        Bit 0 mirrors, bits 1 … 31 give the top and bits 32 … 63 the left of a random crop.
        """
        if self.fit == "crop" and self.size is not None:
            height, width = pixels.shape[1:]
            if self.random_crops and word is not None:
                top = ((word >> 1 & 0x7FFFFFFF) * (height - self.size + 1)) >> 31
                left = ((word >> 32) * (width - self.size + 1)) >> 32
            else:
                top, left = tile_place(height, width, self.size, tile)
            pixels = pixels[:, top : top + self.size, left : left + self.size]
        return pixels[:, :, ::-1] if self.flip and word is not None and word & 1 else pixels


class ViewSplit:
    """The views of some images; a batch is float32 in [0, 1], pixel / 255.

    `members` (M,) are the numbers of the images, `tiles` (M,) how many views each has, `labels` those of all images or None;
    `shape` is that of a view. Labels of a batch are int64.
    """

    def __init__(
        self,
        images: Images,
        view: View,
        shape: tuple[int, int, int],
        members: NDArray[np.integer],
        tiles: NDArray[np.int64],
        labels: NDArray[np.integer] | None,
    ):
        self._images, self._view, self._shape = images, view, shape
        self._members = np.repeat(members, tiles)
        starts = np.repeat(np.cumsum(tiles) - tiles, tiles)
        self._tiles = np.arange(len(self._members)) - starts
        self._labels = None if labels is None else labels[self._members].astype(np.int64)

    def __len__(self) -> int:
        return len(self._members)

    def name(self, index: int) -> str:
        """What to call the image at `index`; a tile has the name of its file and its number."""
        name = self.file(index)
        return f"{name}, tile {self._tiles[index]}" if self._view.fit == "crop" else name

    @property
    def files(self) -> int:
        """How many whole images the views are of."""
        return len(np.unique(self._members))

    def file(self, index: int) -> str:
        """The name of the whole image that the one at `index` is a view of."""
        return self._images.name(int(self._members[index]))

    def batch(self, indices: Sequence[int] | NDArray[np.int64], words: NDArray[np.uint64] | None = None, /) -> Batch:
        wanted = checked_indices(indices, len(self))
        pixels = np.empty((len(wanted), *self._shape), np.uint8)
        members, tiles = self._members[wanted], self._tiles[wanted]
        number = -1
        for row in np.argsort(members, kind="stable"):  # every image is read once
            if members[row] != number:
                number = int(members[row])
                whole = self._images.pixels(number)
            pixels[row] = self._view.of(whole, int(tiles[row]), None if words is None else int(words[row]))
        labels = None if self._labels is None else torch.from_numpy(self._labels[wanted])
        return Batch(torch.from_numpy(pixels).to(torch.float32).div_(255), labels)
