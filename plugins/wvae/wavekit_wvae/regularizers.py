"""What the latent pays: an L1 penalty, and divergences to Laplace and Gaussian priors.

The objectives are lists of these: `paper-l1` = [detail-l1]; `paper-l1+kl` = [detail-l1, gaussian-kl]; `laplace-elbo` =
[laplace-kl, gaussian-kl]; `gaussian-kl` = [gaussian-kl over all bands]. S0: Wavelet-based Variational Autoencoders for
High-Resolution Image Generation, arXiv 2504.13214.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import PosteriorState, Regularizer
from wavekit_core.spaces import LatentSpace
from wavekit_wvae.coefficients import level_of
from wavekit_wvae.laplace import draw_laplace, laplace_kl

LevelWeight = Literal["one", "gain"]
Weight = Annotated[float, Field(ge=0)]


def factor(level: int, rule: LevelWeight) -> float:
    """w_j of level j: 1 (the paper), or 2^(1-j), which undoes the growth of orthonormal coefficients per level."""
    return 1.0 if rule == "one" else 2.0 ** (1 - level)


def gaussian_kl(mean: Tensor, s: Tensor, prior_mean: Tensor, prior_s: Tensor) -> Tensor:
    """KL(N(mean, s²) ‖ N(prior_mean, prior_s²)) of every number, in nats (S0 Eq. 19)."""
    ratio = (s / prior_s).square()
    return 0.5 * (ratio + ((mean - prior_mean) / prior_s).square() - 1 - ratio.log())


def _summed(bands: Iterable[Tensor]) -> Tensor:
    """(B, ...) each to (B,)."""
    return torch.stack([band.flatten(1).sum(1) for band in bands]).sum(0)


def _details(space: LatentSpace, owner: object) -> list[str]:
    names = space.names("detail")
    if not names:
        raise SpaceError(
            owner, "the latent has no detail bands", "use a generator with a wavelet latent, or gaussian-kl"
        )
    return names


class DetailL1(Regularizer):
    """λ Σ w_j |c_NN| over the detail bands' means; the approximation is free (S0 Eq. 21).

    Args:
        space: the latent; it needs detail bands, drawn or not (`SpaceError` otherwise).
        weight: λ, nats per unit of coefficient.
        level_weight: `one` (the paper) or `gain` (2^(1-j) at level j; `SpaceError` for bands whose names end in no level).
    """

    reads = PosteriorState

    def __init__(self, space: LatentSpace, weight: Weight = 0.03, level_weight: LevelWeight = "one"):
        super().__init__()
        self.weight = weight
        names = _details(space, self)
        strange = [name for name in names if level_weight == "gain" and not name[2:].isdecimal()]
        if strange:
            reason = f"{', '.join(strange)} tells no level, which the rule gain needs"
            raise SpaceError(self, reason, "set level_weight to one", at="level_weight")
        self.factors = {name: 1.0 if level_weight == "one" else factor(level_of(name), level_weight) for name in names}

    def penalty(self, state: PosteriorState) -> Tensor:
        """(B,)"""
        return _summed(w * state.mean[name].abs() for name, w in self.factors.items())


class LaplaceKL(Regularizer):
    """KL(N(c, s²) ‖ Laplace(0, b)) over the detail bands, with one learnable b a band; draws the drawn ones.

    Args:
        space: the latent; it needs detail bands, drawn or not (`SpaceError` otherwise).
        weight: factor on the divergence; 1 makes an evidence bound.
        scale_init: first value of every b, in units of coefficients.
    """

    reads = PosteriorState
    divergence = True

    def __init__(self, space: LatentSpace, weight: Weight = 1.0, scale_init: Annotated[float, Field(gt=0)] = 0.1):
        super().__init__()
        self.weight = weight
        self.names = _details(space, self)
        self.shapes = {band.name: band.shape for band in space.bands if band.role == "detail" and band.drawn}
        self.log_b = nn.Parameter(torch.full((len(self.names),), math.log(scale_init)))

    def scale(self, name: str) -> Tensor:
        """b of one band, a scalar."""
        return self.log_b[self.names.index(name)].exp()

    def penalty(self, state: PosteriorState) -> Tensor:
        """(B,)"""
        return _summed(laplace_kl(state.mean[n], state.scale[n], self.scale(n)) for n in self.names)

    def prior_bands(self) -> tuple[str, ...]:
        return tuple(self.shapes)

    def draw(self, count: int) -> Mapping[str, Tensor]:
        """(count, *shape) by band, independent Laplace(0, b)."""
        return {name: draw_laplace(self.scale(name).detach(), (count, *s)) for name, s in self.shapes.items()}


class GaussianKL(Regularizer):
    """β KL(N(mean, s²) ‖ N(μ0, σ0²)) over the drawn bands that are no details (`coarse`) or over all drawn ones (`all`).

    The prior is N(0, 1), or learned with one μ0 and σ0 for each channel of a band (each number of a flat code).

    Args:
        space: the latent; it needs a drawn band of that sort (`SpaceError` otherwise).
        bands: which of them.
        weight: β; 1 makes an evidence bound.
        learn_prior: learn μ0 and σ0.
    """

    reads = PosteriorState
    divergence = True

    def __init__(
        self,
        space: LatentSpace,
        bands: Literal["coarse", "all"] = "coarse",
        weight: Weight = 1.0,
        learn_prior: bool = False,
    ):
        super().__init__()
        roles = ("code", "approx") if bands == "coarse" else ()
        names = space.names(*roles, drawn=True)
        if not names and bands == "all":
            raise SpaceError(self, "the latent has no drawn band", "use a generator that has one")
        if not names:
            raise SpaceError(self, "the latent has no drawn band but details", "set bands to all", at="bands")
        self.weight = weight
        self.shapes = {band.name: band.shape for band in space.bands if band.name in names}
        leads = {name: (shape[0], *(1,) * (len(shape) - 1)) for name, shape in self.shapes.items()}
        self.mu0 = nn.ParameterDict({n: nn.Parameter(torch.zeros(lead), learn_prior) for n, lead in leads.items()})
        self.log_sigma0 = nn.ParameterDict(
            {n: nn.Parameter(torch.zeros(lead), learn_prior) for n, lead in leads.items()}
        )

    def prior(self, name: str) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, broadcastable to the band's shape."""
        return self.mu0[name], self.log_sigma0[name].exp()

    def penalty(self, state: PosteriorState) -> Tensor:
        """(B,)"""
        return _summed(gaussian_kl(state.mean[n], state.scale[n], *self.prior(n)) for n in self.shapes)

    def prior_bands(self) -> tuple[str, ...]:
        return tuple(self.shapes)

    def draw(self, count: int) -> Mapping[str, Tensor]:
        """(count, *shape) by band."""
        drawn = {}
        for name, shape in self.shapes.items():
            mean, sigma = self.prior(name)
            drawn[name] = (mean + sigma * torch.randn(count, *shape, device=mean.device)).detach()
        return drawn
