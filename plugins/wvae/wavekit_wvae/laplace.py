"""The Laplace distribution of mean 0 and scale b: its divergence from a Gaussian, its draws, and the shrinkage that it means."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def laplace_kl(mean: Tensor, s: Tensor, b: Tensor) -> Tensor:
    """KL(N(mean, s²) ‖ Laplace(0, b)) of every number, in nats; closed form (S0 says that there is none)."""
    ratio = mean / (s * math.sqrt(2))
    absolute = s * math.sqrt(2 / math.pi) * torch.exp(-ratio.square()) + mean * torch.erf(ratio)  # E|c|
    return -0.5 * math.log(2 * math.pi * math.e) - s.log() + torch.log(2 * b) + absolute / b


def draw_laplace(b: Tensor, shape: Sequence[int]) -> Tensor:
    """Independent draws of a shape that b broadcasts to, on b's device."""
    uniform = torch.rand(*shape, device=b.device).clamp(1e-7, 1 - 1e-7) - 0.5
    return -b * uniform.sign() * torch.log1p(-2 * uniform.abs())


def soft(x: Tensor, threshold: float) -> Tensor:
    """sign(x)·max(|x| − threshold, 0): where ½(c − x)² + threshold·|c|, a Laplace prior's, is smallest."""
    return x.sign() * (x.abs() - threshold).clamp(min=0)
