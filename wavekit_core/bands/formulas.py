"""The closed forms: signal against noise, distances to Gaussians, condition numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

NOTHING = 1e-12  # of the largest variance: what is below it is rounding


def snr(variance: float, time: float) -> float:
    """Signal to noise of a band of `variance` ≥ 0 at time t > 0 of the Ornstein–Uhlenbeck process (S4 Fig. 1), under which
    X_t = e^(-t) X_0 + √(1 - e^(-2t)) ε: e^(-2t) variance / (1 - e^(-2t))."""
    return variance / math.expm1(2 * time)


def crossing(variance: float) -> float:
    """The time at which `snr` is 1: ½ ln(1 + variance)."""
    return 0.5 * math.log1p(variance)


def kl_of_standard(mean: Tensor, covariance: Tensor) -> float:
    """KL(N(0, I) ‖ N(mean, covariance)) in nats for mean (d,) and covariance (d, d); infinite if that is singular."""
    values, vectors = torch.linalg.eigh(covariance.double())
    if not whole(values):
        return math.inf
    along = (vectors.T @ mean.double()).square()
    return 0.5 * float((1 / values + along / values - 1 + values.log()).sum())


def kl_to_standard(mean: Tensor, covariance: Tensor) -> float:
    """KL(N(mean, covariance) ‖ N(0, I)) in nats for mean (d,) and covariance (d, d); infinite if that is singular."""
    values = torch.linalg.eigvalsh(covariance.double())
    if not whole(values):
        return math.inf
    return 0.5 * float((values - 1 - values.log()).sum() + mean.double().square().sum())


def whole(variances: Tensor) -> bool:
    """Whether no direction is without variance, but for rounding."""
    return bool(variances.min() > NOTHING * variances.max())


def condition(variances: Tensor) -> float:
    """Largest over smallest variance; infinite if a direction has none."""
    return float(variances.max() / variances.min()) if whole(variances) else math.inf


def negentropy(counts: Tensor) -> float:
    """KL in nats from the density of which `counts` (n,) is the histogram to the Gaussian of its mean and variance.

    The density is constant within a bin: that of the binned values plus uniform noise as wide as a bin. The entropy has Miller
    and Madow's correction for the number of values (Miller 1955)."""
    total = counts.sum().double()
    p = counts.double() / total
    place = torch.arange(len(p), dtype=torch.float64)
    mean = (p * place).sum()
    variance = (p * (place - mean).square()).sum() + 1 / 12
    filled = p[p > 0]
    entropy = -(filled * filled.log()).sum() + (len(filled) - 1) / (2 * total)
    return max(0.0, float(0.5 * (2 * math.pi * math.e * variance).log() - entropy))
