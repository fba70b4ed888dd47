"""Work spread over threads, as many as `torch.set_num_threads` allows.

The kernels release Python's lock, and the threads are Python's own: they can be called from any thread and after a fork,
which numba's parallel loops cannot.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

GRAIN = 1 << 15  # numbers below which a second thread costs more than it brings

_pool: ThreadPoolExecutor | None = None
_size = 0


def share(count: int, numbers: int) -> list[tuple[int, int]]:
    """`count` equal parts of a work on `numbers` numbers as ranges (first, last + 1), one a thread."""
    threads = max(1, min(torch.get_num_threads(), count, numbers // GRAIN))
    ends = [count * i // threads for i in range(threads + 1)]
    return list(itertools.pairwise(ends))


def together(parts: Sequence[Callable[[], None]]) -> None:
    """Run all `parts`, the first in this thread. Raises what a part raises, after all have ended."""
    waiting = [_threads(len(parts) - 1).submit(part) for part in parts[1:]]
    try:
        parts[0]()
    finally:
        for one in waiting:
            one.exception()
    for one in waiting:
        one.result()


def _threads(count: int) -> ThreadPoolExecutor:
    global _pool, _size
    if _pool is None or count > _size:
        _pool, _size = ThreadPoolExecutor(count, "wavelets"), count
    return _pool


def _forget() -> None:
    global _pool
    _pool = None


os.register_at_fork(after_in_child=_forget)
