"""What a decision of the stream is conditioned on: the contexts of `rangecoder.code`.

Everything is read off `known` (int32, 2 |α̃| / T_f by place) and `sign` (int8) of the places around, as they are at that moment:
places visited earlier have this plane's bit, the others the last one's. A place counts as ⌊|α̃| / T⌋: 0 not found, 1 found in this
plane, 3 in the one before, and so on. Neighbours, eight of a coefficient and the ring around a group or a block, stand beside
the parent, the same place in the channels before, and how much of a dissolved group or block is still without anything.
"""

from __future__ import annotations

import numpy as np

from wavekit_core.compiled import inlined

BLOCK, GROUP, COEFFICIENT, SIGN, REFINEMENT, AREA = range(6)  # kinds of decisions
KINDS = ("blocks", "groups", "coefficients", "signs", "refinements", "areas")
_CLASS = np.array([0, 1, 1, 2])  # of a band: LL; HL and LH (turned); HH


def _steps(edges: list[int], size: int) -> np.ndarray:
    return np.searchsorted(edges, np.arange(size), side="right").astype(np.int64)


_FINE = _steps([1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 26, 34, 44, 60], 256)  # 15 steps
_COARSE = _steps([1, 3, 6, 10, 16, 28], 256)  # 7 steps
_RING = _steps([1, 2, 3, 5, 8, 12, 18], 256)  # 8 steps


@inlined
def _seen(known, at, shift, most):  # type: ignore[no-untyped-def]
    return min(known[at] >> shift, most)


@inlined
def _before(known, at, shift, channel, channel_size, most):  # type: ignore[no-untyped-def]
    """The same place in the channels before: 0 … (most + 1)² - 1."""
    if channel == 0:
        return 0
    if channel == 1:
        return min(known[at - channel_size] >> shift, (most + 1) ** 2 - 1)
    one, other = known[at - channel_size] >> shift, known[at - 2 * channel_size] >> shift
    return min(one, most) * (most + 1) + min(other, most)


@inlined
def around(known, at, stride, side, shift):  # type: ignore[no-untyped-def]
    """The ring around a square of `side` places, in 8 steps."""
    total = 0
    for i in range(-1, side + 1):
        total += _seen(known, at - stride + i, shift, 3) + _seen(known, at + side * stride + i, shift, 3)
    for i in range(side):
        total += _seen(known, at + i * stride - 1, shift, 3) + _seen(known, at + i * stride + side, shift, 3)
    return _RING[min(total, 255)]


@inlined
def of_area(busy, at, row, column, rows, columns, above, channel_areas, where):  # type: ignore[no-untyped-def]
    """`busy` uint8: the areas that have found something; `at` is this one in it, at `row` and `column` of those of its band;
    `above`: whether that of the parents has, 2 if there is none."""
    channel, level, band, plane = where
    left, right, up, down = column > 0, column < columns - 1, row > 0, row < rows - 1
    beside, corners = 0, 0
    if left:
        beside += busy[at - 1]
    if right:
        beside += busy[at + 1]
    if up:
        beside += busy[at - columns]
        if left:
            corners += busy[at - columns - 1]
        if right:
            corners += busy[at - columns + 1]
    if down:
        beside += busy[at + columns]
        if left:
            corners += busy[at + columns - 1]
        if right:
            corners += busy[at + columns + 1]
    others = busy[at - channel_areas] if channel else 0
    if channel > 1:
        others += 2 * busy[at - 2 * channel_areas]
    kind = _CLASS[band]
    a = ((above * 5 + beside) * 5 + corners) * 4 + others
    b = (((channel * 8 + level) * 3 + kind) * 5 + beside) * 3 + above
    c = (((plane * 8 + level) * 3 + channel) * 4 + others) * 2 + (above == 1)
    return 6144 + a, 4096 + b, 11264 + c


@inlined
def of_block(known, at, stride, side, parent, parent_stride, shift, where, others):  # type: ignore[no-untyped-def]
    """`side`: places of the block in the band of its first place; `where`: (channel, level, band, plane); `others`: 0 … 3, which
    channels before have found something here."""
    channel, level, band, plane = where
    ring = around(known, at, stride, side, shift)
    above = 0
    if parent:
        above = _seen(known, parent, shift, 3) + _seen(known, parent + 1, shift, 3)
        above += _seen(known, parent + parent_stride, shift, 3) + _seen(known, parent + parent_stride + 1, shift, 3)
    above = min(above, 7)
    a = ((channel * 8 + level) * 3 + _CLASS[band]) * 8 + ring
    b = ((above * 8 + ring) * 4 + others) * 2 + (channel > 0)
    c = (((plane * 8 + level) * 3 + channel) * 4 + others) * 4 + min(above, 3)
    return a, b, c


@inlined
def of_group(known, at, stride, parent, shift, where, others, fresh):  # type: ignore[no-untyped-def]
    """`fresh`: 0 of a block dissolved earlier, otherwise 1 + groups that were empty in it."""
    channel, level, band, plane = where
    ring = around(known, at, stride, 2, shift)
    above = _seen(known, parent, shift, 4) if parent else 0
    a = (((channel * 8 + level) * 3 + _CLASS[band]) * 8 + ring) * 2 + (fresh > 0)
    b = (((above * 8 + ring) * 4 + others) * 5 + fresh) * 2 + (channel > 0)
    c = (((plane * 8 + level) * 3 + channel) * 5 + fresh) * 4 + others
    return 1024 + a, 2048 + b, 3072 + c


@inlined
def _neighbours(known, at, stride, shift, band):  # type: ignore[no-untyped-def]
    """Sums along the edges that the band answers to, across them, and of the corners."""
    beside = _seen(known, at - 1, shift, 6) + _seen(known, at + 1, shift, 6)
    over = _seen(known, at - stride, shift, 6) + _seen(known, at + stride, shift, 6)
    corners = _seen(known, at - stride - 1, shift, 4) + _seen(known, at - stride + 1, shift, 4)
    corners += _seen(known, at + stride - 1, shift, 4) + _seen(known, at + stride + 1, shift, 4)
    if band == 1:
        return over, beside, corners
    return beside, over, corners


@inlined
def of_coefficient(known, at, stride, parent, channel_size, shift, where, fresh):  # type: ignore[no-untyped-def]
    """`fresh`: 0 of a group dissolved earlier, otherwise 1 + zeros that were in it."""
    channel, level, band, _ = where
    along, across, corners = _neighbours(known, at, stride, shift, band)
    total = 3 * along + 2 * across + corners
    kind = _CLASS[band]
    above = _seen(known, parent, shift, 4) if parent else 0
    before = _before(known, at, shift, channel, channel_size, 2)
    a = ((channel * 6 + min(level, 5)) * 3 + kind) * 15 + _FINE[min(total, 255)]
    b = (((min(along, 4) * 5 + min(across, 4)) * 5 + min(corners, 4)) * 5 + fresh) * 3 + kind
    c = (((above * 9 + before) * 7 + _COARSE[min(total, 255)]) * 3 + channel) * 2 + (fresh > 0)
    return 3072 + a, 8192 + b, 7168 + c


@inlined
def of_sign(sign, at, stride, channel_size, where):  # type: ignore[no-untyped-def]
    channel, _, band, _ = where
    left, right, up, down = sign[at - 1], sign[at + 1], sign[at - stride], sign[at + stride]
    beside, over = min(max(left + right, -1), 1) + 1, min(max(up + down, -1), 1) + 1
    first = sign[at - channel_size] + 1 if channel else 1
    second = sign[at - 2 * channel_size] + 1 if channel > 1 else 1
    a = ((channel * 4 + band) * 3 + beside) * 3 + over
    b = ((channel * 4 + band) * 3 + first) * 3 + second
    c = (((band * 3 + left + 1) * 3 + right + 1) * 3 + up + 1) * 3 + down + 1
    return 5120 + a, 12288 + b, 9216 + c


@inlined
def of_refinement(known, at, stride, parent, channel_size, shift, where):  # type: ignore[no-untyped-def]
    channel, level, band, _ = where
    size = known[at] >> shift
    age = 0 if size == 3 else (1 if size < 8 else 2)  # found in the plane before, in the one before that, earlier
    along, across, corners = _neighbours(known, at, stride, shift, band)
    total = 3 * along + 2 * across + corners
    above = _seen(known, parent, shift, 4) if parent else 0
    a = (channel * 3 + age) * 15 + _FINE[min(total, 255)]
    b = ((channel * 8 + level) * 4 + band) * 3 + age
    c = ((above * 9 + _before(known, at, shift, channel, channel_size, 2)) * 3 + age) * 3 + channel
    return 5632 + a, 12800 + b, 10240 + c
