"""The linear operator: one level of the separable two-dimensional transform and its inverse.

**This is the seam.** `analysis` and `synthesis` are all that the rest of wavekit knows of how a transform is computed; fast
kernels go behind these two names. Whatever stands behind them must

* equal PyWavelets' `dwt2` and `idwt2` in the modes of `wavekit_core.wavelets.borders`, for every size;
* be linear, with the exact adjoint as gradient, differentiable any number of times and in forward mode, and batched by
  `torch.func.vmap`;
* keep dtype and device, take any leading dimensions (none and empty ones included) and any strides.

Here both are sums of slices. A slice's gradient is exact by construction, which is why there is no backward to keep right.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wavekit_core.wavelets.borders import Mode, coefficient_count, extend
from wavekit_core.wavelets.filters import FilterBank


def analysis(x: Tensor, bank: FilterBank, mode: Mode) -> tuple[Tensor, Tensor]:
    """One level: x (..., H, W) to the approximation (..., h, w) and the details (..., 3, h, w): cH, cV, cD.

    h and w are `coefficient_count(H or W, bank.length, mode)`. float16 and bfloat16 are computed in float32 and rounded
    once. Raises ValueError for fewer than two axes or an empty image, TypeError for integers.
    """
    _check(x)
    if x.ndim < 2 or not x.shape[-1] or not x.shape[-2]:
        raise ValueError(f"a wavelet transform takes (..., height, width), and x has the shape {tuple(x.shape)}")
    low, high = _split(_working(x), -1, bank, mode)
    approx, horizontal = _split(low, -2, bank, mode)
    vertical, diagonal = _split(high, -2, bank, mode)
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
            f"{bank.name} ({mode}) has {expected[0]}×{expected[1]} coefficients a band for an image of {size[0]}×{size[1]}, "
            f"and is given an approximation {tuple(approx.shape)} and details {tuple(details.shape)}"
        )
    horizontal, vertical, diagonal = _working(details).unbind(-3)
    low = _join(_working(approx), horizontal, -2, bank, mode, size[0])
    high = _join(vertical, diagonal, -2, bank, mode, size[0])
    return _join(low, high, -1, bank, mode, size[1]).to(torch.promote_types(approx.dtype, details.dtype))


def _check(*tensors: Tensor) -> None:
    for tensor in tensors:
        if not (tensor.is_floating_point() or tensor.is_complex()):
            raise TypeError(f"a wavelet transform takes floating-point or complex numbers, not {tensor.dtype}")


def _working(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _split(x: Tensor, axis: int, bank: FilterBank, mode: Mode) -> tuple[Tensor, Tensor]:
    """Low- and high-pass coefficients along `axis`: c[i] = sum over j of dec[j] · x[2i + shift - j]."""
    size, half = x.shape[axis], bank.length // 2
    count = coefficient_count(size, bank.length, mode)
    before = half - 1 if mode == "periodization" else bank.length - 2
    pairs = count + half - 1
    padded = extend(x, axis, before, 2 * pairs - before - size, mode)
    phases = padded.unflatten(axis, (pairs, 2)).unbind(padded.ndim + axis + 1)
    offsets = range(bank.length - 1, -1, -1)  # of tap j in the padded axis
    pieces = [_narrow(phases[o % 2], axis, o // 2, count) for o in offsets]
    return _weighted_sum(pieces, bank.dec_lo), _weighted_sum(pieces, bank.dec_hi)


def _join(low: Tensor, high: Tensor, axis: int, bank: FilterBank, mode: Mode, size: int) -> Tensor:
    """The `size` samples along `axis` of which `low` and `high` are the coefficients.

    Samples of even and of odd index use every second tap each: x[2m + phase] = sum over t of rec[2t + parity] · c[m + shift
    - t]; in periodization c is a circle.
    """
    half = bank.length // 2
    delay = half - 1 if mode == "periodization" else 0
    if mode == "periodization":
        count, before, after = low.shape[axis], half - 1 - delay // 2, half // 2
        low, high = (extend(c, axis, before, after, "periodic") for c in (low, high))
    else:
        count, before = low.shape[axis] - half + 1, half - 1
    samples = []
    for phase in (0, 1):
        parity, shift = (phase + delay) % 2, (phase + delay) // 2 + before
        pieces = [_narrow(c, axis, shift - t, count) for c in (low, high) for t in range(half)]
        samples.append(_weighted_sum(pieces, bank.rec_lo[parity::2] + bank.rec_hi[parity::2]))
    at = low.ndim + axis
    return _narrow(torch.stack(samples, at + 1).flatten(at, at + 1), axis, 0, size)


def _narrow(x: Tensor, axis: int, start: int, count: int) -> Tensor:
    return x if count == x.shape[axis] else x.narrow(axis, start, count)


def _weighted_sum(pieces: Sequence[Tensor], taps: Sequence[float]) -> Tensor:
    """Sum of pieces times taps. Pieces whose taps have one magnitude are added before they are multiplied: symmetric
    filters then need half the multiplications, and Haar's details of a constant image are exactly zero."""
    groups: dict[float, Tensor] = {}
    signs: dict[float, int] = {}
    for piece, tap in zip(pieces, taps, strict=True):
        size, sign = abs(tap), 1 if tap > 0 else -1
        if not size:
            continue
        if size not in groups:
            groups[size], signs[size] = piece, sign
        else:
            groups[size] = groups[size] + piece if sign == signs[size] else groups[size] - piece
    terms = [group * (signs[size] * size) for size, group in groups.items()]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
