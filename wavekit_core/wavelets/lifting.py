"""Lifting: the 5/3 and the 9/7 wavelet on the CPU, as steps that each add neighbours to every second sample.

A step adds c · (x[t - 1] + x[t + 1]) to every odd, or every even, x[t] (Daubechies & Sweldens, J. Fourier Anal. Appl. 4,
1998). The inverse undoes the steps in the opposite order, the adjoint goes through their transposes in the opposite order;
all four operators are therefore lists of such steps with other weights at the border, and a scale a band.

Down the columns the steps are put in an order in which a row is loaded once, goes through all of them while its neighbours
are there, and is stored once (`row_program`). A handful of rows is kept, whatever the size of the image. Along a row, all
steps are done at once on vectors of 16 pairs, after a few samples have been added at its ends (`_pass2`, `_pass4`).

Serves float32: PyWavelets' taps of the 9/7 wavelet are rounded to 12 digits, and lifting is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from wavekit_core.wavelets.borders import source
from wavekit_core.wavelets.compiled import compiled, inlined
from wavekit_core.wavelets.filters import FilterBank
from wavekit_core.wavelets.plan import Plan
from wavekit_core.wavelets.vectors import (
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


@dataclass(frozen=True)
class Scheme:
    """Steps with these coefficients, on odd samples first and then by turns; then even ones times `scale`, odd ones by
    -`scale`. `bank` is PyWavelets' bank that this equals."""

    bank: FilterBank
    coefficients: tuple[float, ...]
    scale: float


SCHEMES = (
    Scheme(FilterBank.from_pywt("bior2.2"), (-0.5, 0.25), 2**0.5),
    Scheme(
        FilterBank.from_pywt("bior4.4"),
        (-1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971),
        1.149604398860241,
    ),
)


def scheme_of(bank: FilterBank) -> Scheme | None:
    """The scheme with the taps of `bank`."""
    taps = (bank.dec_lo, bank.dec_hi, bank.rec_lo, bank.rec_hi)
    for scheme in SCHEMES:
        if taps == (scheme.bank.dec_lo, scheme.bank.dec_hi, scheme.bank.rec_lo, scheme.bank.rec_hi):
            return scheme
    return None


def serves(plan: Plan) -> bool:
    """Images with one of the two banks: of any size in `whole-symmetric`, even at every level in `periodization`."""
    even = all(n % 2 == 0 for size in plan.sizes[:-1] for n in size)
    border = plan.mode == "whole-symmetric" or (plan.mode == "periodization" and even)
    large = all(n > 1 for size in plan.sizes[:-1] for n in size)
    return plan.axes == 2 and border and large and scheme_of(plan.bank) is not None


class Step(NamedTuple):
    """x[t] += left · x[l] + right · x[r] for every (t, l, r) of `places` and (left, right) of `weights`."""

    places: list[tuple[int, int, int]]
    weights: list[tuple[float, float]]


def steps_of(plan: Plan, operator: str, size: int) -> tuple[list[Step], tuple[float, float]]:
    """The steps of `split` or `join` along an axis of `size`, and the scales of low- and high-pass coefficients, which
    come after the steps of a split and before those of a join."""
    scheme = scheme_of(plan.bank)
    assert scheme is not None
    steps = [_step(size, 1 - k % 2, c, plan.mode) for k, c in enumerate(scheme.coefficients)]
    scales = (scheme.scale, -1 / scheme.scale)
    if plan.transposed:
        steps = [_transposed(step) for step in steps]
    if (operator == "split") is plan.transposed:  # the synthesis, or its adjoint
        steps = [Step(step.places, [(-a, -b) for a, b in step.weights]) for step in steps]
        scales = (1 / scales[0], 1 / scales[1])
    return steps if operator == "split" else steps[::-1], scales


def _step(size: int, parity: int, coefficient: float, mode: str) -> Step:
    border: Any = "reflect" if mode == "whole-symmetric" else "periodic"
    places = [(t, source(t - 1, size, border), source(t + 1, size, border)) for t in range(parity, size, 2)]
    return Step(places, [(coefficient, coefficient)] * len(places))


def _transposed(step: Step) -> Step:
    """x[l] += left · x[t] and x[r] += right · x[t], gathered by target, of which each has one or two sources."""
    gathered: dict[int, dict[int, float]] = {}
    for (t, *sources), weights in zip(step.places, step.weights, strict=True):
        for target, weight in zip(sources, weights, strict=True):
            terms = gathered.setdefault(target, {})
            terms[t] = terms.get(t, 0.0) + weight
    transposed = Step([], [])
    for target, terms in sorted(gathered.items()):
        first, second = [*sorted(terms.items()), (next(iter(terms)), 0.0)][:2]
        transposed.places.append((target, first[0], second[0]))
        transposed.weights.append((first[1], second[1]))
    return transposed


LOAD, LIFT, STORE = 0, 1, 2


class RowProgram(NamedTuple):
    """`moves` (n, 4): LOAD slot row, LIFT slot slot-of-l slot-of-r, STORE slot row; `weights` (n, 2) of the LIFTs; number
    of `slots`; the two `scales`."""

    moves: np.ndarray
    weights: np.ndarray
    slots: int
    scales: tuple[float, float]

    def addresses(self) -> tuple[int, ...]:
        """What the kernels take: an array would be counted at every access, which is slower than the steps."""
        return (len(self.moves), self.moves.ctypes.data, self.weights.ctypes.data)


CIRCULAR, MIRRORED, FOLDED = 0, 1, 2
REACH = 6  # samples beyond the ends of a row that count: one a step, and more
SPARE = 48  # pairs that may be read or written beyond


class AlongProgram(NamedTuple):
    """The steps along a row: whether they begin with the even samples, their `coefficients`, what is done at the ends
    (`border`), and the two `scales`.

    A transposed mirror is a fold: the row goes on with zeros, and what the steps put there is added to its mirror image.
    """

    even_first: int
    coefficients: np.ndarray
    border: int
    scales: tuple[float, float]

    def addresses(self) -> tuple[int, ...]:
        return (self.even_first, len(self.coefficients), self.coefficients.ctypes.data, self.border)


@lru_cache(maxsize=256)
def row_program(plan: Plan, operator: str, size: int, dtype: str) -> RowProgram:
    """The steps down the columns in an order that needs few rows at a time.

    A step at t comes when its neighbours have been through the step before it, and when all that read x[t] as it was have
    done so; by position otherwise.
    """
    steps, scales = steps_of(plan, operator, size)
    lifts: list[tuple[int, int, tuple[int, int, int], tuple[float, float]]] = []
    written: dict[int, int] = {}  # of each sample: when it was written last, and read last
    read: dict[int, int] = {}
    for k, step in enumerate(steps):
        for places, weights in zip(step.places, step.weights, strict=True):
            t = places[0]
            lifts.append((max(t + k, *(written.get(x, 0) for x in places), read.get(t, 0)), k, places, weights))
        for when, _, (t, *sources), _ in lifts[-len(step.places) :]:
            written[t] = when
            for x in sources:
                read[x] = max(read.get(x, 0), when)
    lifts.sort(key=lambda lift: lift[:2])
    return _with_slots(lifts, size, scales, dtype)


def _with_slots(lifts: Sequence[Any], size: int, scales: tuple[float, float], dtype: str) -> RowProgram:
    last = {x: i for i, (_, _, places, _) in enumerate(lifts) for x in places}
    moves: list[tuple[int, ...]] = []
    weights: list[tuple[float, float]] = []
    slot: dict[int, int] = {}
    free: list[int] = []
    count = 0

    def add(move: tuple[int, ...], pair: tuple[float, float] = (0.0, 0.0)) -> None:
        moves.append((*move, *(0,) * (4 - len(move))))
        weights.append(pair)

    for i, (_, _, places, pair) in enumerate(lifts):
        for x in places:
            if x not in slot:
                if not free:
                    free.append(count)
                    count += 1
                slot[x] = free.pop()
                add((LOAD, slot[x], x))
        add((LIFT, *(slot[x] for x in places)), pair)
        for x in dict.fromkeys(places):
            if last[x] == i:
                add((STORE, slot[x], x))
                free.append(slot[x])
    assert len(slot) == size
    return RowProgram(np.array(moves, dtype=np.int64), np.array(weights, dtype=dtype), count, scales)


@lru_cache(maxsize=256)
def along_program(plan: Plan, operator: str, size: int, dtype: str) -> AlongProgram:
    steps, scales = steps_of(plan, operator, 64)  # of which the middle shows what they do inside
    middle = [step.weights[len(step.weights) // 2][0] for step in steps]
    border = CIRCULAR if plan.mode == "periodization" else FOLDED if plan.transposed else MIRRORED
    even_first = 1 - steps[0].places[0][0] % 2
    return AlongProgram(even_first, np.array(middle, dtype=dtype), border, scales)


def _lifting(lanes: int) -> Any:
    @inlined
    def lift(target, left, right, j, a, b):  # type: ignore[no-untyped-def]
        x = fma(splat(b, lanes), load(right, j, lanes), load(target, j, lanes))
        store(target, j, fma(splat(a, lanes), load(left, j, lanes), x))

    return lift


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
    `z`. Begins a vector before the row, and ends with the one that holds pair `count` - 1.

    A pair of steps needs the vectors that follow, and carries one over: of odd samples those before, after their step; of
    even ones those of this vector, which are already done. The third and fourth step go one vector behind.
    """

    @inlined
    def fetch(z, even, odd, j):  # type: ignore[no-untyped-def]
        if splitting:
            a, b = load(z, 2 * j, 16), load(z, 2 * j + 16, 16)
            return evens(a, b), odds(a, b)
        return load(even, j, 16), load(odd, j, 16)

    @inlined
    def put(z, even, odd, j, s, d):  # type: ignore[no-untyped-def]
        if splitting:
            store(even, j, s)
            store(odd, j, d)
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
    def two_steps(z, even, odd, count, c):  # type: ignore[no-untyped-def]
        p, q = splat(c[0], 16), splat(c[1], 16)
        s, d = fetch(z, even, odd, -16)
        carried = begin(s, d, p)
        for j in range(-16, count, 16):
            s_after, d_after = fetch(z, even, odd, j + 16)
            s1, d1, carried = advance(s, d, s_after, d_after, carried, p, q)
            put(z, even, odd, j, s1, d1)
            s, d = s_after, d_after

    @compiled
    def four_steps(z, even, odd, count, c):  # type: ignore[no-untyped-def]
        p, q, r, t = splat(c[0], 16), splat(c[1], 16), splat(c[2], 16), splat(c[3], 16)
        s, d = fetch(z, even, odd, -16)
        s_after, d_after = fetch(z, even, odd, 0)
        s1, d1, carried = advance(s, d, s_after, d_after, begin(s, d, p), p, q)
        s, d = s_after, d_after
        behind = begin(s1, d1, r)
        for j in range(-16, count, 16):
            s_after, d_after = fetch(z, even, odd, j + 32)
            s1_after, d1_after, carried = advance(s, d, s_after, d_after, carried, p, q)
            s2, d2, behind = advance(s1, d1, s1_after, d1_after, behind, r, t)
            put(z, even, odd, j, s2, d2)
            s, d, s1, d1 = s_after, d_after, s1_after, d1_after

    return four_steps if four else two_steps


_split_odd2, _split_odd4 = _passing(True, False, False), _passing(True, False, True)
_split_even2, _split_even4 = _passing(True, True, False), _passing(True, True, True)
_join_odd2, _join_odd4 = _passing(False, False, False), _passing(False, False, True)
_join_even2, _join_even4 = _passing(False, True, False), _passing(False, True, True)


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
    _scaled(row, size, one, z, False)
    if border == FOLDED:
        nothing = splat(one - one, 16)
        store(z, -16, nothing)
        store(z, size, nothing)
    else:
        for k in range(1, REACH + 1):
            z[-k], z[size - 1 + k] = row[_within(-k, size, border)], row[_within(size - 1 + k, size, border)]
    count = (size + 1) // 2 + (REACH if border == FOLDED else 0)
    if steps == 2 and even_first:
        _split_even2(z, even, odd, count, coefficients)
    elif steps == 2:
        _split_odd2(z, even, odd, count, coefficients)
    elif even_first:
        _split_even4(z, even, odd, count, coefficients)
    else:
        _split_odd4(z, even, odd, count, coefficients)
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
    if steps == 2 and even_first:
        _join_even2(z, even, odd, count, coefficients)
    elif steps == 2:
        _join_odd2(z, even, odd, count, coefficients)
    elif even_first:
        _join_even4(z, even, odd, count, coefficients)
    else:
        _join_odd4(z, even, odd, count, coefficients)
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
def _lift_rows(slots, part, target, left, right, count, a, b):  # type: ignore[no-untyped-def]
    """Row `target` += a · row `left` + b · row `right`, even samples and odd ones."""
    left, right = ahead(slots, left * 2 * part), ahead(slots, right * 2 * part)
    target = ahead(slots, target * 2 * part)
    _lift(target, left, right, count, a, b)
    _lift(ahead(target, part), ahead(left, part), ahead(right, part), count, a, b)


def room(slots: int, size: Sequence[int]) -> int:
    """How many numbers the kernels work in: a row in natural order, and the slots, with what is beyond their ends."""
    return (2 + 2 * slots) * _part((size[1] + 1) // 2)


@compiled
def _part(w):  # type: ignore[no-untyped-def]
    """What parts the even samples of a row from its odd ones and these from the next slot, in whole cache lines."""
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
        even = ahead(slots, moves[4 * e + 1] * 2 * part)
        odd = ahead(even, part)
        row = moves[4 * e + 2]
        if moves[4 * e] == LIFT:
            _lift_rows(slots, part, moves[4 * e + 1], row, moves[4 * e + 3], w, weights[2 * e], weights[2 * e + 1])
        elif moves[4 * e] == LOAD:
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
        even = ahead(slots, moves[4 * e + 1] * 2 * part)
        odd = ahead(even, part)
        row = moves[4 * e + 2]
        if moves[4 * e] == LIFT:
            _lift_rows(slots, part, moves[4 * e + 1], row, moves[4 * e + 3], w, weights[2 * e], weights[2 * e + 1])
        elif moves[4 * e] == LOAD:
            i, parity = row // 2, row % 2
            left = ahead(d, i * w) if parity else ahead(a, i * w)
            _scaled(left, w, scales[2 * parity], even, False)
            _scaled(ahead(d, (1 + parity) * band + i * w), odd_width, scales[2 * parity + 1], odd, False)
        else:
            _join_row(even, odd, width, z, ahead(x, row * width), along, past, one)
