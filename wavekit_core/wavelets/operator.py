"""The linear operator: one level of the separable two-dimensional transform and its inverse.

**This is the seam.** `analysis` and `synthesis` are all that the rest of wavekit knows of how a transform is computed;
fast kernels go behind these two names. Whatever stands behind them must

* equal PyWavelets' `dwt2` and `idwt2` in the modes of `wavekit_core.wavelets.borders`, for every size;
* be linear, with the exact adjoint as gradient, differentiable any number of times and in forward mode, and batched by
  `torch.func.vmap`;
* keep dtype and device, take any leading dimensions (none and empty ones included) and any strides.

The path here is plain torch: `wavekit_core.wavelets.slices`, an axis at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavekit_core.wavelets.borders import Mode, coefficient_count
from wavekit_core.wavelets.filters import FilterBank
from wavekit_core.wavelets.slices import join, split


def analysis(x: Tensor, bank: FilterBank, mode: Mode) -> tuple[Tensor, Tensor]:
    """One level: x (..., H, W) to the approximation (..., h, w) and the details (..., 3, h, w): cH, cV, cD.

    h and w are `coefficient_count(H or W, bank.length, mode)`. float16 and bfloat16 are computed in float32 and rounded
    once. Raises ValueError for fewer than two axes or an empty image, TypeError for integers.
    """
    _check(x)
    if x.ndim < 2 or not x.shape[-1] or not x.shape[-2]:
        raise ValueError(f"a wavelet transform takes (..., height, width), and x has the shape {tuple(x.shape)}")
    low, high = split(_working(x), -1, bank, mode)
    approx, horizontal = split(low, -2, bank, mode)
    vertical, diagonal = split(high, -2, bank, mode)
    return approx.to(x.dtype), torch.stack([horizontal, vertical, diagonal], -3).to(x.dtype)


def synthesis(approx: Tensor, details: Tensor, bank: FilterBank, mode: Mode, size: tuple[int, int]) -> Tensor:
    """The inverse of `analysis`: approximation (..., h, w) and details (..., 3, h, w) to (..., *size).

    `size` is needed because an odd axis and the next even one have equally many coefficients. Raises ValueError if the
    coefficients are not those of an image of `size`, TypeError for integers.
    """
    _check(approx, details)
    expected = tuple(coefficient_count(n, bank.length, mode) for n in size)
    if approx.shape[-2:] != expected or details.shape[-3:] != (3, *expected):
        raise ValueError(
            f"{bank.name} ({mode}) has {expected[0]}×{expected[1]} coefficients a band for an image of "
            f"{size[0]}×{size[1]}, and is given an approximation {tuple(approx.shape)} and "
            f"details {tuple(details.shape)}"
        )
    horizontal, vertical, diagonal = _working(details).unbind(-3)
    low = join(_working(approx), horizontal, -2, bank, mode, size[0])
    high = join(vertical, diagonal, -2, bank, mode, size[0])
    return join(low, high, -1, bank, mode, size[1]).to(torch.promote_types(approx.dtype, details.dtype))


def _check(*tensors: Tensor) -> None:
    for tensor in tensors:
        if not (tensor.is_floating_point() or tensor.is_complex()):
            raise TypeError(f"a wavelet transform takes floating-point or complex numbers, not {tensor.dtype}")


def _working(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
