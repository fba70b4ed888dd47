"""The linear operators: the multi-level separable transform of images or signals, and its inverse.

**This is the seam.** `analysis` and `synthesis` are all that the rest of wavekit knows of how a transform is computed.
Whatever stands behind them

* equals PyWavelets' `wavedec2` and `waverec2` in the modes of `wavekit_core.wavelets.borders`, for every size;
* is linear, with the exact adjoint as gradient, differentiable any number of times and in forward mode, batched by
  `torch.func.vmap`, and traced whole by `torch.compile`;
* keeps dtype, device and channels_last, takes any leading dimensions (none and empty ones included) and any strides.

A kernel (`wavekit_core.wavelets.kernels`) fills in tensors and knows nothing of gradients. It has two faces here: a pair of
`autograd.Function`s, each the gradient of the other, and under `torch.compile` a pair of custom operators, because compiling
refuses the one and forward mode the other. Where no kernel serves, the path is plain torch
(`wavekit_core.wavelets.slices`), with the gradients of its operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from wavekit_core.wavelets.borders import Mode
from wavekit_core.wavelets.filters import FilterBank
from wavekit_core.wavelets.kernels import NATIVE, Kernel, chosen, forced_name
from wavekit_core.wavelets.plan import Plan, level_sizes, plan_of
from wavekit_core.wavelets.slices import join, split

Bands = tuple[Tensor, tuple[Tensor, ...]]
HALVES = (torch.float16, torch.bfloat16)
CHUNK = 1 << 21  # numbers of half precision that are widened at a time


def analysis(
    x: Tensor, bank: FilterBank, mode: Mode, levels: int = 1, axes: int = 2, out: Bands | None = None
) -> Bands:
    """x (..., H, W) to the approximation (..., h, w) and the details, coarse to fine, each (..., 3, h, w): cH, cV, cD.

    With `axes` 1, signals (..., N) to (..., n) and details (..., n). Sizes are those of
    `wavekit_core.wavelets.borders.coefficient_count`, level by level. float16 and bfloat16 are computed in float32 and
    rounded once. `out` takes the result instead of new tensors, where no gradient is asked for. Raises ValueError for too
    few axes, an empty image or an `out` of another form, TypeError for integers.
    """
    _check(x)
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
        made = _split_op(x, *_described(bank), mode, levels, size, False)
        return made[0], tuple(made[1:])
    plan = plan_of(bank, mode, levels, size)
    if (kernel := _kernel(plan, x)) is None:
        return _native("split")(x, bank, mode, levels, axes)
    made = _Split.apply(x, plan, kernel)
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
        return _join_op(bands, *_described(bank), mode, list(size), False)
    plan = plan_of(bank, mode, len(details), size)
    if (kernel := _kernel(plan, approx)) is None:
        return _native("join")(bands, bank, mode, size)
    return _Join.apply(plan, kernel, *bands)


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


def _kernel(plan: Plan, like: Tensor) -> Kernel | None:
    return chosen(plan, like.device, torch.float32 if like.dtype in HALVES else like.dtype)


# --- in plain torch ---------------------------------------------------------------------------------------------------


def _native(operator: str) -> Callable[..., Any]:
    if forced_name() == "pytorch-wavelets":
        from wavekit_core.wavelets import pytorch_wavelets_engine as engine

        return getattr(engine, operator)
    return _split_slices if operator == "split" else _join_slices


def _split_slices(x: Tensor, bank: FilterBank, mode: Mode, levels: int, axes: int) -> Bands:
    details: list[Tensor] = []
    dtype, x = x.dtype, x.float() if x.dtype in HALVES else x
    for _ in range(levels):
        low, high = split(x, -1, bank, mode)
        if axes == 2:
            low, horizontal = split(low, -2, bank, mode)
            high = torch.stack([horizontal, *split(high, -2, bank, mode)], -3)
        details.insert(0, high.to(dtype))
        x = low
    return x.to(dtype), tuple(details)


def _join_slices(bands: Sequence[Tensor], bank: FilterBank, mode: Mode, size: tuple[int, ...]) -> Tensor:
    dtype, x = bands[0].dtype, bands[0]
    x = x.float() if dtype in HALVES else x
    for details, n in zip(bands[1:], level_sizes(bank, mode, len(bands) - 1, size)[-2::-1], strict=True):
        high = details.float() if dtype in HALVES else details
        if len(size) == 2:
            horizontal, vertical, diagonal = high.unbind(-3)
            x = join(x, horizontal, -2, bank, mode, n[0])
            high = join(vertical, diagonal, -2, bank, mode, n[0])
        x = join(x, high, -1, bank, mode, n[-1])
    return x.to(dtype)


# --- by a kernel ------------------------------------------------------------------------------------------------------


def _split_by(kernel: Kernel, plan: Plan, x: Tensor, out: Sequence[Tensor] | None = None) -> tuple[Tensor, ...]:
    """The bands of x, by `kernel`."""
    lead, stack = x.shape[: x.ndim - plan.axes], (3,) * (plan.axes == 2)
    bands = out or [
        x.new_empty(*lead, *plan.sizes[-1]),
        *(x.new_empty(*lead, *stack, *count) for count in plan.sizes[:0:-1]),
    ]
    planes, flat = x.reshape(-1, *plan.size), [bands[0].view(-1, *plan.sizes[-1])]
    flat += [d.view(-1, *stack, *count) for d, count in zip(bands[1:], plan.sizes[:0:-1], strict=True)]
    if planes.numel():
        _run(kernel, "split", plan, planes.contiguous(), flat)
    if out is None and _channels_last(x):
        bands[0] = bands[0].contiguous(memory_format=torch.channels_last)  # type: ignore[index]
    return tuple(bands)


def _join_by(kernel: Kernel, plan: Plan, bands: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
    """The image of the bands, by `kernel`."""
    approx, stack = bands[0], (3,) * (plan.axes == 2)
    x = approx.new_empty(*approx.shape[: approx.ndim - plan.axes], *plan.size) if out is None else out
    flat = [approx.reshape(-1, *plan.sizes[-1]).contiguous()]
    flat += [d.reshape(-1, *stack, *count).contiguous() for d, count in zip(bands[1:], plan.sizes[:0:-1], strict=True)]
    if x.numel():
        _run(kernel, "join", plan, x.view(-1, *plan.size), flat)
    if out is None and _channels_last(approx):
        x = x.contiguous(memory_format=torch.channels_last)
    return x


def _run(kernel: Kernel, operator: str, plan: Plan, x: Tensor, bands: Sequence[Tensor]) -> None:
    """Half precisions are widened and rounded some images at a time, so that they cost no second copy of everything."""
    if x.dtype not in HALVES:
        kernel.run(operator, plan, x, bands[0], bands[:0:-1])
        return
    step = max(1, CHUNK // max(1, x[0].numel()))
    for start in range(0, len(x), step):
        some = [x[start : start + step], *(band[start : start + step] for band in bands)]
        wide = [part.float() for part in some]
        kernel.run(operator, plan, wide[0], wide[1], wide[:1:-1])
        for part, result in zip(some[1:], wide[1:], strict=True) if operator == "split" else [(some[0], wide[0])]:
            part.copy_(result)


def _channels_last(x: Tensor) -> bool:
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _into(x: Tensor, bank: FilterBank, mode: Mode, levels: int, axes: int, out: Bands) -> Bands:
    plan = plan_of(bank, mode, levels, tuple(x.shape[-axes:]))
    if len(out[1]) != levels:
        raise ValueError(f"out has details of {len(out[1])} levels, and the transform has {levels}")
    _check_bands(out[0], out[1], bank, mode, plan.size)
    _check_out(x, out[0], *out[1])
    if out[0].shape[: out[0].ndim - axes] != x.shape[: x.ndim - axes]:
        raise ValueError(f"out is for a batch {tuple(out[0].shape[:-axes])}, and x has {tuple(x.shape[:-axes])}")
    with torch.no_grad():
        if (kernel := _kernel(plan, x)) is None:
            return _copied(_native("split")(x, bank, mode, levels, axes), out)
        _split_by(kernel, plan, x, (out[0], *out[1]))
    return out


def _image_into(bands: Sequence[Tensor], plan: Plan, out: Tensor) -> Tensor:
    lead = bands[0].shape[: bands[0].ndim - plan.axes]
    if tuple(out.shape) != (*lead, *plan.size):
        raise ValueError(f"out has the shape {tuple(out.shape)}, and the result {(*lead, *plan.size)}")
    _check_out(bands[0], out)
    with torch.no_grad():
        if (kernel := _kernel(plan, out)) is None:
            return out.copy_(_native("join")(bands, plan.bank, plan.mode, plan.size))
        return _join_by(kernel, plan, bands, out)


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


class _Split(Function):
    """Image to bands. The gradient is `join` of the transposed plan."""

    @staticmethod
    def forward(x: Tensor, plan: Plan, kernel: Kernel) -> tuple[Tensor, ...]:
        return _split_by(kernel, plan, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _, ctx.plan, ctx.kernel = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return _Join.apply(ctx.plan.T, ctx.kernel, *gradients), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Any, *_: Any) -> Any:
        return _Split.apply(tangent, ctx.plan, ctx.kernel)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, plan: Plan, kernel: Kernel) -> Any:
        return _Split.apply(x.movedim(in_dims[0], 0), plan, kernel), (0,) * (plan.levels + 1)


class _Join(Function):
    """Bands to image. The gradient is `split` of the transposed plan."""

    @staticmethod
    def forward(plan: Plan, kernel: Kernel, *bands: Tensor) -> Tensor:
        return _join_by(kernel, plan, bands)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.plan, ctx.kernel = inputs[:2]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, None, *_Split.apply(gradients[0], ctx.plan.T, ctx.kernel)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return _Join.apply(ctx.plan, ctx.kernel, *tangents[2:])

    @staticmethod
    def vmap(info: Any, in_dims: Any, plan: Plan, kernel: Kernel, *bands: Tensor) -> Any:
        count = info.batch_size
        moved = [
            band.expand(count, *band.shape) if d is None else band.movedim(d, 0)
            for band, d in zip(bands, in_dims[2:], strict=True)
        ]
        return _Join.apply(plan, kernel, *moved), 0


# --- under torch.compile ----------------------------------------------------------------------------------------------


def _described(bank: FilterBank) -> tuple[str, list[float], bool]:
    return bank.name, [*bank.dec_lo, *bank.dec_hi, *bank.rec_lo, *bank.rec_hi], bank.orthonormal


def _plan(
    name: str, taps: Sequence[float], orthonormal: bool, mode: Any, levels: int, size: Any, transposed: bool
) -> Plan:
    low, high, rec_low, rec_high = (tuple(taps[i * len(taps) // 4 : (i + 1) * len(taps) // 4]) for i in range(4))
    plan = plan_of(_bank(name, low, high, rec_low, rec_high, orthonormal), mode, levels, tuple(size))
    return plan.T if transposed else plan


_bank = lru_cache(maxsize=64)(FilterBank)


@torch.library.custom_op("wavekit::split", mutates_args=())
def _split_op(
    x: Tensor,
    name: str,
    taps: list[float],
    orthonormal: bool,
    mode: str,
    levels: int,
    size: list[int],
    transposed: bool,
) -> list[Tensor]:
    plan = _plan(name, taps, orthonormal, mode, levels, size, transposed)
    if (kernel := _kernel(plan, x)) is None:
        if transposed:
            return _transposed_slices(plan, x)
        approx, details = _split_slices(x, plan.bank, plan.mode, levels, plan.axes)
        return [approx.contiguous(), *details]
    return list(_split_by(kernel, plan, x))


@torch.library.custom_op("wavekit::join", mutates_args=())
def _join_op(
    bands: list[Tensor], name: str, taps: list[float], orthonormal: bool, mode: str, size: list[int], transposed: bool
) -> Tensor:
    plan = _plan(name, taps, orthonormal, mode, len(bands) - 1, size, transposed)
    if (kernel := _kernel(plan, bands[0])) is None:
        return _transposed_slices(plan, bands) if transposed else _join_slices(bands, plan.bank, plan.mode, plan.size)
    return _join_by(kernel, plan, bands)


def _transposed_slices(plan: Plan, given: Any) -> Any:
    """`split` or `join` of a transposed plan, as the gradient of the other one."""
    bank, mode, size = plan.bank, plan.mode, plan.size
    stack = (3,) * (plan.axes == 2)
    with torch.enable_grad():
        if isinstance(given, Tensor):
            lead = given.shape[: given.ndim - plan.axes]
            shapes = [plan.sizes[-1], *((*stack, *count) for count in plan.sizes[:0:-1])]
            bands = [given.new_zeros(*lead, *shape, requires_grad=True) for shape in shapes]
            return list(torch.autograd.grad(_join_slices(bands, bank, mode, size), bands, given))
        lead = given[0].shape[: given[0].ndim - plan.axes]
        x = given[0].new_zeros(*lead, *plan.size, requires_grad=True)
        approx, details = _split_slices(x, bank, mode, plan.levels, plan.axes)
        return torch.autograd.grad([approx, *details], x, list(given))[0]


@_split_op.register_fake
def _(x: Tensor, name: str, taps: Any, orthonormal: bool, mode: Any, levels: int, size: Any, transposed: bool) -> Any:
    bank = _plan(name, taps, orthonormal, mode, 1, (2,), False).bank
    counts = level_sizes(bank, mode, levels, tuple(size))
    lead, stack = x.shape[: x.ndim - len(size)], (3,) * (len(size) == 2)
    return [x.new_empty(*lead, *counts[-1]), *(x.new_empty(*lead, *stack, *count) for count in counts[:0:-1])]


@_join_op.register_fake
def _(bands: Any, name: str, taps: Any, orthonormal: bool, mode: Any, size: Any, transposed: bool) -> Any:
    return bands[0].new_empty(*bands[0].shape[: bands[0].ndim - len(size)], *size)


def _keep_split(ctx: Any, inputs: Any, output: Any) -> None:
    _, ctx.name, ctx.taps, ctx.orthonormal, ctx.mode, _, ctx.size, ctx.transposed = inputs


def _keep_join(ctx: Any, inputs: Any, output: Any) -> None:
    bands, ctx.name, ctx.taps, ctx.orthonormal, ctx.mode, ctx.size, ctx.transposed = inputs
    ctx.levels = len(bands) - 1


def _split_gradient(ctx: Any, gradients: Any) -> Any:
    size = list(ctx.size)
    x = _join_op(list(gradients), ctx.name, ctx.taps, ctx.orthonormal, ctx.mode, size, not ctx.transposed)
    return (x, *(None,) * 7)


def _join_gradient(ctx: Any, gradient: Any) -> Any:
    described = (ctx.name, ctx.taps, ctx.orthonormal, ctx.mode)
    return (_split_op(gradient, *described, ctx.levels, list(ctx.size), not ctx.transposed), *(None,) * 6)


_split_op.register_autograd(_split_gradient, setup_context=_keep_split)
_join_op.register_autograd(_join_gradient, setup_context=_keep_join)
