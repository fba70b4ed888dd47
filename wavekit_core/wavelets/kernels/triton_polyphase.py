"""Any filter bank on CUDA: a level in one launch.

A program makes a block of results: up to `STEP` pairs of rows by `COLUMNS` pairs of columns, the two of a pair being the low-
and the high-pass coefficient, or the even and the odd sample. Along the rows it sums the weighted numbers of all `ROWS`
rows that the block needs, which stay in registers; down the columns every result is a weighted sum of these.

What is summed is read from tables (`wavekit_core.wavelets.kernels.cuda`), so every border, operator and size is the same to
the kernels. In a table -1 is nowhere. As a block's rows are summed with weights that may be 0, a number that is not finite
spoils the block, not only the results it belongs to.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _along(x, start, there, places, weights, first, last, terms, j, count, low, high):  # type: ignore[no-untyped-def]
    """Adds terms `first` to `last` of the pairs `j` to `low` and `high` (rows, pairs). `start` (rows,): where rows begin in x."""
    for term in range(first, last):
        place = tl.load(places + term * count + j, j < count, -1)
        number = tl.load(x + (start[:, None] + place[None, :]), there[:, None] & (place >= 0)[None, :], 0.0)
        low += tl.load(weights + term * count + j, j < count, 0.0)[None, :] * number
        high += tl.load(weights + (terms + term) * count + j, j < count, 0.0)[None, :] * number
    return low, high


@triton.jit
def _down(weights, m, low, high, ROWS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Both results of the pair of rows m, of the low and of the high pairs of columns."""
    k = tl.arange(0, ROWS)
    first = tl.load(weights + 2 * m * ROWS + k)[:, None]
    second = tl.load(weights + (2 * m + 1) * ROWS + k)[:, None]
    return tl.sum(first * low, 0), tl.sum(second * low, 0), tl.sum(first * high, 0), tl.sum(second * high, 0)


@triton.jit
def _place(h, w, step, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]
    """This program's plane, its block down the columns, and its pairs of columns."""
    program = tl.program_id(0)
    across, down = tl.cdiv(w, COLUMNS), tl.cdiv(h, step)
    j = (program % across) * COLUMNS + tl.arange(0, COLUMNS)
    return (program // (across * down)).to(tl.int64), program // across % down, j


@triton.jit(do_not_specialize=["height", "h", "step", "terms", "lows"])
def split_image(x, a, d, places, weights, rows, sums, height, width, h, w, step, terms, lows,
                ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]  # fmt: skip
    """One level of x (P, height, width) to a (P, h, w) and d (P, 3, h, w).

    Along: `places` (terms, w) and `weights` (2, terms, w). Down: the `rows` (blocks, ROWS) that `step` pairs of rows need, and
    their weights `sums` (h, 2, ROWS).
    """
    plane, block, j = _place(h, w, step, COLUMNS)
    row = tl.load(rows + block * ROWS + tl.arange(0, ROWS))
    low = tl.zeros((ROWS, COLUMNS), x.dtype.element_ty)
    high = tl.zeros((ROWS, COLUMNS), x.dtype.element_ty)
    low, high = _along(
        x + plane * height * width, row * width, row >= 0, places, weights, 0, lows, terms, j, w, low, high
    )
    for m in range(block * step, tl.minimum((block + 1) * step, h)):
        approx, cH, cV, cD = _down(sums, m, low, high, ROWS)
        tl.store(a + (plane * h + m) * w + j, approx, j < w)
        tl.store(d + (plane * 3 * h + m) * w + j, cH, j < w)
        tl.store(d + ((plane * 3 + 1) * h + m) * w + j, cV, j < w)
        tl.store(d + ((plane * 3 + 2) * h + m) * w + j, cD, j < w)


@triton.jit(do_not_specialize=["height", "h", "step", "terms", "lows"])
def join_image(x, a, d, places, weights, rows, sums, height, width, h, w, step, terms, lows,
               ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]  # fmt: skip
    """The opposite direction. Along, the first `lows` terms are low-pass coefficients; down, the rows from h on are
    high-pass ones."""
    pairs = (width + 1) // 2
    plane, block, j = _place((height + 1) // 2, pairs, step, COLUMNS)
    row = tl.load(rows + block * ROWS + tl.arange(0, ROWS))
    even = tl.zeros((ROWS, COLUMNS), x.dtype.element_ty)
    odd = tl.zeros((ROWS, COLUMNS), x.dtype.element_ty)
    a, d = a + plane * h * w, d + plane * 3 * h * w
    even, odd = _along(a, row * w, (row >= 0) & (row < h), places, weights, 0, lows, terms, j, pairs, even, odd)
    even, odd = _along(d, (row - h) * w, row >= h, places, weights, 0, lows, terms, j, pairs, even, odd)  # cH
    even, odd = _along(
        d, (row + h) * w, row >= 0, places, weights, lows, terms, terms, j, pairs, even, odd
    )  # cV and cD
    column = 2 * ((tl.program_id(0) % tl.cdiv(pairs, COLUMNS)) * COLUMNS) + tl.arange(0, 2 * COLUMNS)
    for m in range(block * step, tl.minimum((block + 1) * step, (height + 1) // 2)):
        top_even, bottom_even, top_odd, bottom_odd = _down(sums, m, even, odd, ROWS)
        at_top = x + (plane * height + 2 * m) * width + column
        tl.store(at_top, tl.reshape(tl.join(top_even, top_odd), (2 * COLUMNS,)), column < width)
        if 2 * m + 1 < height:
            tl.store(at_top + width, tl.reshape(tl.join(bottom_even, bottom_odd), (2 * COLUMNS,)), column < width)


@triton.jit(do_not_specialize=["planes", "terms", "lows"])
def split_signal(x, a, d, places, weights, planes, width, w, terms, lows,
                 ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]  # fmt: skip
    """One level of signals x (P, width) to a and d (P, w)."""
    _, block, j = _place(planes, w, ROWS, COLUMNS)
    row = (block * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    low = tl.zeros((ROWS, COLUMNS), x.dtype.element_ty)
    high = tl.zeros((ROWS, COLUMNS), x.dtype.element_ty)
    low, high = _along(x, row * width, row < planes, places, weights, 0, lows, terms, j, w, low, high)
    there = (row < planes)[:, None] & (j < w)[None, :]
    tl.store(a + (row * w)[:, None] + j[None, :], low, there)
    tl.store(d + (row * w)[:, None] + j[None, :], high, there)


@triton.jit(do_not_specialize=["planes", "terms", "lows"])
def join_signal(x, a, d, places, weights, planes, width, w, terms, lows,
                ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]  # fmt: skip
    """The opposite direction."""
    pairs = (width + 1) // 2
    _, block, j = _place(planes, pairs, ROWS, COLUMNS)
    row = (block * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    even = tl.zeros((ROWS, COLUMNS), x.dtype.element_ty)
    odd = tl.zeros((ROWS, COLUMNS), x.dtype.element_ty)
    even, odd = _along(a, row * w, row < planes, places, weights, 0, lows, terms, j, pairs, even, odd)
    even, odd = _along(d, row * w, row < planes, places, weights, lows, terms, terms, j, pairs, even, odd)
    there = (row < planes)[:, None]
    at = x + (row * width)[:, None] + (2 * j)[None, :]
    tl.store(at, even, there & (2 * j < width)[None, :])
    tl.store(at + 1, odd, there & (2 * j + 1 < width)[None, :])
