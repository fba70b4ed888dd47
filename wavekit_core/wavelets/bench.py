"""How long the transforms take on this machine, beside copying their input and beside other libraries.

All that is compared is timed in one process, by turns: in a round, everything once, after a call that does not count, so that
each finds its own data in the caches. A figure is the median over the rounds, in milliseconds of a call. Calls of less than a
fraction of a millisecond are repeated within a round. On CUDA the device's own clock counts.
"""

from __future__ import annotations

import math
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from wavekit_core.errors import PluginError, RecipeError, WavekitError
from wavekit_core.filters import FilterBank
from wavekit_core.watch import Watcher
from wavekit_core.wavelets.borders import Mode
from wavekit_core.wavelets.kernels import available, chosen, forced, forced_name, names, unavailable
from wavekit_core.wavelets.operator import analysis, synthesis
from wavekit_core.wavelets.peers import INSTALL, PEERS, Peer, found
from wavekit_core.wavelets.plan import plan_of

ROUNDS = 15
SLOW = 2.0  # seconds of a call from which on a peer is left out
REPEATED = 1.0  # milliseconds that a measurement lasts at least
COLD = 50.0  # milliseconds of a call from which on the caches hold nothing of the one before
OPERATIONS = ("forward", "inverse", "forward+backward", "inverse+backward")

Work = Callable[[], object]
Key = tuple[str, str, str]  # who, operation, memory


@dataclass(frozen=True)
class Case:
    """A transform of images (N, C, H, W) of float32."""

    shape: tuple[int, int, int, int]
    wavelet: str
    mode: Mode = "periodization"
    levels: int = 3

    def __str__(self) -> str:
        return f"{'×'.join(map(str, self.shape))} {self.wavelet}, {self.mode}, {self.levels} levels"

    @property
    def bank(self) -> FilterBank:
        return FilterBank.from_pywt(self.wavelet)


_WAVELETS = ("haar", "bior2.2", "bior4.4")
_MODES: tuple[Mode, ...] = ("periodization", "whole-symmetric")
QUICK = tuple(Case(shape, w) for shape, w in product(((64, 3, 32, 32), (8, 3, 128, 128)), _WAVELETS))
DEFAULT = (
    *(
        Case(shape, wavelet, mode)
        for shape, mode, wavelet in product(((64, 3, 32, 32), (64, 3, 128, 128), (16, 3, 256, 256)), _MODES, _WAVELETS)
    ),
    *(Case(shape, wavelet) for shape, wavelet in product(((4, 3, 1024, 1024), (1, 3, 4096, 4096)), _WAVELETS[::2])),
)


def measured(
    cases: Sequence[Case],
    device: torch.device | str = "cpu",
    threads: Sequence[int] | None = None,
    kernel: str | None = None,
    rounds: int = ROUNDS,
    peers: bool = True,
    watch: Watcher | None = None,
) -> list[dict[str, Any]]:
    """Rows, one a case, operation, number of threads and kind of memory:

    shape, wavelet, levels, mode, operation, threads, kernel, why (it serves), memory, ours_ms, copy_ms, and NAME_ms a peer.

    `memory` is `preallocated` where the results go into existing tensors (`out=`, and `copy_` into one), which no peer can,
    and `fresh` where each call makes new ones (and `clone` is the copy). `threads` is 1 and as many as there are. Cases that a
    forced kernel does not serve are left out. Without `peers`, those are neither timed nor imported: some leave free memory
    behind, which then serves as new memory, and large images look better than in a process of their own. Raises RecipeError
    for an unknown kernel, and if there is no case left.
    """
    device, watch = torch.device(device), watch or Watcher()
    if kernel is not None and kernel not in names():
        raise RecipeError(f"there is no transform kernel {kernel!r}; there are: {', '.join(names())}")
    every = threads or sorted({1, os.cpu_count() or 1})
    others = _installed(watch) if peers else ()
    rows: list[dict[str, Any]] = []
    with forced(kernel or forced_name()), warnings.catch_warnings(action="ignore"):
        refused = {case: why for case in cases if (why := _refusal(case, device))}
        if len(refused) == len(cases):
            raise RecipeError(f"none of the cases can be computed: {next(iter(refused.values()), 'there are none')}")
        for case, why in refused.items():
            watch.warn(f"{case} is left out: {why}")
        served_here = [case for case in cases if case not in refused]
        turns = list(product(served_here, every if device.type == "cpu" else every[-1:]))
        ahead = [math.prod(case.shape) for case, _ in turns]
        with watch.phase("measuring", sum(ahead) * rounds // 1000) as advance:
            for i, (case, number) in enumerate(turns):
                past = sum(ahead[:i]) * rounds

                def told(done: int, past: int = past, weight: int = ahead[i], case: Case = case) -> None:
                    advance((past + done * weight) // 1000, str(case))

                told(0)
                with _threads(number):
                    rows += _rows(case, device, number, rounds, others, told, watch)
    return rows


def served(case: Case, device: torch.device) -> tuple[str, str]:
    """The kernel that computes a case, and why it does. Raises WavekitError if a forced one cannot."""
    kernel = chosen(plan_of(case.bank, case.mode, case.levels, case.shape[-2:]), device, torch.float32)
    if wanted := forced_name():
        return wanted, "forced"
    name = kernel.name if kernel else "torch"
    reasons: dict[str, list[str]] = {}
    usable = [one.name for one in available()]
    for one in names()[: names().index(name)]:
        why = "does not serve it" if one in usable else unavailable().get(one, "cannot be used here")
        reasons.setdefault(why, []).append(one)
    return name, "; ".join(f"{', '.join(those)} {why}" for why, those in reasons.items()) or "the first that is tried"


def _refusal(case: Case, device: torch.device) -> str | None:
    """Why a forced kernel cannot compute a case, or None if it can."""
    try:
        served(case, device)
        if forced_name() == "pytorch-wavelets":
            analysis(torch.zeros(1, 1, *case.shape[-2:], device=device), case.bank, case.mode, case.levels)
    except WavekitError as error:
        return str(error)
    return None


def _installed(watch: Watcher) -> list[type[Peer]]:
    here = found()
    if missing := [peer.name for peer in PEERS if peer.name not in here]:
        watch.say(f"not installed, and left out: {', '.join(missing)}; {INSTALL}")
    return [peer for peer in PEERS if peer.name in here]


def _rows(
    case: Case,
    device: torch.device,
    threads: int,
    rounds: int,
    peers: Sequence[type[Peer]],
    told: Callable[[int], None],
    watch: Watcher,
) -> list[dict[str, Any]]:
    times = _timed(_works(case, device, peers, watch), device, rounds, told, watch)
    kernel, why = served(case, device)
    rows = []
    for operation, memory in product(OPERATIONS, ("preallocated", "fresh")):
        if ("ours", operation, memory) not in times:
            continue
        row = {
            "shape": list(case.shape), "wavelet": case.wavelet, "levels": case.levels, "mode": case.mode,
            "operation": operation, "threads": threads, "kernel": kernel, "why": why, "memory": memory,
            "ours_ms": times["ours", operation, memory], "copy_ms": times["copy", "", memory],
        }  # fmt: skip
        row |= {f"{p.name}_ms": times[p.name, operation, memory] for p in PEERS if (p.name, operation, memory) in times}
        rows.append(row)
    return rows


def _works(case: Case, device: torch.device, peers: Sequence[type[Peer]], watch: Watcher) -> dict[Key, Work]:
    """Everything that is timed in one round."""
    x = torch.randn(case.shape, generator=torch.Generator().manual_seed(0)).to(device)
    works: dict[Key, Work] = _ours(case, x)
    image = torch.empty_like(x)
    works["copy", "", "preallocated"] = lambda: image.copy_(x)
    works["copy", "", "fresh"] = x.clone
    for kind in peers:
        mode = "periodic" if kind.name == "ptwt" and case.mode == "periodization" else case.mode
        if mode in kind.modes and device.type in kind.devices:
            try:
                peer = kind(case.wavelet, mode, case.levels, x)
                works |= {(kind.name, op, "fresh"): work for op, work in _of_peer(peer, x).items()}
            except PluginError as error:
                watch.warn(f"{error}; it is left out")
    return works


def _ours(case: Case, x: Tensor) -> dict[Key, Work]:
    bank, mode, levels, size = case.bank, case.mode, case.levels, case.shape[-2:]
    with torch.no_grad():
        approx, details = analysis(x, bank, mode, levels)
    bands = tuple(torch.empty_like(band) for band in (approx, *details))
    back, image = torch.empty_like(x), x.clone().requires_grad_()
    leaves = [band.clone().requires_grad_() for band in (approx, *details)]

    def forward_backward() -> object:
        low, high = analysis(image, bank, mode, levels)
        return torch.autograd.grad((low, *high), image, (approx, *details))

    def inverse_backward() -> object:
        return torch.autograd.grad(synthesis(leaves[0], leaves[1:], bank, mode, size), leaves, x)

    return {
        ("ours", "forward", "preallocated"): lambda: analysis(x, bank, mode, levels, out=(bands[0], bands[1:])),
        ("ours", "forward", "fresh"): lambda: analysis(x, bank, mode, levels),
        ("ours", "inverse", "preallocated"): lambda: synthesis(approx, details, bank, mode, size, out=back),
        ("ours", "inverse", "fresh"): lambda: synthesis(approx, details, bank, mode, size),
        ("ours", "forward+backward", "fresh"): forward_backward,
        ("ours", "inverse+backward", "fresh"): inverse_backward,
    }


def _of_peer(peer: Peer, x: Tensor) -> dict[str, Work]:
    with torch.no_grad():
        tensors = peer.split(x)
    works: dict[str, Work] = {"forward": lambda: peer.split(x), "inverse": lambda: peer.join(tensors)}
    if peer.gradients:
        image, leaves = x.clone().requires_grad_(), [tensor.clone().requires_grad_() for tensor in tensors]
        works["forward+backward"] = lambda: torch.autograd.grad(peer.split(image), image, tensors)
        works["inverse+backward"] = lambda: torch.autograd.grad(joined := peer.join(leaves), leaves, joined.detach())
    return works


def _timed(
    works: dict[Key, Work], device: torch.device, rounds: int, told: Callable[[int], None], watch: Watcher
) -> dict[Key, float]:
    """The median time of each, in milliseconds."""
    repeats: dict[Key, int] = {}
    slow: dict[Key, bool] = {}
    for key, work in list(works.items()):
        if _elapsed(work, 1, device) > 1e3 * SLOW and key[0] not in ("ours", "copy"):
            watch.say(f"{key[0]}, {key[1]}: more than {SLOW:.0f} s a call, left out")
            del works[key]
            continue
        once = _elapsed(work, 1, device)
        repeats[key], slow[key] = min(200, math.ceil(REPEATED / max(once, 1e-3))), once > COLD
    times: dict[Key, list[float]] = {key: [] for key in works}
    for turn in range(rounds):
        for key, work in works.items():
            if not slow[key]:
                work()
            times[key].append(_elapsed(work, repeats[key], device))
        told(turn + 1)
    return {key: statistics.median(some) for key, some in times.items()}


def _elapsed(work: Work, repeats: int, device: torch.device) -> float:
    """Milliseconds of a call."""
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(repeats):
            work()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / repeats
    begun = time.perf_counter()
    for _ in range(repeats):
        work()
    return 1e3 * (time.perf_counter() - begun) / repeats


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
