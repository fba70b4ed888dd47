"""Laws of transforms of numbers: linearity, the adjoint, energy and gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch

from wavekit_core.kinds import Transform
from wavekit_core.testing.elements import off_by, vectors
from wavekit_core.testing.laws import NotApplicable, first_paragraph
from wavekit_core.testing.transform_case import TransformCase


def linearity(case: TransformCase) -> str | None:
    """A sum becomes the sum, but for one fixed offset (as of `whiten`), unless the transform says `linear = False`."""
    transform = case.at(torch.float64)
    _require_linear(transform)
    offsets = []
    for which, function, x, y in case.pairs(transform):
        zero = function(torch.zeros_like(x))
        sum_ = function(2.5 * x - 0.75 * y) - zero
        off = off_by(sum_, 2.5 * (function(x) - zero) - 0.75 * (function(y) - zero))
        assert off <= 1e-9, (
            f"{which}(2.5 x − 0.75 y) is off by {off:.2g} of the largest value from 2.5 {which}(x) − 0.75 {which}(y); "
            "a transform that is not linear says linear = False"
        )
        offsets.append(float(zero.abs().max()))
    return "linear" if max(offsets) < 1e-12 else f"affine: 0 becomes up to {offsets[0]:.2g}"


def adjointness(case: TransformCase) -> str | None:
    """The gradient is the exact adjoint: ⟨W x, y⟩ = ⟨x, Wᵀ y⟩ for the W of `forward` and of `inverse`, if they are linear."""
    transform = case.at(torch.float64)
    _require_linear(transform)
    worst = 0.0
    for which, function, x, _ in case.pairs(transform):
        tracked = x.clone().requires_grad_()
        made = function(tracked)
        y = torch.randn_like(made)
        (pulled,) = torch.autograd.grad(made, tracked, y)
        left = ((made.detach() - function(torch.zeros_like(x))) * y).sum()
        right = (x * pulled).sum()
        scale = max(float(made.detach().norm() * y.norm()), float(x.norm() * pulled.norm()), 1e-300)
        off = float((left - right).abs()) / scale
        assert off <= 1e-11, (
            f"{which}: ⟨W x, y⟩ = {float(left):.6g}, and ⟨x, Wᵀ y⟩ = {float(right):.6g} with the gradient as Wᵀ; "
            "the backward pass is not the adjoint"
        )
        worst = max(worst, off)
    return f"off by {worst:.1e}"


def energy(case: TransformCase) -> str | None:
    """Where the space says `orthonormal` (and the norm is `ortho`), the energy of the coefficients is that of the batch."""
    transform, x = case.at(torch.float64), case.batch(torch.float64)
    target = transform.target(case.space)
    if not getattr(target, "orthonormal", False):
        raise NotApplicable("the space does not say that it is orthonormal")
    if getattr(target, "norm", "ortho") != "ortho":
        raise NotApplicable(f"the norm {getattr(target, 'norm', '')} scales the orthonormal coefficients")
    before = vectors(case.space, x).square().sum(1)
    after = vectors(target, transform(x)).square().sum(1)
    off = float(((after - before) / before).abs().max())
    assert off <= 1e-9, (
        f"the space is declared orthonormal, and the energy changes by a factor of {float((after / before)[0]):.6g}"
    )
    return f"off by {off:.1e}"


def gradients(case: TransformCase) -> str | None:
    """The gradients of `forward` and `inverse` are those of finite differences (torch's gradcheck, float64), unless the transform
    says `differentiable = False`."""
    _gradcheck(case, torch.autograd.gradcheck, "the gradient is not that of finite differences")
    return None


def second_gradients(case: TransformCase) -> str | None:
    """The gradients of the gradients are those of finite differences (torch's gradgradcheck, float64)."""
    _gradcheck(case, torch.autograd.gradgradcheck, "the gradient of the gradient is not that of finite differences")
    return None


def _gradcheck(case: TransformCase, check: Callable[..., bool], otherwise: str) -> None:
    transform = case.at(torch.float64)
    if not transform.differentiable:
        raise NotApplicable("it says that it is not differentiable")
    for which, function, x, _ in case.pairs(transform):
        if not function(x[:1].clone().requires_grad_()).requires_grad:
            raise AssertionError(
                f"{which}: no gradient passes through; it is cut off (detach, numpy, no_grad); "
                "a transform that rounds says differentiable = False"
            )
        try:
            check(function, (x[:1].clone().requires_grad_(),), fast_mode=True)
        except RuntimeError as error:
            raise AssertionError(f"{which}: {otherwise}: {first_paragraph(error)}") from error


def _require_linear(transform: Transform) -> None:
    if not transform.linear:
        raise NotApplicable("it says that it is not linear")


LAWS = (linearity, adjointness, energy, gradients, second_gradients)
