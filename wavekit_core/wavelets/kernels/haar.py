"""The Haar wavelet: its bank, and its kernel on the CPU.

A block of four pixels makes one number of each band and nothing else, so an image goes through once, all levels of it one
after the other while they are in the cache. Results go past the caches (`vectors.stream`).

The last sample of an odd axis is alone: its coefficients are `low` and `high` times itself, and the synthesis gives it as
`low` and `high` times them; the two factors depend on mode and direction (`ends`).
"""

from __future__ import annotations

import math
from typing import Any

from wavekit_core.compiled import compiled, inlined
from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.kernels.vectors import (
    ahead,
    evens,
    load,
    odds,
    pointer,
    splat,
    store,
    stream,
    zipped_first,
    zipped_last,
)
from wavekit_core.wavelets.plan import Plan

HAAR = FilterBank.from_scaling("haar", (math.sqrt(0.5), math.sqrt(0.5)))


def serves(plan: Plan) -> bool:
    """Images, and Haar's filters; at odd sizes where the last sample is alone."""
    bank = plan.bank
    same = bank.dec_lo == HAAR.dec_lo and bank.dec_hi == HAAR.dec_hi and bank.rec_lo == HAAR.rec_lo
    odd = any(n % 2 for size in plan.sizes[:-1] for n in size)
    return same and plan.axes == 2 and not (odd and plan.mode in ("reflect", "periodic"))


def ends(plan: Plan, operator: str) -> tuple[float, float]:
    """√2 times the two factors of the last sample of an odd axis."""
    if (operator == "split") is plan.transposed:  # the synthesis, or its adjoint
        return (1.0, 0.0) if plan.mode == "whole-symmetric" else (1.0, 1.0)
    return (1.0, 1.0) if plan.mode == "zero" else (2.0, 0.0)


def _splitting(lanes: int) -> Any:
    @inlined
    def blocks(x, j, row, a, d, band, half, past):  # type: ignore[no-untyped-def]
        """Blocks j to j + lanes of two rows at x, `row` apart, to the approximation at a and the details at d."""
        halves = splat(half, lanes)
        p, q = load(x, 2 * j, lanes), load(x, 2 * j + lanes, lanes)
        r, s = load(x, 2 * j + row, lanes), load(x, 2 * j + lanes + row, lanes)
        p, q, r, s = (p + r) * halves, (q + s) * halves, (p - r) * halves, (q - s) * halves
        low_even, low_odd, high_even, high_odd = evens(p, q), odds(p, q), evens(r, s), odds(r, s)
        store(a, j, low_even + low_odd)
        if past:
            stream(d, j, high_even + high_odd)
            stream(d, j + band, low_even - low_odd)
            stream(d, j + 2 * band, high_even - high_odd)
        else:
            store(d, j, high_even + high_odd)
            store(d, j + band, low_even - low_odd)
            store(d, j + 2 * band, high_even - high_odd)

    return blocks


def _joining(lanes: int) -> Any:
    @inlined
    def blocks(x, j, row, a, d, band, half, past):  # type: ignore[no-untyped-def]
        """The opposite direction."""
        halves = splat(half, lanes)
        p, q, r, s = load(a, j, lanes), load(d, j + band, lanes), load(d, j, lanes), load(d, j + 2 * band, lanes)
        even_low, odd_low, even_high, odd_high = (p + q) * halves, (p - q) * halves, (r + s) * halves, (r - s) * halves
        p, q = even_low + even_high, odd_low + odd_high
        r, s = even_low - even_high, odd_low - odd_high
        if past:
            stream(x, 2 * j, zipped_first(p, q))
            stream(x, 2 * j + lanes, zipped_last(p, q))
            stream(x, 2 * j + row, zipped_first(r, s))
            stream(x, 2 * j + lanes + row, zipped_last(r, s))
        else:
            store(x, 2 * j, zipped_first(p, q))
            store(x, 2 * j + lanes, zipped_last(p, q))
            store(x, 2 * j + row, zipped_first(r, s))
            store(x, 2 * j + lanes + row, zipped_last(r, s))

    return blocks


_split16, _split4, _split1 = map(_splitting, (16, 4, 1))
_join16, _join4, _join1 = map(_joining, (16, 4, 1))


@compiled
def _split_level(x, height, width, a, d, half, low, high, past):  # type: ignore[no-untyped-def]
    """x (height, width) to a (h, w) and d (3, h, w), halves of the sizes rounded up."""
    w = (width + 1) // 2
    band = (height + 1) // 2 * w
    for _ in range(height // 2):
        j = 0
        while 2 * (j + 16) <= width:
            _split16(x, j, width, a, d, band, half, past)
            j += 16
        while 2 * (j + 4) <= width:
            _split4(x, j, width, a, d, band, half, False)
            j += 4
        while 2 * (j + 1) <= width:
            _split1(x, j, width, a, d, band, half, False)
            j += 1
        if width % 2:
            p, r = (x[2 * j] + x[2 * j + width]) * half, (x[2 * j] - x[2 * j + width]) * half
            a[j], d[j], d[j + band], d[j + 2 * band] = p * low, r * low, p * high, r * high
        x, a, d = ahead(x, 2 * width), ahead(a, w), ahead(d, w)
    if height % 2:
        for j in range(width // 2):
            p, q = (x[2 * j] + x[2 * j + 1]) * half, (x[2 * j] - x[2 * j + 1]) * half
            a[j], d[j], d[j + band], d[j + 2 * band] = p * low, p * high, q * low, q * high
        if width % 2:
            p, j = x[width - 1] * half, width // 2
            a[j], d[j], d[j + band], d[j + 2 * band] = p * low * low, p * low * high, p * low * high, p * high * high


@compiled
def _join_level(x, height, width, a, d, half, low, high, past):  # type: ignore[no-untyped-def]
    """The opposite direction."""
    w = (width + 1) // 2
    band = (height + 1) // 2 * w
    for _ in range(height // 2):
        j = 0
        while 2 * (j + 16) <= width:
            _join16(x, j, width, a, d, band, half, past)
            j += 16
        while 2 * (j + 4) <= width:
            _join4(x, j, width, a, d, band, half, False)
            j += 4
        while 2 * (j + 1) <= width:
            _join1(x, j, width, a, d, band, half, False)
            j += 1
        if width % 2:
            p, r = (a[j] * low + d[j + band] * high) * half, (d[j] * low + d[j + 2 * band] * high) * half
            x[2 * j], x[2 * j + width] = p + r, p - r
        x, a, d = ahead(x, 2 * width), ahead(a, w), ahead(d, w)
    if height % 2:
        for j in range(width // 2):
            p, q = a[j] * low + d[j] * high, d[j + band] * low + d[j + 2 * band] * high
            x[2 * j], x[2 * j + 1] = (p + q) * half, (p - q) * half
        if width % 2:
            j = width // 2
            p, q = a[j] * low + d[j] * high, d[j + band] * low + d[j + 2 * band] * high
            x[width - 1] = (p * low + q * high) * half


@compiled
def split(first, last, room, half, x, approx, details, sizes, kept, low, high, past):  # type: ignore[no-untyped-def]
    """All levels of the images from `first` to `last`: x to approx and, finest first, the details at the addresses `details`.

    `sizes`: of the image and of each level's bands. `room`: approximations between levels, which take turns, the first
    in `kept` numbers. `past`: how many
    levels' results, from the finest on, may go past the caches, as their rows are whole cache lines.
    """
    levels = len(details)
    image = pointer(x, half)
    for plane in range(first, last):
        source = ahead(image, plane * sizes[0, 0] * sizes[0, 1])
        for k in range(levels):
            h, w = sizes[k + 1]
            if k == levels - 1:
                target = ahead(pointer(approx, half), plane * h * w)
            else:
                target = ahead(pointer(room, half), k % 2 * kept)
            d = ahead(pointer(details[k], half), plane * 3 * h * w)
            _split_level(source, sizes[k, 0], sizes[k, 1], target, d, half, low, high, k < past)
            source = target


@compiled
def join(first, last, room, half, x, approx, details, sizes, kept, low, high, past):  # type: ignore[no-untyped-def]
    """The opposite direction."""
    levels = len(details)
    for plane in range(first, last):
        h, w = sizes[levels]
        source = ahead(pointer(approx, half), plane * h * w)
        for k in range(levels - 1, -1, -1):
            h, w = sizes[k + 1]
            if k == 0:
                target = ahead(pointer(x, half), plane * sizes[0, 0] * sizes[0, 1])
            else:
                target = ahead(pointer(room, half), (k + 1) % 2 * kept)
            d = ahead(pointer(details[k], half), plane * 3 * h * w)
            _join_level(target, sizes[k, 0], sizes[k, 1], source, d, half, low, high, k < past)
            source = target
