"""Lifting: the 5/3 and the 9/7 wavelet as steps that each add neighbours to every second sample.

A step adds c · (x[t - 1] + x[t + 1]) to every odd, or every even, x[t] (Daubechies & Sweldens, J. Fourier Anal. Appl. 4,
1998). The inverse undoes the steps in the opposite order, the adjoint goes through their transposes in the opposite order;
all four operators are therefore lists of such steps with other weights at the border, and a scale a band.

Here the steps become programs, which `lifting_kernel` runs. Down the columns they are put in an order in which a row is
loaded once, goes through all of them while its neighbours are there, and is stored once (`row_program`): a handful of rows
is kept, whatever the size of the image. Along a row, all steps are done at once (`along_program`).

Serves float32: PyWavelets' taps of the 9/7 wavelet are rounded to 12 digits, and lifting is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.borders import source
from wavekit_core.wavelets.plan import Plan


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


LOAD, LIFT, STORE, CHAIN, FINISH = 0, 1, 2, 3, 4
WIDTH = 8  # numbers a move


class RowProgram(NamedTuple):
    """`moves` (n, 8): LOAD slot row, STORE slot row, LIFT slot slot-of-l slot-of-r, and CHAIN with the slots of consecutive rows
    from below: every row but the first and last is lifted by its neighbours, one after the other. FINISH is a CHAIN that also
    stores its last two rows; the row that the last but one is stands behind the slots. `weights` (n, 4) of these;
    number of `slots`; the two `scales`."""

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


def part(w: int) -> int:
    """What parts the even samples of a row in room from its odd ones and these from the next slot, in whole cache lines."""
    return (w + 15) // 16 * 16 + 2 * SPARE


def room(slots: int, size: Sequence[int]) -> int:
    """How many numbers the kernels work in: a row in natural order, and the slots, with what is beyond their ends."""
    return (2 + 2 * slots) * part((size[1] + 1) // 2)


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
    return _with_slots(lifts, size, scales, dtype, finishing=operator == "split")


def _with_slots(
    lifts: Sequence[Any], size: int, scales: tuple[float, float], dtype: str, finishing: bool
) -> RowProgram:
    steps = 1 + max(k for _, k, _, _ in lifts)
    groups: list[tuple[tuple[int, ...], tuple[float, ...]]] = []  # rows and weights
    i = 0
    while i < len(lifts):
        together = lifts[i : i + steps]
        if _is_chain(together, steps):
            t = together[0][2][0]
            groups.append((tuple(range(t + 1, t - steps - 1, -1)), tuple(weights[0] for *_, weights in together)))
            i += steps
        else:
            groups.append(lifts[i][2:])
            i += 1
    last = {x: i for i, (rows, _) in enumerate(groups) for x in rows}
    moves: list[tuple[int, ...]] = []
    weights: list[tuple[float, ...]] = []
    slot: dict[int, int] = {}
    free: list[int] = []
    count = 0

    def add(move: tuple[int, ...], of: tuple[float, ...] = ()) -> None:
        moves.append((*move, *(0,) * (WIDTH - len(move))))
        weights.append((*of, *(0.0,) * (4 - len(of))))

    for i, (rows, of) in enumerate(groups):
        for x in sorted(rows):  # as they lie in memory, so that they are fetched ahead
            if x not in slot:
                if not free:
                    free.append(count)
                    count += 1
                slot[x] = free.pop()
                add((LOAD, slot[x], x))
        done = [x for x in dict.fromkeys(rows) if last[x] == i]
        slots = tuple(slot[x] for x in rows)
        if finishing and len(rows) > 3 and done == list(rows[-2:]):
            add((FINISH, *slots, rows[-2]), of)
        else:
            add((CHAIN if len(rows) > 3 else LIFT, *slots), of)
            for x in done:
                add((STORE, slot[x], x))
        free += [slot[x] for x in done]
    assert len(slot) == size
    return RowProgram(np.array(moves, dtype=np.int64), np.array(weights, dtype=dtype), count, scales)


def _is_chain(lifts: Sequence[Any], steps: int) -> bool:
    """Whether these are all steps, one after the other, each a row further up, none at the border."""
    if len(lifts) < steps:
        return False
    t = lifts[0][2][0]
    return all(
        (k, places, left) == (i, (t - i, t - i - 1, t - i + 1), right)
        for i, (_, k, places, (left, right)) in enumerate(lifts)
    )


@lru_cache(maxsize=256)
def along_program(plan: Plan, operator: str, size: int, dtype: str) -> AlongProgram:
    steps, scales = steps_of(plan, operator, 64)  # of which the middle shows what they do inside
    middle = [step.weights[len(step.weights) // 2][0] for step in steps]
    border = CIRCULAR if plan.mode == "periodization" else FOLDED if plan.transposed else MIRRORED
    even_first = 1 - steps[0].places[0][0] % 2
    return AlongProgram(even_first, np.array(middle, dtype=dtype), border, scales)
