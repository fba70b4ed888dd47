"""The likelihood of images given a decoder's output, and the loss that the Wavelet-VAE and the VAE share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavekit_core.kinds import Batch, Loss, Objective, PosteriorState
from wavekit_core.spaces import ImageSpace, LatentSpace
from wavekit_wvae.scales import Scale

Kind = Literal["gaussian", "bernoulli"]
Sigma = float | Literal["learned"]


class Likelihood(nn.Module):
    """log p(x | output).

    `gaussian`: the output is the mean; standard deviation `sigma` in units of pixel values, a number (1/√2 makes the
    squared error of S0 Eq. 22) or learned (σ-VAE; it never falls below 1/512 of the range, half a step of 8-bit
    images). `bernoulli`: the output is a logit; images are mapped from their range to [0, 1].
    """

    def __init__(self, space: ImageSpace, kind: Kind, sigma: Sigma):
        super().__init__()
        self.kind = kind
        self.low, self.range = space.low, space.high - space.low
        if kind == "gaussian":
            learned = sigma == "learned"
            start = 0.25 * self.range if sigma == "learned" else sigma
            self.scale = Scale(1, start, fixed=not learned, floor=self.range / 512 if learned else 0.0)

    @property
    def sigma(self) -> Tensor:
        """The gaussian's standard deviation, a scalar."""
        return self.scale()[0]

    def image(self, output: Tensor) -> Tensor:
        """The image that an output (B, C, H, W) stands for: the mean of p(x | output)."""
        return output if self.kind == "gaussian" else self.low + self.range * torch.sigmoid(output)

    def nll(self, output: Tensor, images: Tensor) -> Tensor:
        """(B,): negative log-likelihood in nats, summed over an image."""
        if self.kind == "bernoulli":
            target = ((images - self.low) / self.range).clamp(0, 1)
            return F.binary_cross_entropy_with_logits(output, target, reduction="none").flatten(1).sum(1)
        squares = (images - output).square().flatten(1)
        sigma = self.sigma
        return squares.sum(1) / (2 * sigma**2) + squares.shape[1] * (sigma.log() + 0.5 * math.log(2 * math.pi))


def negative_elbo(
    images: Tensor, output: Tensor, state: PosteriorState, likelihood: Likelihood, regularizers: Iterable[nn.Module]
) -> Loss:
    """(NLL + Σ weight·penalty) / N, the mean over the batch; N = C·H·W.

    `images` and `output` are pixels, or both of them vectors (B, N) of orthonormal coefficients. Sums over an image are
    divided by one and the same N, so that a regularizer's weight depends neither on resolution nor on batch size.
    `terms` are divided by N too, nats a number, and penalties are there without their weight.
    """
    numbers = images[0].numel()
    nll = likelihood.nll(output, images)
    total = nll
    terms = {"nll": nll.mean() / numbers, "mse": (likelihood.image(output) - images).square().mean()}
    for regularizer in regularizers:
        penalty = regularizer.penalty(state)  # type: ignore[operator]
        total = total + regularizer.weight * penalty  # type: ignore[operator]
        name = _fresh(penalty_name(regularizer), terms)
        terms[name] = penalty.mean() / numbers
    if likelihood.kind == "gaussian":
        terms["sigma"] = likelihood.sigma
    return Loss(total.mean() / numbers, {name: term.detach() for name, term in terms.items()})


def evidence_bound(
    images: Tensor, output: Tensor, state: PosteriorState, likelihood: Likelihood, regularizers: Iterable[nn.Module]
) -> Tensor:
    """(B,): NLL + Σ divergences in nats an image, at one sample of the posterior: in the mean an upper bound of −log p(x)."""
    return likelihood.nll(output, images) + sum(one.penalty(state) for one in regularizers)  # type: ignore[operator]


def is_bound(likelihood: Likelihood, regularizers: Iterable[nn.Module], latent: LatentSpace) -> bool:
    """Whether NLL + Σ penalties bounds −log p(x): a gaussian likelihood (the other is no density over pixels), and
    divergences alone, with weight 1, whose priors cover every drawn band exactly once."""
    ones = list(regularizers)
    covered = sorted(name for one in ones for name in one.prior_bands())  # type: ignore[operator]
    proper = all(one.divergence and one.weight == 1 for one in ones)
    return likelihood.kind == "gaussian" and proper and covered == sorted(latent.names(drawn=True))


def penalty_name(regularizer: nn.Module) -> str:
    """`laplace-kl` for a LaplaceKL."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(regularizer).__name__).lower()


def _fresh(name: str, taken: dict[str, Tensor]) -> str:
    number = 2
    fresh = name
    while fresh in taken:
        fresh, number = f"{name}-{number}", number + 1
    return fresh


def elbo_objective(
    model: nn.Module,
    loss: Callable[[Batch], Loss],
    noise: Sequence[nn.Parameter],
    lr: float,
    noise_lr: float,
    weight_decay: float,
) -> Objective:
    """One objective `elbo` with up to three parameter groups: networks (`lr`, `weight_decay`), the `noise` scales, and the
    other scales (likelihood and priors), both at `noise_lr` without decay.

    Scales have a rate of their own: at the networks' they would need 10⁴ steps to move.
    """
    scales = [
        p
        for name, p in model.named_parameters()
        if p.requires_grad and name.startswith(("likelihood.", "regularizers."))
    ]
    slow = {id(p) for p in [*noise, *scales]}
    networks = [p for p in model.parameters() if p.requires_grad and id(p) not in slow]
    groups: list[dict[str, Any]] = [{"params": networks, "lr": lr, "weight_decay": weight_decay}]
    groups += [{"params": list(ps), "lr": noise_lr, "weight_decay": 0.0} for ps in (noise, scales) if ps]
    return Objective("elbo", groups, loss, partial(torch.optim.AdamW, lr=lr, fused=True))
