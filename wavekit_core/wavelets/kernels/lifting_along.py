"""Lifting along a row (`wavekit_core.wavelets.kernels.lifting`): all steps at once, a vector at a time."""

from __future__ import annotations

from typing import Any

from wavekit_core.compiled import compiled, inlined, pasted
from wavekit_core.wavelets.kernels.lifting import CIRCULAR, FOLDED, REACH
from wavekit_core.wavelets.kernels.vectors import (
    evens,
    fma,
    following,
    load,
    odds,
    preceding,
    splat,
    store,
    stream,
    zipped_first,
    zipped_last,
)


def _scaling(lanes: int) -> Any:
    @inlined
    def scale(row, j, factor, out, past):  # type: ignore[no-untyped-def]
        x = load(row, j, lanes) * splat(factor, lanes)
        if past:
            stream(out, j, x)
        else:
            store(out, j, x)

    return scale


_scale16, _scale4, _scale1 = map(_scaling, (16, 4, 1))


@compiled
def scaled(row, count, factor, out, past):  # type: ignore[no-untyped-def]
    """out = factor · row, `count` numbers."""
    j = 0
    while j + 16 <= count:
        _scale16(row, j, factor, out, past)
        j += 16
    while j + 4 <= count:
        _scale4(row, j, factor, out, False)
        j += 4
    while j < count:
        _scale1(row, j, factor, out, False)
        j += 1


# Along a row, two or four steps at once, a vector of 16 pairs at a time: from natural order at `z` to even and odd samples, or
# (not `splitting`) from these to `z`. It begins a vector before the row, and ends with the one that holds pair `count` - 1. With
# `wrap`, the row is a circle of that many pairs, whole vectors; nothing beyond it is read, and it is written `past` the caches
# on request.
#
# A pair of steps needs the vectors that follow, and carries one over: of odd samples those before, after their step; of even
# ones, if the first step is theirs, those of this vector, which are already done. The third and fourth step go a vector behind.


@inlined
def _fetch(splitting, z, even, odd, j, wrap):  # type: ignore[no-untyped-def]
    if wrap:
        j = j + wrap if j < 0 else j
        while j >= wrap:
            j -= wrap
    if splitting:
        a, b = load(z, 2 * j, 16), load(z, 2 * j + 16, 16)
        return evens(a, b), odds(a, b)
    return load(even, j, 16), load(odd, j, 16)


@inlined
def _put_pairs(splitting, z, even, odd, j, s, d, past):  # type: ignore[no-untyped-def]
    if splitting:
        store(even, j, s)
        store(odd, j, d)
    elif past:
        stream(z, 2 * j, zipped_first(s, d))
        stream(z, 2 * j + 16, zipped_last(s, d))
    else:
        store(z, 2 * j, zipped_first(s, d))
        store(z, 2 * j + 16, zipped_last(s, d))


@inlined
def _begin(even_first, s, d, p):  # type: ignore[no-untyped-def]
    return fma(p, preceding(d, d) + d, s) if even_first else d


@inlined
def _advance(even_first, s, d, s_after, d_after, carried, p, q):  # type: ignore[no-untyped-def]
    if even_first:
        s1_after = fma(p, preceding(d, d_after) + d_after, s_after)
        return carried, fma(q, carried + following(carried, s1_after), d), s1_after
    d1 = fma(p, s + following(s, s_after), d)
    return fma(q, preceding(carried, d1) + d1, s), d1, d1


@pasted
def _two_steps(splitting, even_first, z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
    p, q = splat(c[0], 16), splat(c[1], 16)
    s, d = _fetch(splitting, z, even, odd, -16, wrap)
    carried = _begin(even_first, s, d, p)
    for j in range(-16, count, 16):
        s_after, d_after = _fetch(splitting, z, even, odd, j + 16, wrap)
        s1, d1, carried = _advance(even_first, s, d, s_after, d_after, carried, p, q)
        if j >= 0 or not wrap:
            _put_pairs(splitting, z, even, odd, j, s1, d1, past)
        s, d = s_after, d_after


@pasted
def _four_steps(splitting, even_first, z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
    p, q, r, t = splat(c[0], 16), splat(c[1], 16), splat(c[2], 16), splat(c[3], 16)
    s, d = _fetch(splitting, z, even, odd, -16, wrap)
    s_after, d_after = _fetch(splitting, z, even, odd, 0, wrap)
    s1, d1, carried = _advance(even_first, s, d, s_after, d_after, _begin(even_first, s, d, p), p, q)
    s, d = s_after, d_after
    behind = _begin(even_first, s1, d1, r)
    for j in range(-16, count, 16):
        s_after, d_after = _fetch(splitting, z, even, odd, j + 32, wrap)
        s1_after, d1_after, carried = _advance(even_first, s, d, s_after, d_after, carried, p, q)
        s2, d2, behind = _advance(even_first, s1, d1, s1_after, d1_after, behind, r, t)
        if j >= 0 or not wrap:
            _put_pairs(splitting, z, even, odd, j, s2, d2, past)
        s, d, s1, d1 = s_after, d_after, s1_after, d1_after


@compiled
def _split_odd2(z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
    _two_steps(True, False, z, even, odd, count, c, wrap, past)


@compiled
def _split_odd4(z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
    _four_steps(True, False, z, even, odd, count, c, wrap, past)


@compiled
def _split_even2(z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
    _two_steps(True, True, z, even, odd, count, c, wrap, past)


@compiled
def _split_even4(z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
    _four_steps(True, True, z, even, odd, count, c, wrap, past)


@compiled
def _join_odd2(z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
    _two_steps(False, False, z, even, odd, count, c, wrap, past)


@compiled
def _join_odd4(z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
    _four_steps(False, False, z, even, odd, count, c, wrap, past)


@compiled
def _join_even2(z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
    _two_steps(False, True, z, even, odd, count, c, wrap, past)


@compiled
def _join_even4(z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
    _four_steps(False, True, z, even, odd, count, c, wrap, past)


@compiled
def _split_passes(z, even, odd, count, steps, c, even_first, wrap, past):  # type: ignore[no-untyped-def]
    if steps == 2 and even_first:
        _split_even2(z, even, odd, count, c, wrap, past)
    elif steps == 2:
        _split_odd2(z, even, odd, count, c, wrap, past)
    elif even_first:
        _split_even4(z, even, odd, count, c, wrap, past)
    else:
        _split_odd4(z, even, odd, count, c, wrap, past)


@compiled
def _join_passes(z, even, odd, count, steps, c, even_first, wrap, past):  # type: ignore[no-untyped-def]
    if steps == 2 and even_first:
        _join_even2(z, even, odd, count, c, wrap, past)
    elif steps == 2:
        _join_odd2(z, even, odd, count, c, wrap, past)
    elif even_first:
        _join_even4(z, even, odd, count, c, wrap, past)
    else:
        _join_odd4(z, even, odd, count, c, wrap, past)


@inlined
def _get(even, odd, k):  # type: ignore[no-untyped-def]
    return odd[k >> 1] if k & 1 else even[k >> 1]


@inlined
def _put(even, odd, k, value):  # type: ignore[no-untyped-def]
    if k & 1:
        odd[k >> 1] = value
    else:
        even[k >> 1] = value


@inlined
def _within(k, size, border):  # type: ignore[no-untyped-def]
    """The sample that stands at position k."""
    if border == CIRCULAR:
        while k < 0:
            k += size
        while k >= size:
            k -= size
    else:
        while k < 0 or k >= size:
            k = -k if k < 0 else 2 * size - 2 - k
    return k


@compiled
def split_row(row, size, z, even, odd, along, one):  # type: ignore[no-untyped-def]
    """A row of the image through all steps, to its even and odd samples. `z`: room for the row and what is beyond it."""
    even_first, steps, coefficients, border = along
    if border == CIRCULAR and size % 32 == 0:
        _split_passes(row, even, odd, size // 2, steps, coefficients, even_first, size // 2, False)
        return
    scaled(row, size, one, z, False)
    if border == FOLDED:
        nothing = splat(one - one, 16)
        store(z, -16, nothing)
        store(z, size, nothing)
    else:
        for k in range(1, REACH + 1):
            z[-k], z[size - 1 + k] = row[_within(-k, size, border)], row[_within(size - 1 + k, size, border)]
    count = (size + 1) // 2 + (REACH if border == FOLDED else 0)
    _split_passes(z, even, odd, count, steps, coefficients, even_first, 0, False)
    if border == FOLDED:
        for k in range(1, REACH):
            at = _within(-k, size, border)
            _put(even, odd, at, _get(even, odd, at) + _get(even, odd, -k))
            at = _within(size - 1 + k, size, border)
            _put(even, odd, at, _get(even, odd, at) + _get(even, odd, size - 1 + k))


@compiled
def join_row(even, odd, size, z, row, along, past, one):  # type: ignore[no-untyped-def]
    """The opposite direction."""
    even_first, steps, coefficients, border = along
    if border == CIRCULAR and size % 32 == 0:
        _join_passes(row, even, odd, size // 2, steps, coefficients, even_first, size // 2, past)
        return
    if border == FOLDED:
        nothing = splat(one - one, 16)
        store(even, -16, nothing)
        store(odd, -16, nothing)
        store(even, (size + 1) // 2, nothing)
        store(odd, size // 2, nothing)
    else:
        for k in range(1, REACH + 1):
            _put(even, odd, -k, _get(even, odd, _within(-k, size, border)))
            _put(even, odd, size - 1 + k, _get(even, odd, _within(size - 1 + k, size, border)))
    count = (size + 1) // 2 + (REACH if border == FOLDED else 0)
    _join_passes(z, even, odd, count, steps, coefficients, even_first, 0, False)
    if border == FOLDED:
        for k in range(1, REACH):
            z[_within(-k, size, border)] += z[-k]
            z[_within(size - 1 + k, size, border)] += z[size - 1 + k]
    scaled(z, size, one, row, past)
