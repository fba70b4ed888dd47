"""The diffusion process as training sees it: which noise, and what the network is asked for."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from wavekit_core.diffusion.times import beside, ou_sigma
from wavekit_core.nets import Network

Parametrisation = Literal["noise", "velocity", "edm"]
Times = Literal["quadratic", "uniform", "log-normal"]
SMALLEST = 0.01  # σ, in standard deviations of the data: below the steps of 8 bits
LOG_MEAN, LOG_DEVIATION = -1.2, 1.2  # of ln σ, EDM's


class Process:
    """x = x₀ + σ ε, and a network F in one of three parametrisations of D(x; σ) = skip · x + out · F(into · x; ln σ / 4).

    ==========  ===================  ===================  ===================  =====================================
    name        skip                 out                  into                 what F learns
    ==========  ===================  ===================  ===================  =====================================
    `noise`     1                    -σ                   1 / √(1 + σ²)        ε: the score is -ε / σ (S4 §3.1)
    `velocity`  1 / (1 + σ²)         -σ / √(1 + σ²)       1 / √(1 + σ²)        v = (ε - σ x₀) / √(1 + σ²)
    `edm`       d² / (σ² + d²)       σ d / √(σ² + d²)     1 / √(σ² + d²)       with d = `deviation` of the data
    ==========  ===================  ===================  ===================  =====================================

    All are trained by F's mean squared error: in `noise` that is denoising score matching with the weight 1 - e^{-2t}, in `edm`
    its weight (Karras et al. 2022, Table 1). With deviation 1, `edm` is `velocity` with the sign turned.

    `times` is the law of the noise in training: `uniform` t in [0, T], `quadratic` t = T u² with u uniform, or `log-normal` σ
    as in EDM. T is `horizon`; t is the Ornstein–Uhlenbeck time, σ = √(e^{2t} - 1).
    """

    def __init__(self, parametrisation: Parametrisation, times: Times, horizon: float, deviation: float):
        self.parametrisation, self.times, self.horizon = parametrisation, times, horizon
        self.deviation = deviation if parametrisation == "edm" else 1.0

    @property
    def sigmas(self) -> tuple[float, float]:
        """The smallest and the largest σ that is trained."""
        return SMALLEST, math.sqrt(math.expm1(2 * self.horizon))

    def draw_sigmas(self, count: int, device: torch.device) -> Tensor:
        """(count,) from the law of training."""
        if self.times == "log-normal":
            drawn = (LOG_MEAN + LOG_DEVIATION * torch.randn(count, device=device)).exp()
        else:
            u = torch.rand(count, device=device)
            drawn = ou_sigma(self.horizon * (u.square() if self.times == "quadratic" else u))
        return drawn.clamp(*self.sigmas)

    def denoised(
        self, network: Network, x: Tensor, sigma: Tensor, labels: Tensor | None, condition: Tensor | None = None
    ) -> Tensor:
        """D (B, C, h, w) of x (B, C, h, w) at σ (B,)."""
        s, d = beside(sigma, x), self.deviation
        into = (s.square() + d**2).rsqrt()
        given = network(into * x, sigma.log() / 4, labels, condition).to(x.dtype)
        if self.parametrisation == "noise":
            return x - s * given
        sign = -1.0 if self.parametrisation == "velocity" else 1.0
        return (d * into).square() * x + sign * s * d * into * given

    def error(self, network: Network, clean: Tensor, labels: Tensor | None, condition: Tensor | None = None) -> Tensor:
        """(B,): F's mean squared error at a fresh noise of clean elements (B, C, h, w)."""
        sigma = self.draw_sigmas(len(clean), clean.device)
        noise = torch.randn_like(clean)
        s, d = beside(sigma, clean), self.deviation
        into = (s.square() + d**2).rsqrt()
        given = network(into * (clean + s * noise), sigma.log() / 4, labels, condition)
        if self.parametrisation == "noise":
            wanted = noise
        else:  # (x₀ - skip · x) / out, with nothing that cancels at small σ
            wanted = into * (s / d * clean - d * noise)
            wanted = -wanted if self.parametrisation == "velocity" else wanted
        return (given.float() - wanted).square().flatten(1).mean(1)


def without(labels: Tensor | None, classes: int, drop: float) -> Tensor | None:
    """Labels for a training step: None for a model without classes, and a share `drop` of them -1, so that the model also learns
    what no class asks for (classifier-free guidance, Ho & Salimans 2022)."""
    if not classes or labels is None:
        return None
    return torch.where(torch.rand(len(labels), device=labels.device) < drop, -1, labels)
