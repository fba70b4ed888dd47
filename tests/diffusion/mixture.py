"""A mixture of two normal distributions on a line: its denoiser and its probability flow in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

SHARES, MEANS, DEVIATIONS = torch.tensor([[0.3, 0.7], [-1.0, 0.6], [0.3, 0.5]], dtype=torch.float64)


def denoise(x: Tensor, sigma: float) -> Tensor:
    """E[x₀ | x] of x (n,): the components' own, in the proportion of their responsibilities."""
    total = DEVIATIONS**2 + sigma**2
    away = x[:, None] - MEANS
    density = (SHARES / total.sqrt()).log() - away**2 / (2 * total)
    return (density.softmax(1) * (MEANS + DEVIATIONS**2 / total * away)).sum(1)


def flowed(x: Tensor, begin: float, end: float) -> Tensor:
    """Where the probability flow takes x (n,) from σ `begin` to σ `end`: on a line it keeps each quantile."""
    wanted = _below(x, begin)
    low, high = torch.full_like(x, -100), torch.full_like(x, 100)
    for _ in range(70):
        middle = (low + high) / 2
        less = _below(middle, end) < wanted
        low, high = torch.where(less, middle, low), torch.where(less, high, middle)
    return (low + high) / 2


def _below(x: Tensor, sigma: float) -> Tensor:
    return (SHARES * torch.special.ndtr((x[:, None] - MEANS) / (DEVIATIONS**2 + sigma**2).sqrt())).sum(1)
