"""Grids: the noise levels that a sampler goes through, `steps` + 1 of them, from the largest σ down to 0.

Each is a function of the number of steps and of the smallest and the largest σ that the model was trained for. The smallest
one is the last before 0 for `karras` and `log-snr`; the others do not look at it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from wavekit_core.diffusion.times import flow_sigma, flow_time, ou_sigma, ou_time

Grid = Literal["uniform", "quadratic", "karras", "log-snr", "flow"]


def uniform(steps: int, sigma_min: float, sigma_max: float) -> list[float]:
    """Equal steps of the Ornstein–Uhlenbeck time."""
    return ou_sigma(_time(sigma_max) * _falling(steps + 1)).tolist()


def quadratic(steps: int, sigma_min: float, sigma_max: float) -> list[float]:
    """Ornstein–Uhlenbeck times T (i / N)², the law of WSGM (Guth et al. 2022)."""
    return ou_sigma(_time(sigma_max) * _falling(steps + 1) ** 2).tolist()


def karras(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> list[float]:
    """Equal steps of σ^{1/ρ} between both ends, then 0 (Karras et al. 2022, Eq. 5)."""
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return [*((low + (high - low) * _falling(steps)) ** rho).tolist(), 0.0]


def log_snr(steps: int, sigma_min: float, sigma_max: float) -> list[float]:
    """Equal steps of ln σ between both ends, then 0 (Lu et al. 2022)."""
    return [*(sigma_min * (sigma_max / sigma_min) ** _falling(steps)).tolist(), 0.0]


def flow(steps: int, sigma_min: float, sigma_max: float) -> list[float]:
    """Equal steps of the straight path's time."""
    return flow_sigma(flow_time(sigma_max) * _falling(steps + 1)).tolist()


GRIDS: dict[str, Callable[[int, float, float], list[float]]] = {
    "uniform": uniform,
    "quadratic": quadratic,
    "karras": karras,
    "log-snr": log_snr,
    "flow": flow,
}


def _falling(count: int) -> Tensor:
    """From 1 down to 0, `count` values; 1 alone if it is one."""
    return torch.linspace(1, 0, count, dtype=torch.float64, device="cpu")


def _time(sigma: float) -> Tensor:
    return ou_time(torch.tensor(sigma, dtype=torch.float64, device="cpu"))
