"""What the detail generators here have in common: a network in unit ranges, and how close its details come to the true ones."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from wavekit_core.errors import RecipeError
from wavekit_core.kinds import Batch, DetailGenerator, DetailSpace, Loss, Objective, Sampler, Scales
from wavekit_msal_gan.similarity import ssim
from wavekit_msal_gan.units import Units, full_precision

Domain = Literal["image", "details"]
Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Width = Annotated[int, Field(ge=1, le=4096)]
Depth = Annotated[int, Field(ge=0, le=8)]


class DetailRegression(DetailGenerator):
    """Details from one network for all levels of the space: approximations go in as [-1, 1], details come out in units of the
    largest that an image can have.

    The loss is λ · MSE + ν · (1 − SSIM), summed over the levels (S4 Eq. 21 without its last term, Algorithm 1). `image` compares
    the next finer approximations, reconstructed from the true approximation, mapped to [0, 1] by the range of their scale;
    `details` compares the details themselves. Either way the squared error is in units of the finer approximation's range, so
    that by Parseval's identity it is 4/3 of the image's for details of an orthonormal wavelet, which are 3 of 4 coefficients.
    Logged are means over the levels.
    """

    network: nn.Module

    def __init__(self, space: DetailSpace, fidelity: Weight, similarity: Weight, domain: Domain):
        super().__init__()
        if not fidelity and not similarity:
            raise RecipeError(
                "the weights of squared error and similarity are both 0; nothing ties details to their image then; set fidelity"
            )
        self.space = space
        self.units = Units(space)
        self.fidelity, self.similarity, self.domain = fidelity, similarity, domain

    @property
    def largest(self) -> tuple[int, int]:
        """(h, w) of the finest details."""
        return self.space.size(min(self.space.levels))

    def predicted(self, given: Tensor, level: int) -> Tensor:
        """Packed details (B, 3C, h, w) for approximations (B, C, h, w)."""
        return self.network(self.units.approx(given, level), self.space.levels.index(level))

    def draw(self, approx: Tensor, level: int, labels: Tensor | None = None, sampler: Sampler | None = None) -> Tensor:
        return self.units.details(self.predicted(approx, level).to(approx.dtype), level)

    def compared(self, approx: Tensor, packed: Tensor, level: int) -> Tensor:
        """What the losses look at, (B, ·, h, w) in [0, 1] for true details: the finer approximation, or the details."""
        with full_precision(approx):
            packed = packed.to(approx.dtype)
            return (packed + 1) / 2 if self.domain == "details" else self.units.image(approx, packed, level)

    def real(self, scales: Scales, levels: Sequence[int] | None = None) -> Iterator[tuple[int, Tensor]]:
        """(level, what the losses look at) of true details, of these levels or all."""
        for level, (approx, details) in zip(self.space.levels, scales, strict=True):
            if levels is None or level in levels:
                yield level, self.compared(approx, self.units.packed(details, level), level)

    def fake(self, scales: Scales, levels: Sequence[int] | None = None) -> Iterator[Tensor]:
        """The same for the network's details, given what the network is to see."""
        for level, approx, given in zip(self.space.levels, scales.approximations, scales.given, strict=True):
            if levels is None or level in levels:
                yield self.compared(approx, self.predicted(given, level), level)

    def closeness(self, level: int, real: Tensor, fake: Tensor) -> Loss:
        """λ · MSE + ν · (1 − SSIM) of one level."""
        with full_precision(real):
            unit = 2 * self.units.detail_unit(level) if self.domain == "details" else 1.0
            mse = unit**2 * (fake - real).square().mean()
            value, terms = self.fidelity * mse, {"mse": mse}
            if self.similarity:
                terms["ssim"] = ssim(fake, real).mean()
                value = value + self.similarity * (1 - terms["ssim"])
        return Loss(value, terms)

    def loss(self, batch: Batch) -> Loss:
        """The loss of a batch of `Scales`."""
        pairs = zip(self.real(batch.data), self.fake(batch.data), strict=True)
        return total([self.closeness(level, real, fake) for (level, real), fake in pairs])

    def objective(
        self, lr: float, weight_decay: float, every: int = 1, betas: tuple[float, float] = (0.9, 0.999)
    ) -> Objective:
        optimizer = functools.partial(torch.optim.AdamW, lr=lr, betas=betas, weight_decay=weight_decay)
        return Objective("details", [{"params": list(self.network.parameters())}], self.loss, optimizer, every)


def total(losses: Sequence[Loss]) -> Loss:
    """The sum of losses of the same terms, with the mean of each term; terms are for the log alone."""
    value = torch.stack([one.value for one in losses]).sum()
    terms = {name: torch.stack([one.terms[name].detach() for one in losses]).mean() for name in losses[0].terms}
    return Loss(value, terms)
