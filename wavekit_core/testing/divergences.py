"""Laws of divergences: a penalty and the draws of its prior belong together."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from wavekit_core.engine.shards import seeded
from wavekit_core.kinds import PosteriorState
from wavekit_core.testing.components import moved
from wavekit_core.testing.laws import NotApplicable
from wavekit_core.testing.regularizer_case import RegularizerCase, penalty_of

DRAWS = 40_000  # from the prior, for the estimate of the divergence
BINS = 60


@torch.no_grad()
def nonnegative(case: RegularizerCase) -> str | None:
    """A divergence is never negative."""
    if not case.component.divergence:
        raise NotApplicable("it is no divergence")
    regularizer, state = case.at(), case.posterior(64, torch.float64)
    lowest = math.inf
    for scale in (0.05, 1.0, 10.0):
        scaled = PosteriorState(
            {k: v * scale for k, v in state.mean.items()},
            {k: v * scale for k, v in state.scale.items()},
            state.sample,
            state.space,
        )
        lowest = min(lowest, float(penalty_of(case, regularizer, scaled).min()))
    assert lowest >= -1e-9, f"the divergence of a state at random is {lowest:.6g}, and none is below 0"
    return f"at least {lowest:.3g}"


@torch.no_grad()
def divergence(case: RegularizerCase) -> str | None:
    """A divergence is the KL divergence, in nats an image, of the Gaussian posterior from the prior that `draw` draws from.

    The prior's density is estimated, number by number, from draws; hence a tolerance of 3 % and 0.02 nats a number.
    """
    if not case.component.divergence:
        raise NotApplicable("it is no divergence")
    regularizer = moved(case.ready())
    names = regularizer.prior_bands()
    if not names:
        raise NotApplicable("it has no prior on this latent")
    if any(not band.drawn for band in case.space.bands):
        raise NotApplicable("bands that follow from others pay too, and are not drawn")
    draws = regularizer.draw(DRAWS)
    prior = torch.cat([draws[name].flatten(1) for name in names], 1).double()  # (DRAWS, numbers)
    _require_independent(prior)
    middle, width = prior.median(0).values, (prior.quantile(0.75, 0) - prior.quantile(0.25, 0)) / 2
    mean, scale = middle + 0.5 * width, 0.6 * width
    estimate = float(sum(_kl(prior[:, i], mean[i], scale[i]) for i in range(prior.shape[1])))
    state = case.posterior(1, torch.float64)
    at = 0
    for name in names:
        shape = state.mean[name].shape
        until = at + shape.numel()
        state.mean[name].copy_(mean[at:until].reshape(shape))
        state.scale[name].copy_(scale[at:until].reshape(shape))
        at = until
    found = float(penalty_of(case, regularizer.to(torch.float64), state)[0])
    allowed = 0.03 * abs(estimate) + 0.02 * prior.shape[1]
    assert abs(found - estimate) <= allowed, (
        f"the penalty is {found:.4g} nats, and the divergence from {DRAWS} draws of its own prior {estimate:.4g} "
        f"(± {allowed:.2g}); the two do not belong together"
    )
    return f"{found:.4g} nats, estimated {estimate:.4g}"


def _kl(draws: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """∫ q log q/p for q = N(mean, scale²) and the histogram p of the draws, within 4 scales."""
    edges = torch.linspace(-4, 4, BINS + 1, dtype=torch.float64) * scale + mean
    mass = torch.special.ndtr((edges - mean) / scale).diff()
    counts = torch.histogram(draws, edges).hist + 0.5
    return (mass * (mass / (counts / (len(draws) + BINS / 2))).log()).sum()


def _require_independent(prior: Tensor) -> None:
    for values in (prior, prior.abs()):
        # heavy tails correlate by chance more often than the bound for normal numbers says
        correlation = (
            torch.corrcoef(values.clamp(-20, 20).T.reshape(prior.shape[1], -1)) if prior.shape[1] > 1 else torch.eye(1)
        )
        worst = float((correlation - torch.eye(len(correlation))).abs().max())
        if worst > 8 / math.sqrt(len(prior)):
            raise NotApplicable(f"the numbers of the prior depend on each other (correlation {worst:.2g})")


def draws(case: RegularizerCase) -> str | None:
    """`draw(n)` gives every band of `prior_bands()`, drawn bands of the latent, as finite (n, *shape) without a gradient: the
    same for the same seed, others for another."""
    regularizer = case.ready()
    names = regularizer.prior_bands()
    shapes = {band.name: band.shape for band in case.space.bands if band.drawn}
    assert set(names) <= set(shapes), (
        f"prior_bands() names {', '.join(sorted(set(names) - set(shapes)))}: no drawn band of the latent"
    )
    if not names and not regularizer.draw(1):
        raise NotApplicable("it has no prior on this latent")

    def drawn(count: int, seed: int) -> Mapping[str, Tensor]:
        with seeded("wavekit_core.testing", "draw", seed):
            return regularizer.draw(count)

    for count in (4, 1, 0):
        made = drawn(count, 0)
        assert set(made) == set(names), (
            f"draw gives {', '.join(sorted(made)) or 'nothing'}, and prior_bands() {', '.join(names)}"
        )
        for name, band in made.items():
            expected = (count, *shapes[name])
            assert tuple(band.shape) == expected, (
                f"draw({count}) gives {name} as {tuple(band.shape)}, and not {expected}"
            )
            assert bool(torch.isfinite(band).all()), f"draw({count}) gives {name} with numbers that are not finite"
            assert not band.requires_grad, f"draw({count}) gives {name} with a gradient; draw under no_grad"
    first, again, other = drawn(4, 0), drawn(4, 0), drawn(4, 1)
    for name in names:
        assert torch.equal(first[name], again[name]), (
            f"the same seed draws another {name}; draw from torch's global generators"
        )
        assert not torch.equal(first[name], other[name]), f"another seed draws the same {name}"
        assert not torch.equal(first[name][0], first[name][1]), f"all draws of {name} are the same"
    return f"{', '.join(names)}"


LAWS = (nonnegative, divergence, draws)
