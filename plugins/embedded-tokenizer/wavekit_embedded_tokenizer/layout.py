"""Where the coefficients of a stream stand in memory: bands beside one another, each in a border of zeros, so that a
neighbour is a fixed step away. The order of visiting is that of `scan`, in raster order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# columns of `Layout.runs`: a run of blocks of one band (or of all four, where the coarsest stand together)
ROWS, COLUMNS, STRIDE, LEVEL, BAND, PARENT, PARENT_STRIDE, AREA, FIRST = range(9)
TOGETHER = -1  # in BAND: LL, HL, LH, HH by turns, whose first places are in FIRST … FIRST + 3
SIDE = 8  # of an area, in blocks


@dataclass(frozen=True)
class Layout:
    """`runs` (R, 12) int64, in the order of visiting, for one channel; `size` the places of one channel, borders included;
    `areas` those of one channel, squares of blocks of a band; `bands`: (start, stride, height, width) of LL and of every detail,
    coarse to fine, HL, LH, HH."""

    height: int
    width: int
    levels: int
    channels: int
    size: int
    areas: int
    runs: NDArray[np.int64]
    bands: tuple[tuple[int, int, int, int], ...]

    @property
    def count(self) -> int:
        """Coefficients."""
        return self.channels * self.height * self.width

    @property
    def places(self) -> int:
        return self.channels * self.size

    def into(self, bands: list[NDArray], padded: NDArray) -> None:  # type: ignore[type-arg]
        """Bands (channels, h, w), in the order of `bands`, into (places,)."""
        for band, view in zip(bands, self.views(padded), strict=True):
            view[...] = band

    def views(self, padded: NDArray) -> list[NDArray]:  # type: ignore[type-arg]
        """The bands (channels, h, w) in (places,)."""
        each = padded.reshape(self.channels, self.size)
        return [
            each[:, start - stride - 1 : start - stride - 1 + (h + 2) * stride].reshape(-1, h + 2, stride)[
                :, 1:-1, 1:-1
            ]
            for start, stride, h, w in self.bands
        ]


@lru_cache(maxsize=16)
def layout(height: int, width: int, levels: int, channels: int) -> Layout:
    """For images of a size that 2^(levels + 1) divides."""
    if height % (2 << levels) or width % (2 << levels):
        raise ValueError(f"{height}×{width} is not divided by {2 << levels}, which {levels} levels need")
    runs, bands, end, areas = [], [], 0, 0

    def place(h: int, w: int) -> int:
        nonlocal end
        start = end + w + 3
        bands.append((start, w + 2, h, w))
        end += (h + 2) * (w + 2)
        return start

    h, w = height >> levels, width >> levels
    firsts = [place(h, w) for _ in range(4)]
    runs.append([h // 2, w // 2, w + 2, levels - 1, TOGETHER, 0, 0, 0, *firsts])
    parents, parent_stride = firsts[1:], w + 2
    for level in range(levels - 2, -1, -1):
        h, w = 2 * h, 2 * w
        starts = [place(h, w) for _ in range(3)]
        for band, (start, parent) in enumerate(zip(starts, parents, strict=True), 1):
            runs.append([h // 4, w // 4, w + 2, level, band, parent, parent_stride, areas, start, 0, 0, 0])
            areas += -(-h // (4 * SIDE)) * -(-w // (4 * SIDE))
        parents, parent_stride = starts, w + 2
    return Layout(height, width, levels, channels, end, areas, np.array(runs, dtype=np.int64), tuple(bands))
