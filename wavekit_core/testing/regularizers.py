"""Laws of regularizers: what a penalty is, and that a divergence is the one from the prior that is drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from wavekit_core.component import signature_of
from wavekit_core.errors import RecipeError, SpaceError
from wavekit_core.kinds import PosteriorState, Regularizer
from wavekit_core.spaces import LatentSpace
from wavekit_core.testing import components, divergences
from wavekit_core.testing.cases import require_arguments
from wavekit_core.testing.elements import LATENTS
from wavekit_core.testing.laws import Law, NotApplicable, described, first_paragraph
from wavekit_core.testing.regularizer_case import RegularizerCase, penalises, penalty_of


def laws(
    component: type[Any],
    arguments: Sequence[Mapping[str, Any]],
    latents: Sequence[LatentSpace] | None = None,
    imports: Sequence[str] = (),
    **_: Any,
) -> Iterator[Law]:
    """On `latents`, or on those of the kit's that the regularizer takes."""
    for one in arguments:
        require_arguments(component, one)
        for latent in latents or _taken(component, one):
            case = RegularizerCase(component, one, latent, tuple(imports))
            yield from components.common(case, *LAWS, *divergences.LAWS, *components.LAWS)


def _taken(component: type[Any], arguments: Mapping[str, Any]) -> list[LatentSpace]:
    found: list[LatentSpace] = []
    refusal = ""
    for latent in LATENTS:
        try:
            RegularizerCase(component, arguments, latent).build()
        except SpaceError as error:
            refusal = str(error)
            continue
        except Exception:
            pass  # the laws say what is wrong
        found.append(latent)
    if not found:
        raise RecipeError(
            f"{RegularizerCase(component, arguments)} takes none of the latents of a check ({refusal}); give latents of its own"
        )
    return found


@torch.no_grad()
def penalty_shape(case: RegularizerCase) -> str | None:
    """The penalty of a batch is one finite number an image, (B,), of the state's dtype."""
    for dtype in (torch.float64, torch.float32):
        regularizer = case.at(dtype)
        for count in (1, 3):
            made = penalty_of(case, regularizer, case.posterior(count, dtype))
            assert tuple(made.shape) == (count,), (
                f"the penalty of {count} images has the shape {tuple(made.shape)}, not ({count},)"
            )
            assert made.dtype == dtype, f"the penalty of a state in {dtype} is in {made.dtype}"
            assert bool(torch.isfinite(made).all()), f"the penalty of a state at random is {made.tolist()}"
    return f"{made.mean().item():.4g} in the mean"


@torch.no_grad()
def penalty_of_each(case: RegularizerCase) -> str | None:
    """Every image's penalty is what it is alone, and a noise scale that is shared counts for every number that shares it."""
    regularizer, state = case.at(), case.posterior(3, torch.float64)
    together = penalty_of(case, regularizer, state)
    for index in range(3):
        alone = penalty_of(case, regularizer, _mapped(state, lambda t, i=index: t[i : i + 1]))  # type: ignore[misc]
        off = float((alone - together[index]).abs().max())
        assert off <= 1e-9 * (1 + float(together.abs().max())), (
            f"the penalty of image {index} is {float(together[index]):.6g} in a batch of 3, and {float(alone[0]):.6g} alone"
        )
    shared = case.posterior(3, torch.float64, shared=True)
    whole = {name: s.expand_as(shared.mean[name]) for name, s in shared.scale.items()}
    a = penalty_of(case, regularizer, shared)
    b = penalty_of(case, regularizer, PosteriorState(shared.mean, whole, shared.sample, shared.space))
    assert torch.allclose(a, b, rtol=1e-9, atol=1e-9), (
        f"with one noise scale (1, …, 1) a band the penalty is {float(a[0]):.6g}, and with the same scale in every place "
        f"{float(b[0]):.6g}; broadcast the scale to the mean before summing"
    )
    return None


def gradients(case: RegularizerCase) -> str | None:
    """The gradients by mean, noise scale, sample and own parameters are those of finite differences (gradcheck, float64)."""
    regularizer, state = case.at(), case.posterior(2, torch.float64)
    names = list(state.mean)
    own = dict(regularizer.named_parameters())
    keys = [key for key, p in own.items() if p.requires_grad]
    parts = (state.mean, state.scale, state.sample)
    inputs = [part[name].clone().requires_grad_() for part in parts for name in names]
    inputs += [own[key].detach().clone().requires_grad_() for key in keys]

    def penalty(*values: Tensor) -> Tensor:
        mean, scale, sample = (dict(zip(names, values[i * len(names) :], strict=False)) for i in range(3))
        new = PosteriorState(mean, scale, sample, case.space)
        return torch.func.functional_call(
            _Penalty(regularizer),
            {f"inner.{k}": v for k, v in zip(keys, values[3 * len(names) :], strict=True)},
            (new,),
        )

    if not penalty_of(case, regularizer, state).numel() or not penalty(*inputs).requires_grad:
        raise AssertionError("the penalty has no gradient at all; it is cut off (detach, item, no_grad)")
    try:
        torch.autograd.gradcheck(penalty, inputs, fast_mode=True)
    except RuntimeError as error:
        raise AssertionError(f"the gradient is not that of finite differences: {first_paragraph(error)}") from error
    return f"{len(inputs)} inputs"


class _Penalty(torch.nn.Module):
    def __init__(self, inner: Regularizer) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, state: PosteriorState) -> Tensor:
        return self.inner.penalty(state)


def gradient_paths(case: RegularizerCase) -> str | None:
    """The penalty pulls at the state and at every trainable parameter of its own, and its gradient is finite where means are 0
    or noise scales tiny or large."""
    regularizer = case.at()
    for scale, centre in ((1.0, 1.0), (1e-4, 1.0), (1e-4, 0.0), (30.0, 0.0)):
        plain = case.posterior(2, torch.float64)
        state = PosteriorState(
            {k: (v * centre).requires_grad_() for k, v in plain.mean.items()},
            {k: (v * scale).requires_grad_() for k, v in plain.scale.items()},
            {k: v.clone().requires_grad_() for k, v in plain.sample.items()},
            plain.space,
        )
        regularizer.zero_grad()
        made = penalty_of(case, regularizer, state).sum()
        assert made.requires_grad, "the penalty has no gradient at all; it is cut off (detach, item, no_grad)"
        made.backward()
        tracked = [t for part in (state.mean, state.scale, state.sample) for t in part.values()]
        pulled = [t.grad for t in [*tracked, *regularizer.parameters()] if t.grad is not None]
        finite = all(bool(torch.isfinite(g).all()) for g in pulled)
        assert finite, f"the gradient is not finite at noise scales of about {scale:g} and means of about {centre:g}"
        if scale == centre == 1.0:
            assert any(t.grad is not None and bool(t.grad.any()) for t in tracked), (
                "nothing of the state gets a gradient"
            )
            still = [
                n for n, p in regularizer.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())
            ]
            assert not still, f"the trainable {', '.join(still)} gets no gradient; freeze it, or let the penalty use it"
    return None


@torch.no_grad()
def weight_outside(case: RegularizerCase) -> str | None:
    """`weight` is a number from 0 on that the autoencoder applies: the penalty is the same for any."""
    regularizer, state = case.at(), case.posterior(2, torch.float64)
    weight = regularizer.weight
    proper = isinstance(weight, (int, float)) and weight >= 0
    assert proper, f"its weight is {weight!r}; a number from 0 on is expected"
    before = penalty_of(case, regularizer, state)
    other = 3.0 * weight + 1
    if "weight" in signature_of(case.component).values.model_fields:  # type: ignore[arg-type]
        changed = case.build(weight=other).to(torch.float64)
        assert changed.weight == other, f"built with weight {other:g} it has the weight {changed.weight!r}"
    else:
        changed = case.at()
        changed.weight = other
    after = changed.penalty(state)
    assert torch.allclose(before, after, rtol=1e-9, atol=1e-12), (
        f"the penalty is {float(before[0]):.6g} with weight {weight:g} and {float(after[0]):.6g} with weight {other:g}; "
        "the autoencoder applies the weight, the penalty is raw"
    )
    return None


def refusals(case: RegularizerCase) -> str | None:
    """A latent that lacks what it reads is refused with SpaceError and a reason, by the constructor; nothing else is raised."""
    if signature_of(case.component).port is None:  # type: ignore[arg-type]
        raise NotApplicable("it takes every latent: it has no port")
    taken = 0
    strange = (LatentSpace(()), *LATENTS, LatentSpace(tuple(b for b in LATENTS[0].bands if b.role == "detail")))
    for latent in strange:
        try:
            regularizer = case.build(latent)
        except SpaceError as error:
            components.require_reason(error, case.component, latent)
            continue
        except Exception as error:
            raise AssertionError(
                f"built for {latent}: {described(error)}; raise SpaceError(self, reason, remedy) for what it cannot take"
            ) from error
        other = RegularizerCase(case.component, case.arguments, latent)
        try:
            if penalises(case.component) and issubclass(PosteriorState, regularizer.reads):
                regularizer.penalty(other.posterior())
        except Exception as error:
            raise AssertionError(f"it is built for {latent}, but then its penalty fails: {described(error)}") from error
        taken += 1
    return f"{taken} of {len(strange)} latents taken"


def _mapped(state: PosteriorState, function: Any) -> PosteriorState:
    mean, scale, sample = (
        {k: function(v) for k, v in part.items()} for part in (state.mean, state.scale, state.sample)
    )
    return PosteriorState(mean, scale, sample, state.space)


LAWS = (penalty_shape, penalty_of_each, gradients, gradient_paths, weight_outside, refusals)
