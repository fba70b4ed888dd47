"""A denoiser and a detail generator that keep every law, and some that break the laws of their own."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from wavekit_core.kinds import Denoiser, DetailGenerator, DetailSpace, Loss, Objective
from wavekit_core.spaces import ImageSpace

CLASSES = 2
ADAM = functools.partial(torch.optim.Adam, lr=1e-2)


class Wiener(Denoiser):
    """The denoiser of normal numbers with a mean for each class and one variance."""

    sigmas = (0.01, 50.0)
    classes = CLASSES

    def __init__(self, space: ImageSpace):
        super().__init__()
        self.space, self.shape = space, space.shape
        self.means = nn.Parameter(torch.full((CLASSES, *space.shape), 3.0))
        self.log_variance = nn.Parameter(torch.zeros(()))

    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        means = self.means.mean(0) if labels is None else self.means_of(labels)
        variance = self.log_variance.exp()
        return means + (variance / (variance + sigma.square()))[:, None, None, None] * (x - means)

    def means_of(self, labels: Tensor) -> Tensor:
        known = self.means[labels.clamp(min=0)]
        return torch.where((labels < 0)[:, None, None, None], self.means.mean(0), known)

    def finished(self, x: Tensor) -> Tensor:
        low, high = self.space.low, self.space.high
        return (low + (high - low) * (x + 2) / 4).clamp(low, high)

    def objectives(self):
        return [Objective("error", [{"params": list(self.parameters())}], self.loss, ADAM)]

    def loss(self, batch) -> Loss:
        low, high = self.space.low, self.space.high
        x = 4 * (batch.data - low) / (high - low) - 2
        sigma = 0.5 + torch.rand(len(x))
        noisy = x + sigma[:, None, None, None] * torch.randn_like(x)
        return Loss((self.denoise(noisy, sigma, batch.labels) - x).square().mean())


class Halved(Wiener):
    def denoise(self, x, sigma, labels=None):
        return super().denoise(x / 2, sigma, labels)


class Overflowing(Wiener):
    def denoise(self, x, sigma, labels=None):
        large = sigma.square().exp()[:, None, None, None]
        return super().denoise(x, sigma, labels) * large / large


class OneSigma(Wiener):
    sigmas = (1.0, 1.0)


class Cut(Wiener):
    """Loses the elements without a class."""

    def means_of(self, labels):
        return self.means[labels]

    def denoise(self, x, sigma, labels=None):
        known = slice(None) if labels is None else labels >= 0
        return super().denoise(x[known], sigma[known], None if labels is None else labels[known])


class Slopes(DetailGenerator):
    """Details around a share of the approximation, the same for all levels."""

    def __init__(self, space: DetailSpace):
        super().__init__()
        self.space = space
        self.share = nn.Parameter(torch.full((3, 1, 1), 2.0))

    def draw(self, approx: Tensor, level: int, labels=None, sampler=None) -> Tensor:
        mean = self.share * approx[:, :, None]
        return mean + 0.1 * torch.randn_like(mean)

    def objectives(self):
        return [Objective("error", [{"params": [self.share]}], self.loss, ADAM)]

    def loss(self, batch) -> Loss:
        return Loss(sum((self.share * a[:, :, None] - d).square().mean() for a, d in batch.data))


class Undrawn(Slopes):
    """Right, and draws with a sampler alone."""

    draws = False


class TwoDetails(Slopes):
    def draw(self, approx, level, labels=None, sampler=None):
        return super().draw(approx, level)[:, :, :2]


class Infinite(Slopes):
    def draw(self, approx, level, labels=None, sampler=None):
        return super().draw(approx, level) / (level - 1)


class Counting(Slopes):
    """Draws by a count that no seed sets back."""

    drawn = 0

    def draw(self, approx, level, labels=None, sampler=None):
        self.drawn += 1
        made = torch.Generator().manual_seed(self.drawn)
        return torch.randn(*approx.shape[:2], 3, *approx.shape[2:], generator=made)


BROKEN = [
    (Halved, ["denoising"], r"at its smallest σ, 0\.01, it changes elements by up to .*; a few σ are expected"),
    (Overflowing, ["denoising"], "denoise at σ = 50 is not finite"),
    (OneSigma, ["denoising"], r"its sigmas are 1\.0 and 1\.0; the smallest is above 0 and below the largest"),
    (Cut, ["denoising"], r"denoise gives \(2, 1, 8, 8\) for \(3, 1, 8, 8\)"),
    (TwoDetails, ["details"], r"the details of level 1 have the shape \(3, 1, 2, 8, 8\), not \(3, 1, 3, 8, 8\)"),
    (Infinite, ["details"], "the details of level 1 are not finite"),
    (Counting, ["details"], "the details of level 1 differ for the same seed"),
]
