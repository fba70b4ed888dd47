"""Models of data whose mean and covariance are known, Gaussian or few enough to count: what samplers are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Autoencoder, Autoregressive, Batch, Generator, PosteriorState, Regularizer
from wavekit_core.kinds.denoiser import Denoiser
from wavekit_core.spaces import Band, ImageSpace, LatentSpace, Space
from wavekit_core.testing.chain import ChainSpace, MarkovChain


@dataclass(frozen=True)
class KnownModel:
    """A model and what a sampler has to draw from it.

    `model` of the class that the sampler draws from. `mean` (n,) and `covariance` (n, n) are those of `space.flatten` of what is
    drawn, n = `space.numbers`. `batches(labelled)` gives one pass over training data of that model; `count` of them. With labels,
    the classes 0 and 1 have `class_means` (2, n), and what is drawn without labels is not looked at.
    """

    model: Generator
    mean: Tensor
    covariance: Tensor
    batches: Callable[[bool], Iterable[Batch]]
    count: int
    class_means: Tensor | None = None

    @property
    def space(self) -> Space:
        return self.model.space


class StandardNormal(Regularizer):
    """KL(N(mean, s²) ‖ N(0, 1)) over the drawn bands, and draws from N(0, 1)."""

    reads = PosteriorState
    divergence = True

    def __init__(self, space: LatentSpace):
        super().__init__()
        self.shapes = {band.name: band.shape for band in space.bands if band.drawn}
        if not self.shapes:
            raise SpaceError(self, "the latent has no drawn band", "use a generator that has one")

    def penalty(self, state: PosteriorState) -> Tensor:
        parts = [
            0.5 * (state.mean[n] ** 2 + state.scale[n] ** 2 - 1 - 2 * state.scale[n].log()).flatten(1).sum(1)
            for n in self.shapes
        ]
        return torch.stack(parts).sum(0)

    def prior_bands(self) -> tuple[str, ...]:
        return tuple(self.shapes)

    def draw(self, count: int) -> Mapping[str, Tensor]:
        return {name: torch.randn(count, *shape) for name, shape in self.shapes.items()}


class LinearGaussian(Autoencoder):
    """Probabilistic PCA with all its components, exactly (Tipping & Bishop 1999): z ~ N(0, I), x ~ N(μ + Q D z, σ²I) with Q
    orthogonal and D diagonal.

    The posterior of x is then N(S² D Qᵀ(x − μ) / σ², S²) with S² = (1 + D² / σ²)⁻¹ diagonal, and averaged over the data it is the
    prior N(0, I). `decode` gives μ + Q D z: its covariance is Q D² Qᵀ.
    """

    space: ImageSpace

    def __init__(self, space: ImageSpace):
        super().__init__()
        self.space = space
        n = space.numbers
        self.latent = LatentSpace((Band("z", (n,), "code"),))
        self.regularizers = self.regularized([StandardNormal])
        made = torch.Generator().manual_seed(2)
        rotation = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=made)).Q
        self.sigma = 0.3
        self.mu = nn.Buffer(torch.linspace(-1, 2, n))
        self.weight = nn.Buffer((rotation * torch.linspace(0.5, 2, n, dtype=torch.float64)).float())  # Q D

    @property
    def variance(self) -> Tensor:
        """S² (n,)"""
        return 1 / (1 + self.weight.square().sum(0) / self.sigma**2)

    def encode(self, data: Tensor) -> PosteriorState:
        mean = self.variance * ((self.space.flatten(data) - self.mu) @ self.weight) / self.sigma**2
        scale = self.variance.sqrt().expand_as(mean)
        return PosteriorState({"z": mean}, {"z": scale}, {"z": mean + scale * torch.randn_like(mean)}, self.latent)

    def decode(self, latent: Mapping[str, Tensor]) -> Tensor:
        return self.space.unflatten(self.mu + latent["z"] @ self.weight.T)


class Stranger(Generator):
    """A generator of no class but `Generator`, which has no latent."""

    def __init__(self, space: Space):
        super().__init__()
        self.space = space


def linear_gaussian(count: int = 3000) -> KnownModel:
    """`LinearGaussian` with `count` training images; with labels, those of class 0 and 1 lie to either side of its mean."""
    model = LinearGaussian(ImageSpace(1, 2, 2, low=-100.0, high=100.0))
    n = model.space.numbers
    side = torch.full((n,), 1.5)  # of a class, in units of z

    def batches(labelled: bool) -> Iterable[Batch]:
        again = torch.Generator().manual_seed(5)
        for begin in range(0, count, 500):
            size = min(500, count - begin)
            labels = torch.arange(size) % 2
            z = torch.randn(size, n, generator=again) + (2 * labels[:, None] - 1) * side * labelled
            x = model.mu + z @ model.weight.T + model.sigma * torch.randn(size, n, generator=again)
            yield Batch(model.space.unflatten(x), labels if labelled else None)

    covariance = model.weight @ model.weight.T
    away = (1 - model.variance) * side @ model.weight.T  # a posterior's mean is drawn towards the prior's
    classes = torch.stack([model.mu - away, model.mu + away])
    return KnownModel(model.eval(), model.mu, covariance, batches, count, classes)


class GaussianDenoiser(Denoiser):
    """The exact denoiser of Gaussian data N(μ, Q Λ Qᵀ), Q orthogonal and Λ diagonal: D(x; σ) = μ + Q Λ (Λ + σ²)⁻¹ Qᵀ (x − μ).

    Of two classes with the same covariance, at ±`side` from μ, if it is given labels. With guidance g the means of the classes
    are at ±(1 + g) `side`, exactly. Elements are 1 + 2 x of normalised x.
    """

    space: ImageSpace
    sigmas = (0.002, 80.0)
    classes = 2

    def __init__(self, space: ImageSpace):
        super().__init__()
        self.space, self.shape = space, space.shape
        n = space.numbers
        made = torch.Generator().manual_seed(3)
        rotation = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=made)).Q
        self.mu = nn.Buffer(torch.linspace(-0.5, 1, n))
        self.side = nn.Buffer(torch.linspace(0.8, -0.4, n))
        self.rotation = nn.Buffer(rotation.float())
        self.variances = nn.Buffer(torch.linspace(0.2, 2, n))

    @property
    def covariance(self) -> Tensor:
        """Of normalised elements, (n, n)."""
        return (self.rotation * self.variances) @ self.rotation.T

    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        mean = self.mu.to(x.dtype).expand(len(x), -1)
        if labels is not None:
            sides = torch.stack([-self.side, self.side, torch.zeros_like(self.side)])  # the last one for the label -1
            mean = mean + sides[labels].to(x.dtype)
        rotation, variances = self.rotation.to(x.dtype), self.variances.to(x.dtype)
        share = variances / (variances + sigma[:, None].to(x.dtype) ** 2)
        return (mean + (x.flatten(1) - mean) @ rotation * share @ rotation.T).reshape(x.shape)

    def finished(self, x: Tensor) -> Tensor:
        return (1 + 2 * x).clamp(self.space.low, self.space.high)


def gaussian_denoiser() -> KnownModel:
    """`GaussianDenoiser` on four pixels, with 3000 training images."""
    model = GaussianDenoiser(ImageSpace(1, 2, 2, low=-100.0, high=100.0))
    n, count = model.space.numbers, 3000

    def batches(labelled: bool) -> Iterable[Batch]:
        again = torch.Generator().manual_seed(5)
        for begin in range(0, count, 500):
            size = min(500, count - begin)
            labels = torch.arange(size) % 2
            x = model.mu + (2 * labels[:, None] - 1) * model.side * labelled
            x = x + torch.randn(size, n, generator=again) * model.variances.sqrt() @ model.rotation.T
            yield Batch(model.finished(model.space.unflatten(x)), labels if labelled else None)

    classes = torch.stack([1 + 2 * (model.mu - model.side), 1 + 2 * (model.mu + model.side)])
    return KnownModel(model.eval(), 1 + 2 * model.mu, 4 * model.covariance, batches, count, classes)


def markov_chain() -> KnownModel:
    """`MarkovChain` of five tokens, with 3000 sequences to train on."""
    model = MarkovChain(ChainSpace(4, 5))
    count = 3000

    def moments(label: int) -> tuple[Tensor, Tensor]:
        sequences, likelihoods = model.likelihoods(label)
        vectors = model.space.flatten(sequences).double()
        mean = likelihoods @ vectors
        return mean, (vectors - mean).T @ ((vectors - mean) * likelihoods[:, None])

    def batches(labelled: bool) -> Iterable[Batch]:
        again = torch.Generator().manual_seed(5)
        drawn = {}
        for label in (0, 1) if labelled else (-1,):
            sequences, likelihoods = model.likelihoods(label)
            drawn[label] = sequences[likelihoods.multinomial(count, replacement=True, generator=again)]
        for begin in range(0, count, 500):
            labels = torch.arange(500) % 2
            rows = slice(begin, begin + 500)
            mixed = torch.where(labels[:, None] == 0, drawn[0][rows], drawn[1][rows]) if labelled else drawn[-1][rows]
            yield Batch(mixed, labels if labelled else None)

    mean, covariance = moments(-1)
    classes = torch.stack([moments(0)[0], moments(1)[0]])
    return KnownModel(model.eval(), mean, covariance, batches, count, classes)


def known_model(draws_from: type[Any]) -> KnownModel | None:
    """The kit's model for samplers that draw from `draws_from`; None if it has none."""
    if issubclass(Autoencoder, draws_from):
        return linear_gaussian()
    if issubclass(Autoregressive, draws_from):
        return markov_chain()
    return gaussian_denoiser() if issubclass(Denoiser, draws_from) else None
