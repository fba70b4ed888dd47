"""The kernels on CUDA: their launches and tables.

They take what those on the CPU take (`wavekit_core.wavelets.kernels.cpu`): whole tensors in memory order, x (P, *size), approx
(P, *size of the last level) and details, finest first, (P, 3, h, w) or (P, n), of float32 or float64, and fill the results in.
Images of Haar's wavelet need a launch for three levels (`triton_haar`), everything else one a level (`triton_polyphase`).
Results do not depend on the order in which programs run. Triton is imported with the first launch.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.plan import Plan, plan_of

LONGEST = 128  # taps: the rows that a pair of rows needs have to fit into registers
WINDOW = 128  # bytes of a column that a block of results needs; more for long filters
FAR = 1 << 31  # numbers from which on indices are of 64 bits


def serves(plan: Plan) -> bool:
    """Everything that has levels, but filters of more than `LONGEST` taps; where Triton works."""
    return plan.levels > 0 and plan.bank.length <= LONGEST and _works()


def unavailable() -> str | None:
    """Why these kernels cannot be used here, or None if they can, as far as is seen without a launch. Where
    TRITON_INTERPRET=1, Triton runs them on the CPU."""
    if importlib.util.find_spec("triton") is None:
        return "needs Triton, which is not installed"
    if not _interpreted() and not torch.cuda.is_available():
        return "needs a CUDA device, and there is none"
    return None


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1"


@lru_cache(maxsize=1)
def _works() -> bool:
    """Whether a launch succeeds: it needs a C compiler and a device that Triton knows, and says so only when it is tried."""
    try:
        x, details = (torch.zeros(1, *size, device="cpu" if _interpreted() else "cuda") for size in ((1, 1), (3, 1, 1)))
        run("split", plan_of(_HAAR, "zero", 1, (1, 1)), x, x.clone(), [details])
    except Exception as error:
        warnings.warn(f"Triton fails here, so plain torch transforms CUDA tensors, more slowly: {error}", stacklevel=2)
        return False
    return True


def run(operator: str, plan: Plan, x: Tensor, approx: Tensor, details: Sequence[Tensor]) -> None:
    """`operator` of `plan`: "split" fills in `approx` and `details`, "join" fills in x."""
    with torch.cuda.device(x.device) if x.is_cuda else nullcontext():
        if factors := _haar_factors(plan, operator):
            _run_haar(operator, plan, factors, x, approx, details)
        else:
            _run_levels(operator, plan, x, approx, details)


def _launch(kernel: Any, programs: int, *arguments: Any, **constants: Any) -> None:
    kernel[(programs,)](*arguments, enable_fp_fusion=True, **constants)


def _between(plan: Plan, x: Tensor, approx: Tensor, steps: Sequence[int]) -> list[Tensor]:
    """x, the approximations after so many levels each, and the last one."""
    return [x, *(x.new_empty(len(x), *plan.sizes[level]) for level in steps), approx]


# --- Haar -------------------------------------------------------------------------------------------------------------

_HAAR = FilterBank.from_scaling("haar", (0.5**0.5, 0.5**0.5))


@lru_cache(maxsize=512)
def _haar_factors(plan: Plan, operator: str) -> tuple[float, float] | None:
    """√2 times the factors of the last sample of an odd axis; None unless all other samples go in pairs, as Haar's do."""
    if plan.axes != 2 or plan.bank.length != 2:
        return None
    odd = any(n % 2 for size in plan.sizes[:-1] for n in size)
    matrix = plan.split_matrix(2 + odd) if operator == "split" else plan.join_matrix(2 + odd).T
    matrix = 2**0.5 * matrix.toarray()
    low, high = (float(np.round(matrix[at, 2], 12)) for at in (1, 3)) if odd else (0.0, 0.0)
    wanted: list[list[float]] = [[1, 1, 0], [0, 0, low], [1, -1, 0], [0, 0, high]] if odd else [[1, 1], [1, -1]]
    return (low, high) if np.allclose(matrix, wanted, rtol=0, atol=1e-12) else None


def _run_haar(
    operator: str, plan: Plan, factors: tuple[float, float], x: Tensor, approx: Tensor, details: Sequence[Tensor]
) -> None:
    from wavekit_core.wavelets.kernels import triton_haar

    steps = range(0, plan.levels, triton_haar.MOST)
    images = _between(plan, x, approx, steps[1:])
    for i, level in list(enumerate(steps))[:: 1 if operator == "split" else -1]:
        some = details[level : level + triton_haar.MOST]
        (height, width), last = plan.sizes[level], plan.sizes[level + len(some)]
        columns = max(1 << len(some), min(128, _power(width)))
        rows = min(_power(last[0]), 512 // columns)
        _launch(
            getattr(triton_haar, operator),
            len(x) * -(-last[0] // rows) * -(-width // columns),
            *images[i : i + 2],
            *(some[min(k, len(some) - 1)] for k in range(triton_haar.MOST)),
            *(height, width, *factors),
            LEVELS=len(some),
            ROWS=rows,
            COLUMNS=columns,
            ODD=any(n % 2 for size in plan.sizes[level : level + len(some)] for n in size),
            num_warps=max(1, rows * columns // 128),
        )


def _power(n: int) -> int:
    """The smallest power of two that is not below n."""
    return 1 << (n - 1).bit_length()


# --- any bank ---------------------------------------------------------------------------------------------------------


class Along(NamedTuple):
    """What the pairs of an axis of results are sums of: `places` (terms, pairs) int32 and `weights` (2, terms, pairs). -1
    is nowhere. In `join`, the first `lows` terms are low-pass coefficients and the others high-pass ones; in `split` there
    are no others."""

    places: Tensor
    weights: Tensor
    lows: int


class Down(NamedTuple):
    """The same by blocks of `step` pairs: the `rows` (blocks, ROWS) that a block needs, and the `weights` (pairs, 2,
    ROWS) of these. -1 is nowhere. In `join`, high-pass rows come after all low-pass ones."""

    rows: Tensor
    weights: Tensor
    step: int


def _run_levels(operator: str, plan: Plan, x: Tensor, approx: Tensor, details: Sequence[Tensor]) -> None:
    from wavekit_core.wavelets.kernels import triton_polyphase

    images = _between(plan, x, approx, range(1, plan.levels))
    kernel = getattr(triton_polyphase, f"{operator}_{'image' if plan.axes == 2 else 'signal'}")
    for level in range(plan.levels)[:: 1 if operator == "split" else -1]:
        size, count = plan.sizes[level : level + 2]
        pairs = count if operator == "split" else tuple((n + 1) // 2 for n in size)
        along = along_table(plan, operator, size[-1], x.dtype, x.device)
        tensors = [*images[level : level + 2], details[level], along.places, along.weights]
        columns, terms = 64 if pairs[-1] > 32 else 32, (len(along.places), along.lows)
        if plan.axes == 2:
            index = torch.int64 if max(size[0] * size[1], 3 * count[0] * count[1]) >= FAR else torch.int32
            down = down_table(plan, operator, size[0], x.dtype, x.device, index)
            rows, blocks = down.rows.shape[1], len(x) * len(down.rows)
            arguments = (*tensors, down.rows, down.weights, *size, *count, down.step, *terms)
            warps = max(columns // 32, rows * columns // 1024)  # a thread has whole columns of up to 32 rows
        else:
            rows = min(16, _power(len(x)))
            blocks = -(-len(x) // rows)
            arguments = (*tensors, len(x), *size, *count, *terms)
            warps = max(1, rows * columns // 256)
        programs = blocks * -(-pairs[-1] // columns)
        _launch(kernel, programs, *arguments, ROWS=rows, COLUMNS=columns, num_warps=warps)


@lru_cache(maxsize=512)
def along_table(plan: Plan, operator: str, size: int, dtype: torch.dtype, device: torch.device) -> Along:
    """The table of `split` or `join` of one level along the rows, of `size`."""
    places, weights = _terms(plan, operator, size)
    if operator == "split":
        return Along(_on(places, torch.int32, device), _on(weights, dtype, device), len(places))
    half = plan.join_matrix(size).shape[1] // 2
    low = _packed(places, weights, (places >= 0) & (places < half))
    high = _packed(places - half, weights, places >= half)
    places, weights = np.concatenate([low[0], high[0]]), np.concatenate([low[1], high[1]], 1)
    return Along(_on(places, torch.int32, device), _on(weights, dtype, device), len(low[0]))


@lru_cache(maxsize=512)
def down_table(
    plan: Plan, operator: str, size: int, dtype: torch.dtype, device: torch.device, index: torch.dtype
) -> Down:
    """The table of `split` or `join` of one level down the columns, of `size`. `index`: the type of the rows."""
    places, weights = _terms(plan, operator, size)
    terms, pairs = places.shape
    window = max(WINDOW // dtype.itemsize, _power(terms + 6))
    step = (window - terms) // 2 + 1
    while max(map(len, found := _needed(places, step))) > window:
        step -= 1
    rows = np.full((len(found), window), -1)
    sums = np.zeros((pairs, 2, window))
    for block, needed in enumerate(found):
        rows[block, : len(needed)] = needed
        for m in range(block * step, min((block + 1) * step, pairs)):
            there = places[:, m] >= 0
            sums[m, :, np.searchsorted(needed, places[there, m])] = weights[:, there, m].T
    return Down(_on(rows, index, device), _on(sums, dtype, device), step)


def _needed(places: np.ndarray, step: int) -> list[np.ndarray]:
    """What each block of `step` pairs is made of, in rising order."""
    blocks = [np.unique(places[:, m : m + step]) for m in range(0, places.shape[1], step)]
    return [block[block >= 0] for block in blocks]


def _terms(plan: Plan, operator: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """For each pair of results the columns of its two rows of the matrix, (terms, pairs), and their weights (2, terms, pairs).

    A pair is the low- and the high-pass coefficient, or the even and the odd sample. -1 and 0 fill up.
    """
    from scipy.sparse import csr_array  # here, because a plugin's import should not wait for it

    if operator == "split":
        matrix = plan.split_matrix(size)
        first, second = matrix[: matrix.shape[0] // 2], matrix[matrix.shape[0] // 2 :]
    else:
        matrix = plan.join_matrix(size)
        first, second = matrix[0::2], matrix[1::2]
        second = csr_array((second.data, second.indices, _longer(second.indptr, len(first.indptr))), first.shape)
    either = (abs(first) + abs(second)).tocoo()
    order = np.lexsort((either.col, either.row))
    pair, place = either.row[order], either.col[order]
    counts = np.bincount(pair, minlength=first.shape[0])
    slot = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.full((max(1, counts.max()), len(counts)), -1)
    weights = np.zeros((2, *places.shape))
    places[slot, pair] = place
    for which, rows in enumerate((first, second)):
        weights[which, slot, pair] = rows.toarray()[pair, place]
    return places, weights


def _longer(starts: np.ndarray, length: int) -> np.ndarray:
    """Row starts of a sparse matrix with empty rows at the end."""
    return np.concatenate([starts, np.full(length - len(starts), starts[-1])])


def _packed(places: np.ndarray, weights: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Only the terms that are `there`, moved up, in as few rows as they need."""
    order = np.argsort(~there, axis=0, kind="stable")[: there.sum(0).max()]
    kept = np.take_along_axis(there, order, 0)
    places = np.where(kept, np.take_along_axis(places, order, 0), -1)
    return places, np.where(kept, np.take_along_axis(weights, order[None], 1), 0.0)


def _on(table: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.from_numpy(table).to(device, dtype)
