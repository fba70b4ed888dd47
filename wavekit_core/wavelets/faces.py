"""The two faces of the operators: a kernel fills in tensors, and here it gets its gradients.

In eager mode a pair of `autograd.Function`s, each the gradient of the other; under `torch.compile` a pair of custom operators,
because compiling refuses the one, and forward mode and `vmap` the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.kernels import Kernel, chosen
from wavekit_core.wavelets.plan import Plan, level_sizes, plan_of
from wavekit_core.wavelets.slices import HALVES, join_levels, split_levels

CHUNK = 1 << 21  # numbers of half precision that are widened at a time


def kernel_for(plan: Plan, like: Tensor) -> Kernel | None:
    """The kernel for `plan` on tensors like this one; None: differentiable torch operations."""
    return chosen(plan, like.device, torch.float32 if like.dtype in HALVES else like.dtype)


def split_by(kernel: Kernel, plan: Plan, x: Tensor, out: Sequence[Tensor] | None = None) -> tuple[Tensor, ...]:
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


def join_by(kernel: Kernel, plan: Plan, bands: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
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


class Split(Function):
    """Image to bands. The gradient is `join` of the transposed plan."""

    @staticmethod
    def forward(x: Tensor, plan: Plan, kernel: Kernel) -> tuple[Tensor, ...]:
        return split_by(kernel, plan, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _, ctx.plan, ctx.kernel = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return Join.apply(ctx.plan.T, ctx.kernel, *gradients), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Any, *_: Any) -> Any:
        return Split.apply(tangent, ctx.plan, ctx.kernel)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, plan: Plan, kernel: Kernel) -> Any:
        return Split.apply(x.movedim(in_dims[0], 0), plan, kernel), (0,) * (plan.levels + 1)


class Join(Function):
    """Bands to image. The gradient is `split` of the transposed plan."""

    @staticmethod
    def forward(plan: Plan, kernel: Kernel, *bands: Tensor) -> Tensor:
        return join_by(kernel, plan, bands)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.plan, ctx.kernel = inputs[:2]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, None, *Split.apply(gradients[0], ctx.plan.T, ctx.kernel)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return Join.apply(ctx.plan, ctx.kernel, *tangents[2:])

    @staticmethod
    def vmap(info: Any, in_dims: Any, plan: Plan, kernel: Kernel, *bands: Tensor) -> Any:
        count = info.batch_size
        moved = [
            band.expand(count, *band.shape) if d is None else band.movedim(d, 0)
            for band, d in zip(bands, in_dims[2:], strict=True)
        ]
        return Join.apply(plan, kernel, *moved), 0


# --- under torch.compile ----------------------------------------------------------------------------------------------


def described(bank: FilterBank) -> tuple[str, list[float], bool]:
    return bank.name, [*bank.dec_lo, *bank.dec_hi, *bank.rec_lo, *bank.rec_hi], bank.orthonormal


def _plan(
    name: str, taps: Sequence[float], orthonormal: bool, mode: Any, levels: int, size: Any, transposed: bool
) -> Plan:
    low, high, rec_low, rec_high = (tuple(taps[i * len(taps) // 4 : (i + 1) * len(taps) // 4]) for i in range(4))
    plan = plan_of(_bank(name, low, high, rec_low, rec_high, orthonormal), mode, levels, tuple(size))
    return plan.T if transposed else plan


_bank = lru_cache(maxsize=64)(FilterBank)


@torch.library.custom_op("wavekit::split", mutates_args=())
def split_op(
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
    if (kernel := kernel_for(plan, x)) is None:
        if transposed:
            return _transposed_slices(plan, x)
        approx, details = split_levels(x, plan.bank, plan.mode, levels, plan.axes)
        return [approx.contiguous(), *details]
    return list(split_by(kernel, plan, x))


@torch.library.custom_op("wavekit::join", mutates_args=())
def join_op(
    bands: list[Tensor], name: str, taps: list[float], orthonormal: bool, mode: str, size: list[int], transposed: bool
) -> Tensor:
    plan = _plan(name, taps, orthonormal, mode, len(bands) - 1, size, transposed)
    if (kernel := kernel_for(plan, bands[0])) is None:
        return _transposed_slices(plan, bands) if transposed else join_levels(bands, plan.bank, plan.mode, plan.size)
    return join_by(kernel, plan, bands)


def _transposed_slices(plan: Plan, given: Any) -> Any:
    """`split` or `join` of a transposed plan, as the gradient of the other one."""
    bank, mode, size = plan.bank, plan.mode, plan.size
    stack = (3,) * (plan.axes == 2)
    with torch.enable_grad():
        if isinstance(given, Tensor):
            lead = given.shape[: given.ndim - plan.axes]
            shapes = [plan.sizes[-1], *((*stack, *count) for count in plan.sizes[:0:-1])]
            bands = [given.new_zeros(*lead, *shape, requires_grad=True) for shape in shapes]
            return list(torch.autograd.grad(join_levels(bands, bank, mode, size), bands, given))
        lead = given[0].shape[: given[0].ndim - plan.axes]
        x = given[0].new_zeros(*lead, *plan.size, requires_grad=True)
        approx, details = split_levels(x, bank, mode, plan.levels, plan.axes)
        return torch.autograd.grad([approx, *details], x, list(given))[0]


@split_op.register_fake
def _(x: Tensor, name: str, taps: Any, orthonormal: bool, mode: Any, levels: int, size: Any, transposed: bool) -> Any:
    bank = _plan(name, taps, orthonormal, mode, 1, (2,), False).bank
    counts = level_sizes(bank, mode, levels, tuple(size))
    lead, stack = x.shape[: x.ndim - len(size)], (3,) * (len(size) == 2)
    return [x.new_empty(*lead, *counts[-1]), *(x.new_empty(*lead, *stack, *count) for count in counts[:0:-1])]


@join_op.register_fake
def _(bands: Any, name: str, taps: Any, orthonormal: bool, mode: Any, size: Any, transposed: bool) -> Any:
    return bands[0].new_empty(*bands[0].shape[: bands[0].ndim - len(size)], *size)


def _keep_split(ctx: Any, inputs: Any, output: Any) -> None:
    _, ctx.name, ctx.taps, ctx.orthonormal, ctx.mode, _, ctx.size, ctx.transposed = inputs


def _keep_join(ctx: Any, inputs: Any, output: Any) -> None:
    bands, ctx.name, ctx.taps, ctx.orthonormal, ctx.mode, ctx.size, ctx.transposed = inputs
    ctx.levels = len(bands) - 1


def _split_gradient(ctx: Any, gradients: Any) -> Any:
    size = list(ctx.size)
    x = join_op(list(gradients), ctx.name, ctx.taps, ctx.orthonormal, ctx.mode, size, not ctx.transposed)
    return (x, *(None,) * 7)


def _join_gradient(ctx: Any, gradient: Any) -> Any:
    described = (ctx.name, ctx.taps, ctx.orthonormal, ctx.mode)
    return (split_op(gradient, *described, ctx.levels, list(ctx.size), not ctx.transposed), *(None,) * 6)


split_op.register_autograd(_split_gradient, setup_context=_keep_split)
join_op.register_autograd(_join_gradient, setup_context=_keep_join)
