"""Any filter bank on the CPU: a level as pairs of weighted sums.

An axis has two phases: even and odd samples on the side of the image, low- and high-pass coefficients on the side of the
bands. Either operator, and its adjoint, makes pairs of one side from sums over the two phases of the other
(`PairTable`, from the matrices of `wavekit_core.wavelets.axis`). Down the columns a pair of rows is a sum of rows; along a
row nearly all pairs have the same weights, and the few at the border are computed one by one. Rows are summed first,
64 numbers at a time, so that nothing larger than two rows is kept.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from wavekit_core.compiled import compiled, inlined
from wavekit_core.wavelets.kernels.vectors import (
    ahead,
    evens,
    fma,
    load,
    odds,
    pointer,
    splat,
    store,
    zipped_first,
    zipped_last,
)
from wavekit_core.wavelets.plan import Plan


class PairTable(NamedTuple):
    """For each pair m of results the terms from starts[m] to starts[m + 1]: `weights` (terms, 2) of the number at
    `places` (terms, 2) = (phase, index). From `begin` to `end` all pairs have the terms of pair `middle`, at indices that
    go along with m."""

    starts: np.ndarray
    places: np.ndarray
    weights: np.ndarray
    begin: int
    end: int
    middle: int

    def addresses(self) -> tuple[int, ...]:
        """What the kernels take: an array would be counted at every access, which is slower than the sums."""
        return (self.starts.ctypes.data, self.places.ctypes.data, self.weights.ctypes.data, *self[3:])


@lru_cache(maxsize=512)
def pair_table(plan: Plan, operator: str, size: int, dtype: str) -> PairTable:
    """The table of `split` or `join` of one level along an axis of `size`."""
    if operator == "split":
        matrix = plan.split_matrix(size)
        half = matrix.shape[0] // 2
        first, second = matrix[:half], matrix[half:]
    else:
        matrix = plan.join_matrix(size)
        half = matrix.shape[1] // 2
        first, second = matrix[0::2], matrix[1::2]
    entries: list[dict[int, list[float]]] = [{} for _ in range(first.shape[0])]
    for which, rows in enumerate((first, second)):
        for m, column, value in _entries(rows):
            entries[m].setdefault(column, [0.0, 0.0])[which] += value
    starts = np.cumsum([0, *map(len, entries)], dtype=np.int64)
    columns = np.array([column for pair in entries for column in sorted(pair)], dtype=np.int64)
    weights = np.array([pair[column] for pair in entries for column in sorted(pair)], dtype=dtype).reshape(-1, 2)
    places = np.stack([columns % 2, columns // 2] if operator == "split" else [columns // half, columns % half], 1)
    places = np.ascontiguousarray(places)
    return PairTable(starts, places, weights, *_inner(starts, places, weights))


def _entries(rows: csr_array) -> Any:
    sparse = rows.tocoo()
    return zip(sparse.row.tolist(), sparse.col.tolist(), sparse.data.tolist(), strict=True)


def _inner(starts: np.ndarray, places: np.ndarray, weights: np.ndarray) -> tuple[int, int, int]:
    middle = (len(starts) - 1) // 2

    def terms(m: int) -> tuple[bytes, bytes]:
        run = slice(starts[m], starts[m + 1])
        return (places[run] - [0, m]).tobytes(), weights[run].tobytes()

    begin = end = middle
    while begin > 0 and terms(begin - 1) == terms(middle):
        begin -= 1
    while end < len(starts) - 1 and terms(end) == terms(middle):
        end += 1
    return begin, end, middle


@inlined
def _pairs(level, at, one):  # type: ignore[no-untyped-def]
    """The table of which `addresses()` stand in `level` from `at` on."""
    starts, places, weights = pointer(level[at], at), pointer(level[at + 1], at), pointer(level[at + 2], one)
    return starts, places, weights, level[at + 3], level[at + 4], level[at + 5]


def _summing(lanes: int) -> Any:
    @inlined
    def pair(p0, p1, stride, shift, starts, places, weights, m, j, out0, out1):  # type: ignore[no-untyped-def]
        """Numbers j to j + lanes of both results of pair m. `stride` parts one index of a phase from the next."""
        e = starts[m]
        first, second = splat(weights[2 * e], lanes), splat(weights[2 * e + 1], lanes)
        x = load(p1 if places[2 * e] else p0, places[2 * e + 1] * stride + shift + j, lanes)
        a, b = first * x, second * x
        for e in range(starts[m] + 1, starts[m + 1]):
            x = load(p1 if places[2 * e] else p0, places[2 * e + 1] * stride + shift + j, lanes)
            a = fma(splat(weights[2 * e], lanes), x, a)
            b = fma(splat(weights[2 * e + 1], lanes), x, b)
        store(out0, j, a)
        store(out1, j, b)

    return pair


_pair64, _pair16, _pair4, _pair1 = map(_summing, (64, 16, 4, 1))


@compiled
def _sums(p0, p1, stride, shift, table, m, count, out0, out1):  # type: ignore[no-untyped-def]
    """The first `count` numbers of both results of pair m."""
    starts, places, weights, _, _, _ = table
    if starts[m] == starts[m + 1]:
        for j in range(count):
            out0[j] = 0
            out1[j] = 0
        return
    j = 0
    while j + 64 <= count:
        _pair64(p0, p1, stride, shift, starts, places, weights, m, j, out0, out1)
        j += 64
    while j + 16 <= count:
        _pair16(p0, p1, stride, shift, starts, places, weights, m, j, out0, out1)
        j += 16
    while j + 4 <= count:
        _pair4(p0, p1, stride, shift, starts, places, weights, m, j, out0, out1)
        j += 4
    while j < count:
        _pair1(p0, p1, stride, shift, starts, places, weights, m, j, out0, out1)
        j += 1


@compiled
def _along(p0, p1, table, count0, count1, out0, out1):  # type: ignore[no-untyped-def]
    """All pairs of a row; the first results are `count0`, the second ones `count1`, which may be one less."""
    starts, places, weights, begin, end, middle = table
    _sums(ahead(p0, begin), ahead(p1, begin), 1, -middle, table, middle, min(end, count1) - begin,
          ahead(out0, begin), ahead(out1, begin))  # fmt: skip
    for m in range(count0):
        if begin <= m < min(end, count1):
            continue
        a = b = weights[0] - weights[0]
        for e in range(starts[m], starts[m + 1]):
            x = p1[places[2 * e + 1]] if places[2 * e] else p0[places[2 * e + 1]]
            a += weights[2 * e] * x
            b += weights[2 * e + 1] * x
        out0[m] = a
        if m < count1:
            out1[m] = b


def _parting(lanes: int) -> Any:
    @inlined
    def part(row, j, even, odd):  # type: ignore[no-untyped-def]
        a, b = load(row, 2 * j, lanes), load(row, 2 * j + lanes, lanes)
        store(even, j, evens(a, b))
        store(odd, j, odds(a, b))

    return part


def _zipping(lanes: int) -> Any:
    @inlined
    def mesh(even, odd, j, row):  # type: ignore[no-untyped-def]
        a, b = load(even, j, lanes), load(odd, j, lanes)
        store(row, 2 * j, zipped_first(a, b))
        store(row, 2 * j + lanes, zipped_last(a, b))

    return mesh


_part16, _part1, _zip16, _zip1 = _parting(16), _parting(1), _zipping(16), _zipping(1)


@compiled
def parted(row, size, even, odd):  # type: ignore[no-untyped-def]
    """A row of `size` numbers by turns to `even` and `odd`."""
    j = 0
    while 2 * (j + 16) <= size:
        _part16(row, j, even, odd)
        j += 16
    while 2 * (j + 1) <= size:
        _part1(row, j, even, odd)
        j += 1
    if size % 2:
        even[j] = row[2 * j]


@compiled
def zipped(even, odd, size, row):  # type: ignore[no-untyped-def]
    """The inverse of `parted`."""
    j = 0
    while 2 * (j + 16) <= size:
        _zip16(even, odd, j, row)
        j += 16
    while 2 * (j + 1) <= size:
        _zip1(even, odd, j, row)
        j += 1
    if size % 2:
        row[2 * j] = even[j]


@compiled
def split_image(x, a, d, room, one, level):  # type: ignore[no-untyped-def]
    """One level of one image: x (height, width) to a (h, w) and d (3, h, w). `level`: the four sizes, and the tables down and
    along. `room`: two rows and their phases, 4 · (width + 1) numbers."""
    width, h, w = level[1], level[2], level[3]
    down, along = _pairs(level, 6, one), _pairs(level, 12, one)
    above, below = room, ahead(room, width + 1)
    even, odd = ahead(room, 2 * width + 2), ahead(room, 3 * width + 3)
    for i in range(h):
        _sums(x, ahead(x, width), 2 * width, 0, down, i, width, above, below)
        parted(above, width, even, odd)
        _along(even, odd, along, w, w, ahead(a, i * w), ahead(d, (h + i) * w))
        parted(below, width, even, odd)
        _along(even, odd, along, w, w, ahead(d, i * w), ahead(d, (2 * h + i) * w))


@compiled
def join_image(x, a, d, room, one, level):  # type: ignore[no-untyped-def]
    """The opposite direction. `room`: four rows of coefficients and two of samples, 4 · w + 2 · (width + 1) numbers."""
    height, width, h, w = level[0], level[1], level[2], level[3]
    down, along = _pairs(level, 6, one), _pairs(level, 12, one)
    low0, low1, high0, high1 = room, ahead(room, w), ahead(room, 2 * w), ahead(room, 3 * w)
    even, odd = ahead(room, 4 * w), ahead(room, 4 * w + width // 2 + 1)
    for m in range((height + 1) // 2):
        _sums(a, d, w, 0, down, m, w, low0, low1)
        _sums(ahead(d, h * w), ahead(d, 2 * h * w), w, 0, down, m, w, high0, high1)
        _along(low0, high0, along, (width + 1) // 2, width // 2, even, odd)
        zipped(even, odd, width, ahead(x, 2 * m * width))
        if 2 * m + 1 < height:
            _along(low1, high1, along, (width + 1) // 2, width // 2, even, odd)
            zipped(even, odd, width, ahead(x, (2 * m + 1) * width))


@compiled
def split_signal(x, a, d, room, one, level):  # type: ignore[no-untyped-def]
    """One level of one signal: x (width,) to a and d (w,). `room`: width + 2 numbers."""
    width, w = level[1], level[3]
    even, odd = room, ahead(room, width // 2 + 1)
    parted(x, width, even, odd)
    _along(even, odd, _pairs(level, 12, one), w, w, a, d)


@compiled
def join_signal(x, a, d, room, one, level):  # type: ignore[no-untyped-def]
    """The opposite direction."""
    width = level[1]
    even, odd = room, ahead(room, width // 2 + 1)
    _along(a, d, _pairs(level, 12, one), (width + 1) // 2, width // 2, even, odd)
    zipped(even, odd, width, x)
