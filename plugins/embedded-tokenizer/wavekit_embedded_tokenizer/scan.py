"""The order in which the coefficients of a pyramid are visited.

Coarse to fine, HL (cV), LH (cH), HH (cD) within a level, in blocks of 4×4, these in groups of 2×2: sixteen consecutive places
are a block, four are a group. The coarsest bands are visited together, a group of each of LL, HL, LH, HH a block, as the corner
of the matrix that the paper draws (S3, §4.3: there it is 4×4 with bands of 2×2). Channels follow one another, and as all of
them are visited in every bit-plane, the stream is embedded in colour too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wavekit_core.errors import SpaceError
from wavekit_core.pyramid import PyramidSpace

Order = Literal["raster", "morton"]
BLOCK, GROUP = 16, 4
ORIENTATIONS = ("A", "V", "H", "D")  # LL, HL, LH, HH


@dataclass(frozen=True)
class Scan:
    """Of each of N places, in the order of visiting: where it stands in a pyramid's vector (`PyramidSpace.flatten`), its band
    (0 LL, 1 HL, 2 LH, 3 HH), level, channel, row and column in its band, and the places of its parent and of its left and
    upper neighbour in the band (-1 where there is none). int32 (N,) each."""

    element: NDArray[np.int32]
    band: NDArray[np.int32]
    level: NDArray[np.int32]
    channel: NDArray[np.int32]
    row: NDArray[np.int32]
    column: NDArray[np.int32]
    parent: NDArray[np.int32]
    left: NDArray[np.int32]
    up: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.element)


def check(space: PyramidSpace) -> str | None:
    """Why pyramids of `space` cannot be visited in blocks (reason; remedy), or None."""
    height, width = space.sizes[0]
    if height % 2 or width % 2:
        return (
            f"the coarsest bands are {height}×{width}, and 2×2 coefficients are a group; take a size that "
            f"{2 ** (space.levels + 1)} divides, or fewer levels"
        )
    if any(size != (height << k, width << k) for k, size in enumerate(space.sizes)):
        return (
            f"bands of {space.sizes} do not double from level to level; take the mode periodization and a size that "
            f"{2 ** (space.levels + 1)} divides"
        )
    return None


@lru_cache(maxsize=32)
def scan(space: PyramidSpace, order: Order = "raster") -> Scan:
    """The order for a space. Raises SpaceError where there is none."""
    if reason := check(space):
        raise SpaceError(None, reason)
    pieces: list[list[NDArray[Any]]] = []
    start = 0  # of a band in the vector
    starts: dict[tuple[int, str], int] = {}
    for name, (channels, height, width) in space.band_shapes.items():
        starts[int(name[2:]), name[1]] = start
        start += channels * height * width
    for channel in range(space.channels):
        for index, (height, width) in enumerate(space.sizes):
            level = space.levels - index
            bands = ORIENTATIONS if index == 0 else ORIENTATIONS[1:]
            laid = _groups(height, width, joint=index == 0, order=order)
            rows, columns = (np.stack([axis] * len(bands)) for axis in laid)  # (bands, groups, 4)
            codes = np.broadcast_to(np.array([ORIENTATIONS.index(b) for b in bands])[:, None, None], rows.shape)
            base = np.array([starts[level, b] for b in bands])[:, None, None] + channel * height * width
            fields = [
                base + rows * width + columns,
                codes,
                np.full_like(rows, level),
                np.full_like(rows, channel),
                rows,
                columns,
            ]
            if index == 0:  # a group of each band by turns
                fields = [field.swapaxes(0, 1) for field in fields]
            pieces.append([field.reshape(-1) for field in fields])
    element, *fields = (np.concatenate([piece[i] for piece in pieces]).astype(np.int32) for i in range(6))
    return Scan(element, *fields, *_relations(space, starts, element, *fields))


def _groups(height: int, width: int, joint: bool, order: Order) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns (groups, 4) of a band, by blocks of four groups; `joint`: by single groups."""
    side = 2 if joint else 4
    grid = np.meshgrid(np.arange(height // side), np.arange(width // side), indexing="ij")
    rows, columns = (axis.reshape(-1) for axis in grid)
    if order == "morton":
        places = np.argsort(_spread(rows) << 1 | _spread(columns), kind="stable")
        rows, columns = rows[places], columns[places]
    corners = [(0, 0)] if joint else [(0, 0), (0, 2), (2, 0), (2, 2)]
    inner = np.array([[(r + i, c + j) for i in (0, 1) for j in (0, 1)] for r, c in corners])  # (groups, 4, 2)
    return tuple(
        (side * at[:, None, None] + inner[None, ..., i]).reshape(-1, 4) for i, at in enumerate((rows, columns))
    )  # type: ignore[return-value]


def _spread(numbers: NDArray[Any]) -> NDArray[Any]:
    """Bit k goes to bit 2k."""
    return sum(((numbers >> k) & 1) << (2 * k) for k in range(16))  # type: ignore[return-value]


def _relations(space, starts, element, band, level, channel, row, column):  # type: ignore[no-untyped-def]
    """Places of parent, left and upper neighbour. A detail's parent is the detail of the next coarser level over the same
    pixels; at the coarsest level, in groups of four of the approximation, all but the first are parents of a band each, as
    in set partitioning (Said & Pearlman 1996)."""
    place = np.empty(len(element), dtype=np.int32)
    place[element] = np.arange(len(element), dtype=np.int32)
    start = np.zeros((space.levels + 2, len(ORIENTATIONS)), dtype=np.int32)
    for (of, orientation), first in starts.items():
        start[of, ORIENTATIONS.index(orientation)] = first
    heights, widths = (np.array([1, *(size[i] for size in space.sizes[::-1]), 1], dtype=np.int32) for i in (0, 1))

    def at(there, level, band, row, column):  # type: ignore[no-untyped-def]
        vector = start[level, band] + (channel * heights[level] + row) * widths[level] + column
        return np.where(there, place[np.where(there, vector, 0)], -1).astype(np.int32)

    coarsest = level == space.levels
    parent = at(
        band > 0,
        np.where(coarsest, level, level + 1),
        np.where(coarsest, 0, band),
        np.where(coarsest, row // 2 * 2 + (band >= 2), row // 2),
        np.where(coarsest, column // 2 * 2 + band % 2, column // 2),
    )
    return parent, at(column > 0, level, band, row, column - 1), at(row > 0, level, band, row - 1, column)
