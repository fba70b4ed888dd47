"""The Haar wavelet on CUDA: up to three levels in one launch.

A program takes a tile of blocks of 2 ** levels by 2 ** levels pixels, which give and need nothing outside of the tile. It
stays in registers: an approximation is a value, made of two rows of the level above it, which are made of four pixels' rows
where the level is the first. So all pixels and coefficients move once, in runs of a row. Pairs of rows are two values,
pairs of columns neighbours in one.

The last sample of an odd axis is alone, as in `wavekit_core.wavelets.kernels.haar`: `low` and `high` are √2 times its factors.
"""

from __future__ import annotations

import triton
import triton.language as tl

MOST = 3  # levels in a launch


@triton.jit
def _size(level: tl.constexpr, size, ODD: tl.constexpr):  # type: ignore[no-untyped-def]
    """The size of an axis at `level`. Without odd sizes in between the compiler sees what it is a multiple of."""
    return (size + (1 << level) - 1) >> level if ODD else size >> level


@triton.jit
def _details(level: tl.constexpr, d1, d2, d3):  # type: ignore[no-untyped-def]
    """The details of `level`."""
    if level == 1:
        return d1
    elif level == 2:
        return d2
    else:
        return d3


@triton.jit
def _band(level: tl.constexpr, of, which, row, tile, height, width, COLUMNS: tl.constexpr, ODD: tl.constexpr):  # type: ignore[no-untyped-def]
    """Where the rows `row` of the tile stand in the planes `which` of `of`, and which of them there are."""
    h, w = _size(level, height, ODD), _size(level, width, ODD)
    column = tile * (COLUMNS >> level) + tl.arange(0, COLUMNS >> level)
    return of + ((which * h + row) * w)[:, None] + column[None, :], (row < h)[:, None] & (column < w)[None, :]


@triton.jit
def _alone(level: tl.constexpr, tile, width, COLUMNS: tl.constexpr, ODD: tl.constexpr):  # type: ignore[no-untyped-def]
    """Which columns of the tile at `level` come from a single column of the level before."""
    column = tile * (COLUMNS >> level) + tl.arange(0, COLUMNS >> level)
    return (2 * column + 1 == _size(level - 1, width, ODD))[None, :]


@triton.jit
def _sides(x):  # type: ignore[no-untyped-def]
    """The even and the odd columns."""
    return tl.split(tl.reshape(x, (x.shape[0], x.shape[1] // 2, 2)))


@triton.jit
def _zipped(even, odd):  # type: ignore[no-untyped-def]
    """The inverse of `_sides`."""
    return tl.reshape(tl.join(even, odd), (even.shape[0], even.shape[1] * 2))


@triton.jit
def _split(level: tl.constexpr, x, d1, d2, d3, plane, row, tile, height, width, low, high,
           COLUMNS: tl.constexpr, ODD: tl.constexpr):  # type: ignore[no-untyped-def]  # fmt: skip
    """The rows `row` of the tile's approximation at `level`; on the way, the details up to there are stored."""
    if level == 0:
        at, there = _band(0, x, plane, row, tile, height, width, COLUMNS, ODD)
        return tl.load(at, there, 0.0)
    else:
        top = _split(level - 1, x, d1, d2, d3, plane, 2 * row, tile, height, width, low, high, COLUMNS, ODD)
        bottom = _split(level - 1, x, d1, d2, d3, plane, 2 * row + 1, tile, height, width, low, high, COLUMNS, ODD)
        p, q = (top + bottom) * 0.5, (top - bottom) * 0.5
        if ODD:
            last = (2 * row + 1 == _size(level - 1, height, ODD))[:, None]
            p, q = tl.where(last, top * low * 0.5, p), tl.where(last, top * high * 0.5, q)
        p_even, p_odd = _sides(p)
        q_even, q_odd = _sides(q)
        a, cH, cV, cD = p_even + p_odd, q_even + q_odd, p_even - p_odd, q_even - q_odd
        if ODD:
            last = _alone(level, tile, width, COLUMNS, ODD)
            a, cV = tl.where(last, p_even * low, a), tl.where(last, p_even * high, cV)
            cH, cD = tl.where(last, q_even * low, cH), tl.where(last, q_even * high, cD)
        d = _details(level, d1, d2, d3)
        at, there = _band(level, d, 3 * plane, row, tile, height, width, COLUMNS, ODD)
        tl.store(at, cH, there)
        at, there = _band(level, d, 3 * plane + 1, row, tile, height, width, COLUMNS, ODD)
        tl.store(at, cV, there)
        at, there = _band(level, d, 3 * plane + 2, row, tile, height, width, COLUMNS, ODD)
        tl.store(at, cD, there)
        return a


@triton.jit
def _join(level: tl.constexpr, a, x, d1, d2, d3, plane, row, tile, height, width, low, high,
          COLUMNS: tl.constexpr, ODD: tl.constexpr):  # type: ignore[no-untyped-def]  # fmt: skip
    """The opposite direction: stores the pixels of which `a` is the rows `row` of the tile's approximation at `level`."""
    if level == 0:
        at, there = _band(0, x, plane, row, tile, height, width, COLUMNS, ODD)
        tl.store(at, a, there)
    else:
        d = _details(level, d1, d2, d3)
        at, there = _band(level, d, 3 * plane, row, tile, height, width, COLUMNS, ODD)
        cH = tl.load(at, there, 0.0)
        at, there = _band(level, d, 3 * plane + 1, row, tile, height, width, COLUMNS, ODD)
        cV = tl.load(at, there, 0.0)
        at, there = _band(level, d, 3 * plane + 2, row, tile, height, width, COLUMNS, ODD)
        cD = tl.load(at, there, 0.0)
        p_even, p_odd, q_even, q_odd = a + cV, a - cV, cH + cD, cH - cD
        if ODD:
            last = _alone(level, tile, width, COLUMNS, ODD)
            p_even = tl.where(last, a * low + cV * high, p_even)
            q_even = tl.where(last, cH * low + cD * high, q_even)
        p, q = _zipped(p_even, p_odd) * 0.5, _zipped(q_even, q_odd) * 0.5
        top, bottom = p + q, p - q
        if ODD:
            last = (2 * row + 1 == _size(level - 1, height, ODD))[:, None]
            top = tl.where(last, p * low + q * high, top)
        _join(level - 1, top, x, d1, d2, d3, plane, 2 * row, tile, height, width, low, high, COLUMNS, ODD)
        _join(level - 1, bottom, x, d1, d2, d3, plane, 2 * row + 1, tile, height, width, low, high, COLUMNS, ODD)


@triton.jit
def _place(LEVELS: tl.constexpr, height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr, ODD: tl.constexpr):  # type: ignore[no-untyped-def]
    """This program's plane, its rows of the last approximation, and its tile along a row."""
    program = tl.program_id(0)
    across, down = tl.cdiv(width, COLUMNS), tl.cdiv(_size(LEVELS, height, ODD), ROWS)
    row = (program // across % down) * ROWS + tl.arange(0, ROWS)
    return (program // (across * down)).to(tl.int64), row.to(tl.int64), program % across


@triton.jit(do_not_specialize=["height"])
def split(x, a, d1, d2, d3, height, width, low, high, LEVELS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
          ODD: tl.constexpr):  # type: ignore[no-untyped-def]  # fmt: skip
    """x (P, height, width) to the approximation `a` of level `LEVELS`, at most three, and the details (P, 3, h, w) of each.

    A tile has `ROWS` rows of that approximation and `COLUMNS` columns of x. `ODD`: some axis is odd before the last level.
    """
    plane, row, tile = _place(LEVELS, height, width, ROWS, COLUMNS, ODD)
    last = _split(LEVELS, x, d1, d2, d3, plane, row, tile, height, width, low, high, COLUMNS, ODD)
    at, there = _band(LEVELS, a, plane, row, tile, height, width, COLUMNS, ODD)
    tl.store(at, last, there)


@triton.jit(do_not_specialize=["height"])
def join(x, a, d1, d2, d3, height, width, low, high, LEVELS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
         ODD: tl.constexpr):  # type: ignore[no-untyped-def]  # fmt: skip
    """The opposite direction."""
    plane, row, tile = _place(LEVELS, height, width, ROWS, COLUMNS, ODD)
    at, there = _band(LEVELS, a, plane, row, tile, height, width, COLUMNS, ODD)
    first = tl.load(at, there, 0.0)
    _join(LEVELS, first, x, d1, d2, d3, plane, row, tile, height, width, low, high, COLUMNS, ODD)
