"""The kernels on the CPU: their tables, their memory, their threads.

They take whole tensors in memory order, x (P, *size), approx (P, *size of the last level) and details, finest first,
(P, 3, h, w) or (P, n), of float32 or float64, and fill the results in.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wavekit_core.wavelets.kernels import haar, lifting, polyphase
from wavekit_core.wavelets.kernels.levels import ALONG, DETAILS, DOWN, KERNELS, LENGTH, PAST, SCALES
from wavekit_core.wavelets.kernels.threads import share, together
from wavekit_core.wavelets.kernels.vectors import LINE
from wavekit_core.wavelets.plan import Plan

LARGE = 1 << 19  # bytes of results from which on they are written past the caches

PATIENCE = 2.0  # seconds

_kept = threading.local()
_compiled: set[Any] = set()  # kernels that have been called, with the type of their numbers


def run_haar(operator: str, plan: Plan, x: Tensor, approx: Tensor, details: Sequence[Tensor]) -> None:
    number = _number(x)
    sizes, (kept, rest), low, high = _haar_table(plan, operator)
    addresses = np.array([d.data_ptr() for d in details], dtype=np.int64)
    past = sum(_past(operator, plan, x, details))
    arguments = (x.data_ptr(), approx.data_ptr(), addresses, sizes, kept, number(low), number(high), past)
    _spread(haar.split if operator == "split" else haar.join, x, kept + rest, number(0.5), arguments)


@lru_cache(maxsize=256)
def _haar_table(plan: Plan, operator: str) -> tuple[np.ndarray, tuple[int, int], float, float]:
    return np.array(plan.sizes, dtype=np.int64), _kept_between(plan), *haar.ends(plan, operator)


def run_polyphase(operator: str, plan: Plan, x: Tensor, approx: Tensor, details: Sequence[Tensor]) -> None:
    _run_levels("polyphase", _polyphase_table, operator, plan, x, approx, details)


def run_lifting(operator: str, plan: Plan, x: Tensor, approx: Tensor, details: Sequence[Tensor]) -> None:
    _run_levels("lifting", _lifting_table, operator, plan, x, approx, details)


def _run_levels(
    name: str, made: Callable[..., Any], operator: str, plan: Plan, x: Tensor, approx: Tensor, details: Sequence[Tensor]
) -> None:
    table, room, _ = made(plan, operator, "float32" if x.dtype == torch.float32 else "float64")
    table = table.copy()
    table[:, DETAILS] = [d.data_ptr() for d in details]
    table[:, PAST] = _past(operator, plan, x, details)
    kept, rest = _kept_between(plan)
    kernel = KERNELS[name, operator, plan.axes]
    _spread(kernel, x, kept + rest + room, _number(x)(1), (x.data_ptr(), approx.data_ptr(), table, kept, rest))


@lru_cache(maxsize=256)
def _polyphase_table(plan: Plan, operator: str, dtype: str) -> tuple[np.ndarray, int, Any]:
    """The levels, the numbers of room that a level needs, and what has to live as long as they."""
    table, kept = _sizes(plan), []
    for row in table:
        for at, n in ((DOWN, row[0]), (ALONG, row[1])):
            if at == ALONG or plan.axes == 2:
                pairs = polyphase.pair_table(plan, operator, int(n), dtype)
                row[at : at + 6] = pairs.addresses()
                kept.append(pairs)
    return table, 4 * int((table[:, 1] + table[:, 3]).max() + 2), kept


@lru_cache(maxsize=256)
def _lifting_table(plan: Plan, operator: str, dtype: str) -> tuple[np.ndarray, int, Any]:
    table, kept, slots = _sizes(plan), [], 0
    for row in table:
        down = lifting.row_program(plan, operator, int(row[0]), dtype)
        along = lifting.along_program(plan, operator, int(row[1]), dtype)
        scales = np.array([v * h for v in down.scales for h in along.scales], dtype=dtype)
        row[DOWN : DOWN + 3], row[ALONG : ALONG + 4] = down.addresses(), along.addresses()
        row[SCALES] = scales.ctypes.data
        kept.append((down, along, scales))
        slots = max(slots, down.slots)
    return table, lifting.room(slots, plan.size), kept


def _sizes(plan: Plan) -> np.ndarray:
    table = np.zeros((plan.levels, LENGTH), dtype=np.int64)
    for row, size, count in zip(table, plan.sizes, plan.sizes[1:], strict=False):
        row[0:2], row[2:4] = (1, *size)[-2:], (1, *count)[-2:]
    return table


def _kept_between(plan: Plan) -> tuple[int, int]:
    """Numbers of the approximations between levels, which take turns in two places, in whole cache lines."""
    numbers = [int(np.prod(size)) for size in plan.sizes[1:-1]]
    first, second = (max(numbers[i::2], default=0) for i in (0, 1))
    return -(-first // LINE) * LINE, -(-second // LINE) * LINE


def _past(operator: str, plan: Plan, x: Tensor, details: Sequence[Tensor]) -> list[bool]:
    """Of which levels the results may go past the caches: large ones whose rows are whole cache lines."""
    results = list(details) if operator == "split" else [x]
    if results[0].numel() * results[0].element_size() < LARGE:
        return [False] * plan.levels
    row = 16 if operator == "split" else 32
    past = [r.data_ptr() % LINE == 0 and r.shape[-1] % row == 0 for r in results]
    return [all(past[: k + 1]) for k in range(len(past))] + [False] * (plan.levels - len(past))


def _number(x: Tensor) -> Any:
    return np.float32 if x.dtype == torch.float32 else np.float64


def _spread(kernel: Any, x: Tensor, room: int, number: Any, arguments: Sequence[Any]) -> None:
    """`kernel(first, last, address of room, number, *arguments)` over all planes, on several threads where it pays."""
    parts = share(len(x), x.numel())
    size = -(-room * number.itemsize // LINE) * LINE
    address = _room(len(parts) * size)
    jobs = [partial(kernel, *part, address + i * size, number, *arguments) for i, part in enumerate(parts)]
    if (kernel, number) not in _compiled:
        with _announced():
            jobs.pop(0)()
        _compiled.add((kernel, number))
    if len(jobs) > 1:
        together(jobs)
    elif jobs:
        jobs[0]()


@contextmanager
def _announced() -> Iterator[None]:
    """Says what takes so long, if the first call has to compile its kernel and takes longer than one would wait."""
    text = "compiling the kernels of this transform, once for this machine: up to 20 seconds"
    timer = threading.Timer(PATIENCE, logging.getLogger("wavekit").warning, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _room(size: int) -> int:
    """The address of `size` bytes to work in: the calling thread's own, kept from call to call."""
    kept = getattr(_kept, "room", None)
    if kept is None or kept.numel() < size:
        kept = _kept.room = torch.empty(size, dtype=torch.uint8)
    return int(kept.data_ptr())
