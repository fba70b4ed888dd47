"""What computes a transform: the choice, and how to force it.

====================  =============================================================================================
`haar`                numba on the CPU, Haar: one pass over the image (`wavekit_core.wavelets.kernels.haar`)
`lifting`             numba on the CPU, 5/3 and 9/7 in float32 (`wavekit_core.wavelets.kernels.lifting`)
`polyphase`           numba on the CPU, any bank, mode and size (`wavekit_core.wavelets.kernels.polyphase`)
`triton`              CUDA, any bank (`wavekit_core.wavelets.kernels.cuda`)
`torch`               plain torch operations on any device: the reference (`wavekit_core.wavelets.slices`)
`pytorch-wavelets`    the library of this name where it is right: zero, and periodization at even sizes longer than
                      the filters; only if it is forced
====================  =============================================================================================

The first that serves a plan is taken. `with forced("torch"): …` in Python and the environment variable
`WAVEKIT_KERNEL=torch` take another.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import Tensor

from wavekit_core.errors import RecipeError
from wavekit_core.wavelets.kernels import cuda
from wavekit_core.wavelets.plan import Plan

VARIABLE = "WAVEKIT_KERNEL"
NATIVE = ("torch", "pytorch-wavelets")  # made of differentiable operations
_forced: str | None = None

Run = Callable[[str, Plan, Tensor, Tensor, Sequence[Tensor]], None]


@dataclass(frozen=True)
class Kernel:
    """`run(operator, plan, x, approx, details)` fills in what `split` or `join` gives. All tensors are contiguous, with one
    leading axis; details come finest first."""

    name: str
    serves: Callable[[Plan, torch.device, torch.dtype], bool]
    run: Run


@contextmanager
def forced(name: str | None) -> Iterator[None]:
    """Within, transforms are computed by `name`, one of `names()`; None: by choice. Raises RecipeError for others."""
    global _forced
    if name is not None:
        _known(name)
    before, _forced = _forced, name
    try:
        yield
    finally:
        _forced = before


def forced_name() -> str | None:
    """What is forced now, if anything is."""
    if _forced is not None:
        return _forced
    name = os.environ.get(VARIABLE)
    return _known(name) if name else None


def described() -> str:
    """What computes transforms here, as far as their last digits depend on it."""
    if (name := forced_name()) is not None:
        return f"{name} (forced)"
    try:
        return f"numba {version('numba')}"
    except PackageNotFoundError:
        return "torch"


def names() -> list[str]:
    """All there are, whether they can be used here or not."""
    return ["haar", "lifting", "polyphase", "triton", "torch", "pytorch-wavelets"]


def _known(name: str) -> str:
    if name not in names():
        raise RecipeError(f"there is no transform kernel {name!r}; there are: {', '.join(names())}")
    return name


def chosen(plan: Plan, device: torch.device, dtype: torch.dtype) -> Kernel | None:
    """The kernel for `plan` on tensors of `device` and `dtype`. None: differentiable torch operations.

    Raises RecipeError if the forced one does not serve it.
    """
    wanted = forced_name()
    if wanted in NATIVE:
        return None
    for kernel in available():
        if wanted in (None, kernel.name) and kernel.serves(plan, device, dtype):
            return kernel
    if wanted is not None:
        why = unavailable().get(wanted, f"does not serve {plan.bank.name} in {plan.mode} for {dtype} on {device.type}")
        raise RecipeError(
            f"the transform kernel {wanted!r} {why}; force another, or none ({VARIABLE} is what forces it)"
        )
    return None


@lru_cache(maxsize=1)
def available() -> tuple[Kernel, ...]:
    """The kernels that can be used here, in the order in which they are tried."""
    kernels: list[Kernel] = []
    wide, single = (torch.float32, torch.float64), (torch.float32,)
    if "haar" not in unavailable():
        from wavekit_core.wavelets.kernels import cpu, haar, lifting

        kernels += [
            Kernel("haar", partial(_on, "cpu", wide, haar.serves), cpu.run_haar),
            Kernel("lifting", partial(_on, "cpu", single, lifting.serves), cpu.run_lifting),
            Kernel("polyphase", partial(_on, "cpu", wide, lambda plan: True), cpu.run_polyphase),
        ]
    if "triton" not in unavailable():
        kernels.append(Kernel("triton", partial(_on, "cuda", wide, cuda.serves), cuda.run))
    return tuple(kernels)


def _on(device: str, dtypes: Sequence[torch.dtype], serves: Callable[[Plan], bool], plan: Plan, *found: object) -> bool:
    return getattr(found[0], "type", None) == device and found[1] in dtypes and serves(plan)


@lru_cache(maxsize=1)
def unavailable() -> dict[str, str]:
    """Kernels that cannot be used here, and why."""
    why: dict[str, str] = {}
    if reason := cuda.unavailable():
        why["triton"] = reason
    try:
        importlib.import_module("numba")
    except Exception as error:  # numba fails in many ways where it does not fit numpy or the processor
        why |= dict.fromkeys(("haar", "lifting", "polyphase"), f"needs numba, which cannot be imported: {error}")
    return why
