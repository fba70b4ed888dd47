"""The kernel of the lifting programs on the CPU (`wavekit_core.wavelets.kernels.lifting`)."""

from __future__ import annotations

from typing import Any

from wavekit_core.wavelets.kernels.compiled import compiled, inlined
from wavekit_core.wavelets.kernels.lifting import CHAIN, CIRCULAR, FINISH, FOLDED, LIFT, LOAD, REACH, SPARE, WIDTH
from wavekit_core.wavelets.kernels.vectors import (
    ahead,
    evens,
    fma,
    following,
    load,
    odds,
    pointer,
    preceding,
    splat,
    store,
    stream,
    zipped_first,
    zipped_last,
)


def _lifting(lanes: int) -> Any:
    @inlined
    def lift(target, left, right, j, a, b):  # type: ignore[no-untyped-def]
        x = fma(splat(b, lanes), load(right, j, lanes), load(target, j, lanes))
        store(target, j, fma(splat(a, lanes), load(left, j, lanes), x))

    return lift


def _chaining(lanes: int, four: bool) -> Any:
    @inlined
    def two(r0, r1, r2, r3, j, weights):  # type: ignore[no-untyped-def]
        x2 = load(r2, j, lanes)
        x1 = fma(splat(weights[0], lanes), load(r0, j, lanes) + x2, load(r1, j, lanes))
        store(r1, j, x1)
        store(r2, j, fma(splat(weights[1], lanes), x1 + load(r3, j, lanes), x2))

    @inlined
    def all_four(r0, r1, r2, r3, r4, r5, j, weights):  # type: ignore[no-untyped-def]
        x2, x3, x4 = load(r2, j, lanes), load(r3, j, lanes), load(r4, j, lanes)
        x1 = fma(splat(weights[0], lanes), load(r0, j, lanes) + x2, load(r1, j, lanes))
        x2 = fma(splat(weights[1], lanes), x1 + x3, x2)
        x3 = fma(splat(weights[2], lanes), x2 + x4, x3)
        store(r1, j, x1)
        store(r2, j, x2)
        store(r3, j, x3)
        store(r4, j, fma(splat(weights[3], lanes), x3 + load(r5, j, lanes), x4))

    return all_four if four else two


def _finishing(lanes: int, four: bool) -> Any:
    """A chain whose last two rows go, scaled, to where they belong."""

    @inlined
    def finish(r0, r1, r2, r3, r4, r5, j, weights, out4, scale4, past4, out5, scale5, past5):  # type: ignore[no-untyped-def]
        if four:
            x2, x3, x4, x5 = load(r2, j, lanes), load(r3, j, lanes), load(r4, j, lanes), load(r5, j, lanes)
            x1 = fma(splat(weights[0], lanes), load(r0, j, lanes) + x2, load(r1, j, lanes))
            x2 = fma(splat(weights[1], lanes), x1 + x3, x2)
            x3 = fma(splat(weights[2], lanes), x2 + x4, x3)
            store(r1, j, x1)
            store(r2, j, x2)
            store(r3, j, x3)
            x4 = fma(splat(weights[3], lanes), x3 + x5, x4)
        else:
            x2, x4, x5 = load(r1, j, lanes), load(r2, j, lanes), load(r3, j, lanes)
            x3 = fma(splat(weights[0], lanes), load(r0, j, lanes) + x4, x2)
            store(r1, j, x3)
            x4 = fma(splat(weights[1], lanes), x3 + x5, x4)
        x4, x5 = x4 * splat(scale4, lanes), x5 * splat(scale5, lanes)
        if past4:
            stream(out4, j, x4)
        else:
            store(out4, j, x4)
        if past5:
            stream(out5, j, x5)
        else:
            store(out5, j, x5)

    return finish


def _scaling(lanes: int) -> Any:
    @inlined
    def scale(row, j, factor, out, past):  # type: ignore[no-untyped-def]
        x = load(row, j, lanes) * splat(factor, lanes)
        if past:
            stream(out, j, x)
        else:
            store(out, j, x)

    return scale


_lift64, _lift16, _lift4, _lift1 = map(_lifting, (64, 16, 4, 1))
_two16, _two4, _two1 = (_chaining(lanes, False) for lanes in (16, 4, 1))
_four16, _four4, _four1 = (_chaining(lanes, True) for lanes in (16, 4, 1))
_finish16, _finish4, _finish1 = (_finishing(lanes, False) for lanes in (16, 4, 1))
_finish_four16, _finish_four4, _finish_four1 = (_finishing(lanes, True) for lanes in (16, 4, 1))
_scale16, _scale4, _scale1 = map(_scaling, (16, 4, 1))


@compiled
def _lift(target, left, right, count, a, b):  # type: ignore[no-untyped-def]
    """target += a · left + b · right, `count` numbers."""
    j = 0
    while j + 64 <= count:
        _lift64(target, left, right, j, a, b)
        j += 64
    while j + 16 <= count:
        _lift16(target, left, right, j, a, b)
        j += 16
    while j + 4 <= count:
        _lift4(target, left, right, j, a, b)
        j += 4
    while j < count:
        _lift1(target, left, right, j, a, b)
        j += 1


@compiled
def _chain_two(r0, r1, r2, r3, count, weights):  # type: ignore[no-untyped-def]
    j = 0
    while j + 16 <= count:
        _two16(r0, r1, r2, r3, j, weights)
        j += 16
    while j + 4 <= count:
        _two4(r0, r1, r2, r3, j, weights)
        j += 4
    while j < count:
        _two1(r0, r1, r2, r3, j, weights)
        j += 1


@compiled
def _chain_four(r0, r1, r2, r3, r4, r5, count, weights):  # type: ignore[no-untyped-def]
    j = 0
    while j + 16 <= count:
        _four16(r0, r1, r2, r3, r4, r5, j, weights)
        j += 16
    while j + 4 <= count:
        _four4(r0, r1, r2, r3, r4, r5, j, weights)
        j += 4
    while j < count:
        _four1(r0, r1, r2, r3, r4, r5, j, weights)
        j += 1


@compiled
def _scaled(row, count, factor, out, past):  # type: ignore[no-untyped-def]
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


def _passing(splitting: bool, even_first: bool, four: bool) -> Any:
    """Two or four steps along a row, a vector at a time: from natural order at `z` to even and odd samples, or from these to
    `z`. Begins a vector before the row, and ends with the one that holds pair `count` - 1. With `wrap`, the row is a circle
    of that many pairs, whole vectors; nothing beyond it is read, and it is written `past` the caches on request.

    A pair of steps needs the vectors that follow, and carries one over: of odd samples those before, after their step; of
    even ones those of this vector, which are already done. The third and fourth step go one vector behind.
    """

    @inlined
    def fetch(z, even, odd, j, wrap):  # type: ignore[no-untyped-def]
        if wrap:
            j = j + wrap if j < 0 else j
            while j >= wrap:
                j -= wrap
        if splitting:
            a, b = load(z, 2 * j, 16), load(z, 2 * j + 16, 16)
            return evens(a, b), odds(a, b)
        return load(even, j, 16), load(odd, j, 16)

    @inlined
    def put(z, even, odd, j, s, d, past):  # type: ignore[no-untyped-def]
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
    def begin(s, d, p):  # type: ignore[no-untyped-def]
        return fma(p, preceding(d, d) + d, s) if even_first else d

    @inlined
    def advance(s, d, s_after, d_after, carried, p, q):  # type: ignore[no-untyped-def]
        if even_first:
            s1_after = fma(p, preceding(d, d_after) + d_after, s_after)
            return carried, fma(q, carried + following(carried, s1_after), d), s1_after
        d1 = fma(p, s + following(s, s_after), d)
        return fma(q, preceding(carried, d1) + d1, s), d1, d1

    @compiled
    def two_steps(z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
        p, q = splat(c[0], 16), splat(c[1], 16)
        s, d = fetch(z, even, odd, -16, wrap)
        carried = begin(s, d, p)
        for j in range(-16, count, 16):
            s_after, d_after = fetch(z, even, odd, j + 16, wrap)
            s1, d1, carried = advance(s, d, s_after, d_after, carried, p, q)
            if j >= 0 or not wrap:
                put(z, even, odd, j, s1, d1, past)
            s, d = s_after, d_after

    @compiled
    def four_steps(z, even, odd, count, c, wrap, past):  # type: ignore[no-untyped-def]
        p, q, r, t = splat(c[0], 16), splat(c[1], 16), splat(c[2], 16), splat(c[3], 16)
        s, d = fetch(z, even, odd, -16, wrap)
        s_after, d_after = fetch(z, even, odd, 0, wrap)
        s1, d1, carried = advance(s, d, s_after, d_after, begin(s, d, p), p, q)
        s, d = s_after, d_after
        behind = begin(s1, d1, r)
        for j in range(-16, count, 16):
            s_after, d_after = fetch(z, even, odd, j + 32, wrap)
            s1_after, d1_after, carried = advance(s, d, s_after, d_after, carried, p, q)
            s2, d2, behind = advance(s1, d1, s1_after, d1_after, behind, r, t)
            if j >= 0 or not wrap:
                put(z, even, odd, j, s2, d2, past)
            s, d, s1, d1 = s_after, d_after, s1_after, d1_after

    return four_steps if four else two_steps


_split_odd2, _split_odd4 = _passing(True, False, False), _passing(True, False, True)
_split_even2, _split_even4 = _passing(True, True, False), _passing(True, True, True)
_join_odd2, _join_odd4 = _passing(False, False, False), _passing(False, False, True)
_join_even2, _join_even4 = _passing(False, True, False), _passing(False, True, True)


@inlined
def _split_passes(z, even, odd, count, steps, c, even_first, wrap, past):  # type: ignore[no-untyped-def]
    if steps == 2 and even_first:
        _split_even2(z, even, odd, count, c, wrap, past)
    elif steps == 2:
        _split_odd2(z, even, odd, count, c, wrap, past)
    elif even_first:
        _split_even4(z, even, odd, count, c, wrap, past)
    else:
        _split_odd4(z, even, odd, count, c, wrap, past)


@inlined
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
def _split_row(row, size, z, even, odd, along, one):  # type: ignore[no-untyped-def]
    """A row of the image through all steps, to its even and odd samples. `z`: room for the row and what is beyond it."""
    even_first, steps, coefficients, border = along
    if border == CIRCULAR and size % 32 == 0:
        _split_passes(row, even, odd, size // 2, steps, coefficients, even_first, size // 2, False)
        return
    _scaled(row, size, one, z, False)
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
def _join_row(even, odd, size, z, row, along, past, one):  # type: ignore[no-untyped-def]
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
    _scaled(z, size, one, row, past)


@compiled
def _zero(out, start, step, count):  # type: ignore[no-untyped-def]
    for j in range(count):
        out[start + j * step] = 0


@compiled
def _lift_rows(slots, move, part, steps, count, weights):  # type: ignore[no-untyped-def]
    """A LIFT or a CHAIN, of even samples and of odd ones."""
    for half in range(2):
        base = ahead(slots, half * part)
        r0, r1, r2 = ahead(base, move[1] * 2 * part), ahead(base, move[2] * 2 * part), ahead(base, move[3] * 2 * part)
        if move[0] == LIFT:
            _lift(r0, r1, r2, count, weights[0], weights[1])
        else:
            r3 = ahead(base, move[4] * 2 * part)
            if steps == 2:
                _chain_two(r0, r1, r2, r3, count, weights)
            else:
                r4, r5 = ahead(base, move[5] * 2 * part), ahead(base, move[6] * 2 * part)
                _chain_four(r0, r1, r2, r3, r4, r5, count, weights)


@compiled
def _finish_row(r0, r1, r2, r3, r4, r5, steps, count, weights, out4, scale4, past4, out5, scale5, past5):  # type: ignore[no-untyped-def]
    j = 0
    if steps == 2:
        while j + 16 <= count:
            _finish16(r0, r1, r2, r3, r3, r3, j, weights, out4, scale4, past4, out5, scale5, past5)
            j += 16
        while j + 4 <= count:
            _finish4(r0, r1, r2, r3, r3, r3, j, weights, out4, scale4, False, out5, scale5, False)
            j += 4
        while j < count:
            _finish1(r0, r1, r2, r3, r3, r3, j, weights, out4, scale4, False, out5, scale5, False)
            j += 1
    else:
        while j + 16 <= count:
            _finish_four16(r0, r1, r2, r3, r4, r5, j, weights, out4, scale4, past4, out5, scale5, past5)
            j += 16
        while j + 4 <= count:
            _finish_four4(r0, r1, r2, r3, r4, r5, j, weights, out4, scale4, False, out5, scale5, False)
            j += 4
        while j < count:
            _finish_four1(r0, r1, r2, r3, r4, r5, j, weights, out4, scale4, False, out5, scale5, False)
            j += 1


@compiled
def _finish_rows(slots, move, part, steps, w, odd_width, weights, a, d, band, scales, past):  # type: ignore[no-untyped-def]
    """A FINISH, of even samples and of odd ones."""
    row = move[steps + 3]
    i, parity = row // 2, row % 2  # and of the row above it
    k, other = (row - 1) // 2, 1 - parity
    for half in range(2):
        base = ahead(slots, half * part)
        r0, r1, r2 = ahead(base, move[1] * 2 * part), ahead(base, move[2] * 2 * part), ahead(base, move[3] * 2 * part)
        r3 = ahead(base, move[4] * 2 * part)
        r4 = r5 = r3
        if steps == 4:
            r4, r5 = ahead(base, move[5] * 2 * part), ahead(base, move[6] * 2 * part)
        band4, band5 = (2 * parity + half, 2 * other + half)
        out4 = _band(a, d, band, band4, i * w)
        out5 = _band(a, d, band, band5, k * w)
        _finish_row(r0, r1, r2, r3, r4, r5, steps, odd_width if half else w, weights, out4, scales[band4],
                    past and band4 > 0, out5, scales[band5], past and band5 > 0)  # fmt: skip


@inlined
def _band(a, d, band, which, start):  # type: ignore[no-untyped-def]
    """Number `start` of the approximation, cV, cH or cD."""
    if which == 0:
        return ahead(a, start)
    return ahead(d, (1 if which == 1 else 0 if which == 2 else 2) * band + start)


@compiled
def _part(w):  # type: ignore[no-untyped-def]
    """`lifting.part` for kernels."""
    return (w + 15) // 16 * 16 + 2 * SPARE


@compiled
def split_image(x, a, d, room, one, level):  # type: ignore[no-untyped-def]
    """One level of one image: x (height, width) to a (h, w) and d (3, h, w). `level`: the four sizes, whether the results go
    past the caches, the programs down and along, and the scales of approximation, cV, cH and cD."""
    height, width, h, w, past = level[0], level[1], level[2], level[3], level[5] > 0
    moves, weights, scales = pointer(level[7], height), pointer(level[8], one), pointer(level[18], one)
    along = (level[12], level[13], pointer(level[14], one), level[15])
    part, band, odd_width = _part(w), h * w, width // 2
    z, slots = ahead(room, 2 * SPARE), ahead(room, 2 * part + SPARE)
    for e in range(level[6]):
        move = ahead(moves, WIDTH * e)
        even = ahead(slots, move[1] * 2 * part)
        odd, row = ahead(even, part), move[2]
        if move[0] == LIFT or move[0] == CHAIN:
            _lift_rows(slots, move, part, along[1], w, ahead(weights, 4 * e))
        elif move[0] == FINISH:
            _finish_rows(slots, move, part, along[1], w, odd_width, ahead(weights, 4 * e), a, d, band, scales, past)
        elif move[0] == LOAD:
            _split_row(ahead(x, row * width), width, z, even, odd, along, one)
        else:
            i, parity = row // 2, row % 2
            left = ahead(d, i * w) if parity else ahead(a, i * w)
            _scaled(even, w, scales[2 * parity], left, past and parity)
            _scaled(odd, odd_width, scales[2 * parity + 1], ahead(d, (1 + parity) * band + i * w), past)
    if width % 2:
        _zero(d, band + w - 1, w, 2 * h)
    if height % 2:
        _zero(d, (h - 1) * w, 1, w)
        _zero(d, 3 * band - w, 1, w)


@compiled
def join_image(x, a, d, room, one, level):  # type: ignore[no-untyped-def]
    """The opposite direction."""
    height, width, h, w, past = level[0], level[1], level[2], level[3], level[5] > 0
    moves, weights, scales = pointer(level[7], height), pointer(level[8], one), pointer(level[18], one)
    along = (level[12], level[13], pointer(level[14], one), level[15])
    part, band, odd_width = _part(w), h * w, width // 2
    z, slots = ahead(room, 2 * SPARE), ahead(room, 2 * part + SPARE)
    for e in range(level[6]):
        move = ahead(moves, WIDTH * e)
        even = ahead(slots, move[1] * 2 * part)
        odd, row = ahead(even, part), move[2]
        if move[0] == LIFT or move[0] == CHAIN:
            _lift_rows(slots, move, part, along[1], w, ahead(weights, 4 * e))
        elif move[0] == LOAD:
            i, parity = row // 2, row % 2
            left = ahead(d, i * w) if parity else ahead(a, i * w)
            _scaled(left, w, scales[2 * parity], even, False)
            _scaled(ahead(d, (1 + parity) * band + i * w), odd_width, scales[2 * parity + 1], odd, False)
        else:
            _join_row(even, odd, width, z, ahead(x, row * width), along, past, one)
