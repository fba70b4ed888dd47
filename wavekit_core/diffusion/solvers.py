"""Solvers: pure functions that take x at the first σ of a grid to x at the last one.

`denoise(x, sigma)` is D(x; σ) for one σ > 0, as a number. x (B, …) is that of the variance-exploding process, x₀ + σ ε. `sigmas`
fall; the last one may be 0. `noise(x)` gives standard normal numbers of the form of x. `callback(step, sigma, x, denoised)`
is told of each step, at its beginning. All arithmetic is in the dtype of x, with constants in double precision.

The stochastic ones add no noise in their last step, as S4's Algorithm 2 has it, unless `final_noise`: that suits grids that end
at 0, where what is added last is never removed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from wavekit_core.diffusion.times import flow_sigma, flow_time, ou_time

Denoise = Callable[[Tensor, float], Tensor]
Noise = Callable[[Tensor], Tensor]
Callback = Callable[[int, float, Tensor, Tensor], None]
Method = Literal["euler", "midpoint", "heun", "rk4"]


def start(noise: Tensor, sigma: float) -> Tensor:
    """x at the first σ from standard normal `noise`: normalised data have variance 1, and x has 1 + σ²."""
    return noise * math.sqrt(1 + sigma**2)


def euler_maruyama(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    noise: Noise = torch.randn_like,
    callback: Callback | None = None,
    final_noise: bool = False,
) -> Tensor:
    """S4 Eq. 20, the reverse Ornstein–Uhlenbeck process: x_ou ← x_ou + Δt (x_ou + 2 s) + √(2Δt) z."""
    for step in _steps(sigmas):
        denoised = _told(callback, step, x, denoise(x, step.sigma))
        y = x * math.exp(-step.time)
        score = (denoised - x) * (math.exp(step.time) / step.sigma**2)
        y = y + step.delta * (y + 2 * score)
        if final_noise or not step.last:
            y = y + math.sqrt(2 * step.delta) * noise(x)
        x = y * math.exp(step.next_time)
    return x


def ancestral(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    noise: Noise = torch.randn_like,
    callback: Callback | None = None,
    final_noise: bool = False,
    variance: Literal["large", "small"] = "large",
) -> Tensor:
    """DDPM (Ho et al. 2020, Eq. 7 and section 3.2) with the exact β = 1 − e^{−2Δt} of each step, as in WSGM (Guth et al. 2022).

    The mean is that of the posterior of x_{t−Δt} given x_t and x₀ = D. `variance` `large` is β, right for data of variance 1;
    `small` is the posterior's, right for data that are one point.
    """
    for step in _steps(sigmas):
        denoised = _told(callback, step, x, denoise(x, step.sigma))
        left = (step.next_sigma / step.sigma) ** 2  # of the noise's variance
        x = left * x + (1 - left) * denoised
        if final_noise or not step.last:
            beta = -math.expm1(-2 * step.delta)
            scale = math.exp(step.next_time)  # to the variance-exploding process
            share = left * math.exp(2 * step.delta) if variance == "small" else 1.0
            x = x + scale * math.sqrt(beta * share) * noise(x)
    return x


def ddim(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    noise: Noise = torch.randn_like,
    callback: Callback | None = None,
    eta: float = 0.0,
) -> Tensor:
    """DDIM (Song et al. 2021, Eq. 12 and 16). `eta` 0 is Euler's method for the probability flow in σ; `eta` 1 is `ancestral`
    with the small variance. Into σ = 0 there is no noise to add."""
    for step in _steps(sigmas):
        denoised = _told(callback, step, x, denoise(x, step.sigma))
        fresh = eta * step.next_sigma * math.sqrt(1 - (step.next_sigma / step.sigma) ** 2)
        kept = math.sqrt(step.next_sigma**2 - fresh**2)
        x = denoised + (kept / step.sigma) * (x - denoised)
        if fresh > 0:
            x = x + fresh * noise(x)
    return x


def heun(denoise: Denoise, x: Tensor, sigmas: Sequence[float], callback: Callback | None = None) -> Tensor:
    """EDM's deterministic sampler (Karras et al. 2022, Algorithm 1): dx/dσ = (x − D) / σ by Heun's method of order 2; into σ = 0
    by Euler's."""
    return _runge_kutta(denoise, x, sigmas, "heun", callback)


def dpmpp_2m(denoise: Denoise, x: Tensor, sigmas: Sequence[float], callback: Callback | None = None) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2): order 2 in λ = −ln σ, D extrapolated from the step before; the first step,
    and the one into σ = 0, are of order 1."""
    before: tuple[float, Tensor] | None = None  # h and D of the step before
    for step in _steps(sigmas):
        denoised = _told(callback, step, x, denoise(x, step.sigma))
        if step.next_sigma == 0:
            return denoised
        h = math.log(step.sigma / step.next_sigma)
        ahead = denoised
        if before is not None:
            ahead = denoised + (h / before[0] / 2) * (denoised - before[1])
        left = step.next_sigma / step.sigma
        x = left * x + (1 - left) * ahead
        before = h, denoised
    return x


def flow_ode(
    denoise: Denoise,
    x: Tensor,
    sigmas: Sequence[float],
    callback: Callback | None = None,
    method: Method = "midpoint",
) -> Tensor:
    """dx_flow/du = ε − x₀ on the straight path of flow matching (Lipman et al. 2023), by a Runge–Kutta method of order 1, 2, 2
    or 4.

    The velocity into u = 0 is not defined by a denoiser. There `heun` takes an Euler step, and `rk4` one of Ralston's method of
    order 3; the order of the whole stays.
    """

    def straight(y: Tensor, time: float) -> Tensor:
        return denoise(y / (1 - time), flow_sigma(time))

    def told(step: int, time: float, y: Tensor, denoised: Tensor) -> None:
        assert callback is not None
        callback(step, flow_sigma(time), y / (1 - time), denoised)

    times = [flow_time(sigma) for sigma in sigmas]
    y = _runge_kutta(straight, x * (1 - times[0]), times, method, told if callback else None)
    return y / (1 - times[-1])


class _Tableau(NamedTuple):
    """An explicit Runge–Kutta method (Butcher): a row of coefficients a stage, whose sum is its node, and the weights."""

    rows: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]


_TABLEAUX = {
    "euler": _Tableau(((),), (1.0,)),
    "midpoint": _Tableau(((), (0.5,)), (0.0, 1.0)),
    "heun": _Tableau(((), (1.0,)), (0.5, 0.5)),
    "ralston": _Tableau(((), (0.5,), (0.0, 0.75)), (2 / 9, 1 / 3, 4 / 9)),
    "rk4": _Tableau(((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}
_INTO_ZERO = {"heun": "euler", "rk4": "ralston"}  # methods without a stage at the end, of one order less at least


def stages(method: Method, steps: int) -> int:
    """Evaluations of the denoiser in `steps` steps down to 0."""
    return (steps - 1) * len(_TABLEAUX[method].rows) + len(_TABLEAUX[_INTO_ZERO.get(method, method)].rows)


def _runge_kutta(
    denoise: Denoise, x: Tensor, points: Sequence[float], method: Method, callback: Callback | None
) -> Tensor:
    """dx/dp = (x − D(x, p)) / p through `points` p: the probability flow, both in σ and on the straight path in u."""
    for index, (point, following) in enumerate(pairwise(points)):
        tableau = _TABLEAUX[_INTO_ZERO.get(method, method) if following == 0 else method]
        h = following - point
        slopes: list[Tensor] = []
        for row in tableau.rows:
            inner = _moved(x, h, row, slopes)
            node = point + h * sum(row)
            denoised = denoise(inner, node)
            if callback is not None and not slopes:
                callback(index, point, inner, denoised)
            slopes.append((inner - denoised) / node)
        x = _moved(x, h, tableau.weights, slopes)
    return x


def _moved(x: Tensor, h: float, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            x = x + (h * weight) * slope
    return x


class _Step(NamedTuple):
    """One step of a grid: σ and Ornstein–Uhlenbeck time at both ends."""

    place: int
    sigma: float
    next_sigma: float
    time: float
    next_time: float
    last: bool

    @property
    def delta(self) -> float:
        return self.time - self.next_time


def _steps(sigmas: Sequence[float]) -> Iterator[_Step]:
    times = ou_time(torch.tensor(sigmas, dtype=torch.float64, device="cpu")).tolist()
    for i in range(len(sigmas) - 1):
        yield _Step(i, sigmas[i], sigmas[i + 1], times[i], times[i + 1], i == len(sigmas) - 2)


def _told(callback: Callback | None, step: _Step, x: Tensor, denoised: Tensor) -> Tensor:
    if callback is not None:
        callback(step.place, step.sigma, x, denoised)
    return denoised
