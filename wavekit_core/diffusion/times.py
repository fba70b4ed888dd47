"""The coordinates of score and flow models, as bridges to one: x = x₀ + σ ε ("variance exploding", EDM's).

Three processes differ in nothing but scale and clock:

* variance exploding: x = x₀ + σ ε;
* Ornstein–Uhlenbeck at time t (S4 Eq. 1; DDPM with ᾱ = e^{−2t}): x_ou = e^{−t} x₀ + √(1 − e^{−2t}) ε = e^{−t} x with
  σ = √(e^{2t} − 1);
* the straight path of flow matching at time u, from data (0) to noise (1): x_flow = (1 − u) x₀ + u ε = (1 − u) x with
  σ = u / (1 − u).

And four predictions differ in nothing but a linear map: the denoiser D = E[x₀ | x], the noise ε, the velocity
v = e^{−t} ε − √(1 − e^{−2t}) x₀ of the Ornstein–Uhlenbeck process (Salimans & Ho 2022), and ε − x₀, that of the straight path.
Those that follow take x of the variance-exploding process and σ as a number, or as a tensor that broadcasts against x
(`beside`).
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

Level = TypeVar("Level", float, Tensor)  # a σ: a number, or a tensor of them


def ou_time(sigma: Tensor) -> Tensor:
    """The Ornstein–Uhlenbeck time t ≥ 0 of σ ≥ 0, elementwise: t = ½ ln(1 + σ²)."""
    return 0.5 * torch.log1p(sigma**2)


def ou_sigma(time: Tensor) -> Tensor:
    """σ of the Ornstein–Uhlenbeck time t ≥ 0, elementwise: √(e^{2t} − 1)."""
    return torch.expm1(2 * time).sqrt()


def flow_time(sigma: Level) -> Level:
    """The time u of the straight path, from 0 to 1, of σ ≥ 0: u = σ / (1 + σ)."""
    return sigma / (1 + sigma)


def flow_sigma(time: Level) -> Level:
    """σ of the time u of the straight path, 0 ≤ u < 1: u / (1 − u)."""
    return time / (1 - time)


def ou_scale(sigma: Level) -> Level:
    """e^{−t} = 1 / √(1 + σ²): x_ou is this times x."""
    return (1 + sigma**2) ** -0.5


def flow_scale(sigma: Level) -> Level:
    """1 − u = 1 / (1 + σ): x_flow is this times x."""
    return 1 / (1 + sigma)


def beside(sigma: Tensor, x: Tensor) -> Tensor:
    """σ (B,) as (B, 1, …), to broadcast against x (B, …)."""
    return sigma.reshape(-1, *[1] * (x.ndim - 1))


def denoised_from_noise(x: Tensor, sigma: Level, noise: Tensor) -> Tensor:
    """D of the noise ε: x − σ ε."""
    return x - sigma * noise


def noise_from_denoised(x: Tensor, sigma: Level, denoised: Tensor) -> Tensor:
    """ε of D, σ > 0."""
    return (x - denoised) / sigma


def denoised_from_velocity(x: Tensor, sigma: Level, velocity: Tensor) -> Tensor:
    """D of the velocity v: x_ou e^{−t} − √(1 − e^{−2t}) v."""
    scale = ou_scale(sigma)
    return scale**2 * x - sigma * scale * velocity


def velocity_from_denoised(x: Tensor, sigma: Level, denoised: Tensor) -> Tensor:
    """v of D, σ > 0."""
    scale = ou_scale(sigma)
    return (scale**2 * x - denoised) / (sigma * scale)


def denoised_from_flow(x: Tensor, sigma: Level, velocity: Tensor) -> Tensor:
    """D of the straight path's velocity ε − x₀: x_flow − u times it."""
    return flow_scale(sigma) * (x - sigma * velocity)


def flow_from_denoised(x: Tensor, sigma: Level, denoised: Tensor) -> Tensor:
    """ε − x₀ of D, σ > 0."""
    return (x - denoised) / sigma - denoised


def score_from_denoised(x: Tensor, sigma: Level, denoised: Tensor) -> Tensor:
    """∇ ln p(x; σ) of D, σ > 0 (Tweedie's formula)."""
    return (denoised - x) / sigma**2


class Preconditioning(NamedTuple):
    """EDM's constants (Karras et al. 2022, Table 1): D(x; σ) = skip · x + out · F(into · x; noise), and the weight of the squared
    error of D with which that of F has weight 1."""

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor
    weight: Tensor


def preconditioning(sigma: Tensor, sigma_data: float = 1.0) -> Preconditioning:
    """EDM's constants of σ > 0, elementwise, for data of the standard deviation `sigma_data`.

    With `sigma_data` 1, `into` · x is x_ou and F is −v."""
    total = sigma**2 + sigma_data**2
    out = sigma * sigma_data * total.rsqrt()
    return Preconditioning(sigma_data**2 / total, out, total.rsqrt(), sigma.log() / 4, out**-2)
