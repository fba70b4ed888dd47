"""The linear operators: the multi-level separable transform of images or signals, and its inverse.

**This is the seam.** `analysis` and `synthesis` are all that the rest of wavekit knows of how a transform is computed.
Whatever stands behind them

* equals PyWavelets' `wavedec2` and `waverec2` in the modes of `wavekit_core.wavelets.borders`, for every size;
* is linear, with the exact adjoint as gradient, differentiable any number of times and in forward mode, batched by
  `torch.func.vmap`, and traced whole by `torch.compile`;
* keeps dtype, device and channels_last, takes any leading dimensions (none and empty ones included) and any strides.

A kernel (`wavekit_core.wavelets.kernels`) fills in tensors and knows nothing of gradients, which it gets in
`wavekit_core.wavelets.faces`. Where none serves, the path is plain torch (`wavekit_core.wavelets.slices`), with the gradients
of its operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.borders import Mode
from wavekit_core.wavelets.faces import Join, Split, described, join_by, join_op, kernel_for, split_by, split_op
from wavekit_core.wavelets.kernels import NATIVE, forced_name
from wavekit_core.wavelets.plan import Plan, level_sizes, plan_of
from wavekit_core.wavelets.slices import join_levels, split_levels

Bands = tuple[Tensor, tuple[Tensor, ...]]


def analysis(
    x: Tensor, bank: FilterBank, mode: Mode, levels: int = 1, axes: int = 2, out: Bands | None = None
) -> Bands:
    """x (..., H, W) to the approximation (..., h, w) and the details, coarse to fine, each (..., 3, h, w): cH, cV, cD.

    With `axes` 1, signals (..., N) to (..., n) and details (..., n). Sizes are those of
    `wavekit_core.wavelets.borders.coefficient_count`, level by level. float16 and bfloat16 are computed in float32 and
    rounded once. `out` takes the result instead of new tensors, where no gradient is asked for. Raises ValueError for too
    few axes, no level, an empty image or an `out` of another form, TypeError for integers.
    """
    _check(x)
    if levels < 1:
        raise ValueError(f"a transform has at least one level, not {levels}")
    if x.ndim < axes or not all(x.shape[-axes:]):
        wanted = "(..., height, width)" if axes == 2 else "(..., length)"
        raise ValueError(f"a wavelet transform takes {wanted}, and x has the shape {tuple(x.shape)}")
    if x.is_complex():
        parts = [analysis(part, bank, mode, levels, axes) for part in (x.real, x.imag)]
        bands = torch.complex(parts[0][0], parts[1][0]), tuple(map(torch.complex, parts[0][1], parts[1][1]))
        return bands if out is None else _copied(bands, out)
    if out is not None:
        return _into(x, bank, mode, levels, axes, out)
    size = tuple(x.shape[-axes:])
    if torch.compiler.is_compiling():
        if forced_name() in NATIVE:
            return _native("split")(x, bank, mode, levels, axes)
        made = split_op(x, *described(bank), mode, levels, size, False)
        return made[0], tuple(made[1:])
    plan = plan_of(bank, mode, levels, size)
    if (kernel := kernel_for(plan, x)) is None:
        return _native("split")(x, bank, mode, levels, axes)
    made = Split.apply(x, plan, kernel)
    return made[0], made[1:]


def synthesis(
    approx: Tensor,
    details: Sequence[Tensor],
    bank: FilterBank,
    mode: Mode,
    size: Sequence[int],
    out: Tensor | None = None,
) -> Tensor:
    """The inverse of `analysis`: approximation and details, coarse to fine, to images (..., *size), or signals if `size`
    has one number.

    `size` is needed because an odd axis and the next even one have equally many coefficients. Raises ValueError if the
    coefficients are not those of an image of `size`, TypeError for integers.
    """
    _check(approx, *details)
    size = tuple(size)
    _check_bands(approx, details, bank, mode, size)
    if approx.is_complex():
        parts = [synthesis(a, d, bank, mode, size) for a, d in (
            (approx.real, [d.real for d in details]), (approx.imag, [d.imag for d in details]))]  # fmt: skip
        x = torch.complex(*parts)
        return x if out is None else out.copy_(x)
    dtype = approx.dtype
    for detail in details:
        dtype = torch.promote_types(dtype, detail.dtype)
    bands = [band.to(dtype) for band in (approx, *details)]
    if out is not None:
        return _image_into(bands, plan_of(bank, mode, len(details), size), out)
    if torch.compiler.is_compiling():
        if forced_name() in NATIVE:
            return _native("join")(bands, bank, mode, size)
        return join_op(bands, *described(bank), mode, list(size), False)
    plan = plan_of(bank, mode, len(details), size)
    if (kernel := kernel_for(plan, approx)) is None:
        return _native("join")(bands, bank, mode, size)
    return Join.apply(plan, kernel, *bands)


def _check(*tensors: Tensor) -> None:
    for tensor in tensors:
        if not (tensor.is_floating_point() or tensor.is_complex()):
            raise TypeError(f"a wavelet transform takes floating-point or complex numbers, not {tensor.dtype}")


def _check_bands(
    approx: Tensor, details: Sequence[Tensor], bank: FilterBank, mode: Mode, size: tuple[int, ...]
) -> None:
    axes, stack = len(size), (3,) * (len(size) == 2)
    counts = level_sizes(bank, mode, len(details), size)
    wanted = counts[-1], *((*stack, *count) for count in counts[:0:-1])
    lead = approx.shape[:-axes]
    for band, shape in zip((approx, *details), wanted, strict=True):
        if tuple(band.shape) != (*lead, *shape):
            sizes = ", ".join("×".join(map(str, count)) for count in counts[:0:-1])
            raise ValueError(
                f"{bank.name} ({mode}) has {sizes} coefficients a band for an image of "
                f"{'×'.join(map(str, size))}, and is given an approximation {tuple(approx.shape)} and "
                f"details {', '.join(str(tuple(d.shape)) for d in details)}"
            )


def _native(operator: str) -> Callable[..., Any]:
    if forced_name() == "pytorch-wavelets":
        from wavekit_core.wavelets.kernels import pytorch_wavelets as engine

        return getattr(engine, operator)
    return split_levels if operator == "split" else join_levels


def _into(x: Tensor, bank: FilterBank, mode: Mode, levels: int, axes: int, out: Bands) -> Bands:
    plan = plan_of(bank, mode, levels, tuple(x.shape[-axes:]))
    if len(out[1]) != levels:
        raise ValueError(f"out has details of {len(out[1])} levels, and the transform has {levels}")
    _check_bands(out[0], out[1], bank, mode, plan.size)
    _check_out(x, out[0], *out[1])
    if out[0].shape[: out[0].ndim - axes] != x.shape[: x.ndim - axes]:
        raise ValueError(f"out is for a batch {tuple(out[0].shape[:-axes])}, and x has {tuple(x.shape[:-axes])}")
    with torch.no_grad():
        if (kernel := kernel_for(plan, x)) is None:
            return _copied(_native("split")(x, bank, mode, levels, axes), out)
        split_by(kernel, plan, x, (out[0], *out[1]))
    return out


def _image_into(bands: Sequence[Tensor], plan: Plan, out: Tensor) -> Tensor:
    lead = bands[0].shape[: bands[0].ndim - plan.axes]
    if tuple(out.shape) != (*lead, *plan.size):
        raise ValueError(f"out has the shape {tuple(out.shape)}, and the result {(*lead, *plan.size)}")
    _check_out(bands[0], out)
    with torch.no_grad():
        if (kernel := kernel_for(plan, out)) is None:
            return out.copy_(_native("join")(bands, plan.bank, plan.mode, plan.size))
        return join_by(kernel, plan, bands, out)


def _check_out(like: Tensor, *out: Tensor) -> None:
    for one in out:
        if one.dtype != like.dtype or one.device != like.device or not one.is_contiguous():
            raise ValueError(f"out must be contiguous {like.dtype} on {like.device}, as the input is")
        if one.requires_grad or (like.requires_grad and torch.is_grad_enabled()):
            raise ValueError("out takes no gradient; call without it, or within torch.no_grad()")


def _copied(bands: Bands, out: Bands) -> Bands:
    for target, band in zip((out[0], *out[1]), (bands[0], *bands[1]), strict=True):
        target.copy_(band)
    return out
