"""The transform by pytorch-wavelets, where that library is right.

Its gradient is the exact adjoint in `zero`, and in `periodization` if the axes of every level are even and longer than the
filters. Elsewhere it returns another formula's values without a word (in `symmetric`, `reflect` and `periodic` always), so
there it is refused. It can be differentiated twice, not in forward mode, not under `vmap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wavekit_core.errors import PluginError, RecipeError
from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.borders import Mode
from wavekit_core.wavelets.peers import default_dtype, pytorch_wavelets
from wavekit_core.wavelets.plan import level_sizes

HALVES = (torch.float16, torch.bfloat16)


def split(x: Tensor, bank: FilterBank, mode: Mode, levels: int, axes: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """x (..., H, W) to the approximation (..., h, w) and details, coarse to fine, (..., 3, h, w).

    float16 and bfloat16 are computed in float32. Raises RecipeError for what the library gets wrong or does not have,
    PluginError if it cannot be imported.
    """
    _check(x, bank, mode, levels, tuple(x.shape[-axes:]))
    wide = _wide(x)
    forward, _ = _modules(bank, mode, levels, wide.dtype, wide.device)
    approx, details = forward(wide.reshape(-1, 1, *wide.shape[-2:]) if x.ndim != 4 else wide)
    lead = x.shape[:-2]
    shaped = [d.reshape(*lead, 3, *d.shape[-2:]).to(x.dtype) for d in reversed(details)]
    return approx.reshape(*lead, *approx.shape[-2:]).to(x.dtype), tuple(shaped)


def join(bands: Sequence[Tensor], bank: FilterBank, mode: Mode, size: tuple[int, ...]) -> Tensor:
    """Approximation and details, coarse to fine, to images (..., *size). Raises as `split`."""
    _check(bands[0], bank, mode, len(bands) - 1, size)
    approx, *details = map(_wide, bands)
    lead = approx.shape[:-2]
    if not approx.requires_grad and any(d.requires_grad for d in details):
        approx = approx.detach().requires_grad_()  # the library gives details no gradient if the approximation has none
    if approx.ndim != 4:
        approx = approx.reshape(-1, 1, *approx.shape[-2:])
    _, inverse = _modules(bank, mode, len(details), approx.dtype, approx.device)
    x = inverse((approx, [d.reshape(*approx.shape[:2], 3, *d.shape[-2:]) for d in reversed(details)]))
    return x[..., : size[0], : size[1]].reshape(*lead, *size).to(bands[0].dtype)


def refusal(bank: FilterBank, mode: Mode, levels: int, size: tuple[int, ...]) -> str | None:
    """Why pytorch-wavelets does not compute this, or None if it does."""
    if len(size) != 2:
        return "it is asked for images only"
    if mode not in ("zero", "periodization"):
        return (
            f"it has no mode {mode}" if mode in ("constant", "whole-symmetric") else f"its gradient in {mode} is wrong"
        )
    if mode == "periodization":
        for height, width in level_sizes(bank, mode, levels, size)[:-1]:
            if height % 2 or width % 2 or min(height, width) <= bank.length:
                return (
                    f"it is right in periodization only where every level has even sides longer than the filters "
                    f"({bank.name}: {bank.length}), and a level has {height}×{width}"
                )
    return None


def _check(x: Tensor, bank: FilterBank, mode: Mode, levels: int, size: tuple[int, ...]) -> None:
    if why := refusal(bank, mode, levels, size) or (None if x.numel() else "it takes no empty batch"):
        raise RecipeError(
            f"pytorch-wavelets does not compute {bank.name} in {mode}: {why}; force another kernel, or none"
        )


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in HALVES else x


@lru_cache(maxsize=64)
def _modules(bank: FilterBank, mode: Mode, levels: int, dtype: torch.dtype, device: torch.device) -> tuple[Any, Any]:
    try:
        library = pytorch_wavelets()
    except PluginError as error:
        raise PluginError(
            f"{error}; it imports `pkg_resources`, which setuptools 81 and later do not have: "
            "wavekit stands in for it, other programs need setuptools<81"
        ) from error
    with default_dtype(dtype):
        forward = library.DWTForward(levels, (np.array(bank.dec_lo), np.array(bank.dec_hi)), mode)
        inverse = library.DWTInverse((np.array(bank.rec_lo), np.array(bank.rec_hi)), mode)
    return forward.to(device), inverse.to(device)
