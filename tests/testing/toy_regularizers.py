"""A regularizer that keeps every law, and for each law one that breaks it."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import PosteriorState, Regularizer
from wavekit_core.spaces import LatentSpace


class Normal(Regularizer):
    """KL(N(mean, s²) ‖ N(0, σ²)) over the drawn bands, with one learned σ."""

    reads = PosteriorState
    divergence = True

    def __init__(self, space: LatentSpace, weight: Annotated[float, Field(ge=0)] = 1.0):
        super().__init__()
        self.weight = weight
        self.shapes = {band.name: band.shape for band in space.bands if band.drawn}
        self.require(space)
        self.log_sigma = nn.Parameter(torch.zeros(()))

    def require(self, space: LatentSpace) -> None:
        if not self.shapes:
            raise SpaceError(self, "the latent has no drawn band", "use a generator that has one")

    def penalty(self, state: PosteriorState) -> Tensor:
        return torch.stack([self.of(state.mean[n], state.scale[n]).flatten(1).sum(1) for n in self.shapes]).sum(0)

    def of(self, mean: Tensor, s: Tensor) -> Tensor:
        sigma = self.log_sigma.exp()
        return 0.5 * ((mean.square() + s.square()) / sigma.square() - 1 - 2 * (s / sigma).log())

    def prior_bands(self):
        return tuple(self.shapes)

    def draw(self, count):
        sigma = self.log_sigma.detach().exp()
        return {name: sigma * torch.randn(count, *shape) for name, shape in self.shapes.items()}


class Columns(Normal):
    def penalty(self, state):
        return super().penalty(state)[:, None]


class Infinite(Normal):
    divergence = False

    def penalty(self, state):
        return super().penalty(state) + float("inf")


class NoBroadcast(Normal):
    """The logarithm of a scale that many numbers share is counted once."""

    def penalty(self, state):
        parts = []
        for name in self.shapes:
            squares = self.of(state.mean[name], state.scale[name]) + state.scale[name].log()
            parts.append(squares.flatten(1).sum(1) - state.scale[name].log().flatten(1).sum(1))
        return torch.stack(parts).sum(0)


class Coupled(Normal):
    def penalty(self, state):
        penalty = super().penalty(state)
        return 0.5 * penalty + 0.5 * penalty.mean()


class Negative(Normal):
    def penalty(self, state):
        return super().penalty(state) - 1000

    def prior_bands(self):
        return ()

    def draw(self, count):
        return {}


class WithoutMinusOne(Normal):
    """½ a number too much."""

    def of(self, mean, s):
        return super().of(mean, s) + 0.5


class StandardDraws(Normal):
    """Draws as if nothing was learned."""

    def draw(self, count):
        return {name: torch.randn(count, *shape) for name, shape in self.shapes.items()}


class HalfGradient(Normal):
    def of(self, mean, s):
        sigma = self.log_sigma.exp()
        return 0.5 * ((mean * mean.detach() + s.square()) / sigma.square() - 1 - 2 * (s / sigma).log())


class NoGradient(Normal):
    def penalty(self, state):
        return super().penalty(state).detach()


class UnusedParameter(Normal):
    def __init__(self, space: LatentSpace):
        super().__init__(space)
        self.unused = nn.Parameter(torch.zeros(3))


class RootAtZero(Normal):
    divergence = False

    def of(self, mean, s):
        return super().of(mean, s) + mean.square().sqrt()


class Stubborn(Normal):
    """Draws the same whatever the seed."""

    def draw(self, count):
        made = torch.Generator().manual_seed(0)
        sigma = self.log_sigma.detach().exp()
        return {name: sigma * torch.randn(count, *shape, generator=made) for name, shape in self.shapes.items()}


class Flat(Normal):
    def draw(self, count):
        return {
            name: band.flatten(1)[:, :4] if band.ndim == 4 else band[:, None]
            for name, band in super().draw(count).items()
        }

    divergence = False


class Weighted(Normal):
    def penalty(self, state):
        return self.weight * super().penalty(state)


class Careless(Normal):
    def require(self, space):
        next(iter(self.shapes))
        super().require(space)


class Late(Normal):
    """Takes a latent that it cannot read."""

    def require(self, space):
        pass


BROKEN = [
    (Columns, ["penalty-shape"], r"the penalty of 1 images has the shape \(1, 1\), not \(1,\)"),
    (Infinite, ["penalty-shape", "penalty-of-each", "gradients"], r"the penalty of a state at random is \[inf\]"),
    (
        NoBroadcast,
        ["penalty-of-each"],
        r"with one noise scale \(1, …, 1\) a band the penalty is .* broadcast the scale",
    ),
    (Coupled, ["penalty-of-each"], "the penalty of image 0 is .* in a batch of 3, and .* alone"),
    (Negative, ["nonnegative"], "the divergence of a state at random is -9.*, and none is below 0"),
    (WithoutMinusOne, ["divergence"], "the penalty is .* nats, and the divergence from 40000 draws of its own prior"),
    (StandardDraws, ["divergence"], "the two do not belong together"),
    (HalfGradient, ["gradients"], "the gradient is not that of finite differences"),
    (NoGradient, ["gradients", "gradient-paths"], "the penalty has no gradient at all; it is cut off"),
    (UnusedParameter, ["gradient-paths"], "the trainable unused gets no gradient; freeze it"),
    (RootAtZero, ["gradient-paths"], "the gradient is not finite at noise scales of about 0.0001 and means of about 0"),
    (Stubborn, ["draws"], "another seed draws the same"),
    (Flat, ["draws"], r"draw\(4\) gives cA1 as \(4, 4\), and not \(4, 2, 2, 2\)"),
    (Weighted, ["weight-outside"], "the penalty is .* with weight 1 and .* with weight 4; the autoencoder applies"),
    (Careless, ["refusals"], "built for latent of 0 numbers: : StopIteration is raised; raise SpaceError"),
    (Late, ["refusals"], "it is built for latent of 0 numbers: , but then its penalty fails"),
]
