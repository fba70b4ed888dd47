"""The kernel of the lifting programs on the CPU (`wavekit_core.wavelets.kernels.lifting`)."""

from __future__ import annotations

from typing import Any

from wavekit_core.compiled import compiled, inlined
from wavekit_core.wavelets.kernels.lifting import CHAIN, FINISH, LIFT, LOAD, SPARE, WIDTH
from wavekit_core.wavelets.kernels.lifting_along import join_row, scaled, split_row
from wavekit_core.wavelets.kernels.vectors import (
    ahead,
    fma,
    load,
    pointer,
    splat,
    store,
    stream,
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


_lift64, _lift16, _lift4, _lift1 = map(_lifting, (64, 16, 4, 1))
_two16, _two4, _two1 = (_chaining(lanes, False) for lanes in (16, 4, 1))
_four16, _four4, _four1 = (_chaining(lanes, True) for lanes in (16, 4, 1))
_finish16, _finish4, _finish1 = (_finishing(lanes, False) for lanes in (16, 4, 1))
_finish_four16, _finish_four4, _finish_four1 = (_finishing(lanes, True) for lanes in (16, 4, 1))


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
            split_row(ahead(x, row * width), width, z, even, odd, along, one)
        else:
            i, parity = row // 2, row % 2
            left = ahead(d, i * w) if parity else ahead(a, i * w)
            scaled(even, w, scales[2 * parity], left, past and parity)
            scaled(odd, odd_width, scales[2 * parity + 1], ahead(d, (1 + parity) * band + i * w), past)
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
            scaled(left, w, scales[2 * parity], even, False)
            scaled(ahead(d, (1 + parity) * band + i * w), odd_width, scales[2 * parity + 1], odd, False)
        else:
            join_row(even, odd, width, z, ahead(x, row * width), along, past, one)
