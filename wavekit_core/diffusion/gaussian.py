"""What a sampler makes of Gaussian data with the exact score, computed without drawing a number.

For data N(0, λ) in each direction the denoiser is linear, D(x; σ) = λ / (λ + σ²) · x, and so is all that a solver does: what
comes out is a sum of independent noises with coefficients. Running the solver's own code on those coefficients (x (n, 1 + k) for
n directions and k + 1 noises, of which `noise` hands out a unit column each time) gives the exact variance of its output.

The data of S4's argument are a field with the power spectrum 1/f² and its Haar bands. A stationary field's band is
stationary too: its spectrum is that of the field times the filter's gain, folded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from wavekit_core.diffusion.samplers import DiffusionSampler
from wavekit_core.diffusion.solvers import Denoise, Noise
from wavekit_core.errors import DataError

Band = Literal["LL", "LH", "HL", "HH"]
SPAN = (0.002, math.sqrt(math.expm1(10)))  # σ from EDM's smallest to the Ornstein–Uhlenbeck time 5


class Prediction(NamedTuple):
    """What is between data and samples, for each dimension: KL(data ‖ samples) in nats and the squared Wasserstein distance."""

    kl: float
    w2: float


def power_law(size: int = 128) -> Tensor:
    """Variances (size, size) of the Fourier modes k of a torus, 1 / (1 + |k|²), of mean 1. k as in `torch.fft.fftfreq`."""
    k = torch.fft.fftfreq(size, d=1 / size, dtype=torch.float64)
    power = 1 / (1 + k[:, None] ** 2 + k**2)
    return power / power.mean()


def haar_band(spectrum: Tensor, band: Band) -> Tensor:
    """Spectrum (n/2, n/2) of a band of the orthonormal Haar transform of a field with `spectrum` (n, n), n even.

    |H(ω)|² = 2 cos²(ω/2) of the low filter, 2 sin²(ω/2) of the high one, ω = 2πk/n; modes k and k + n/2 fall onto one another.
    The first letter is of the filter along the width, the second of that along the height."""
    for axis, letter in zip((1, 0), band, strict=True):
        n = spectrum.shape[axis]
        half = math.pi * torch.arange(n, dtype=torch.float64) / n
        gain = (half.cos() if letter == "L" else half.sin()).square()
        gained = spectrum * (gain[:, None] if axis == 0 else gain)
        first, second = gained.split(n // 2, dim=axis)
        spectrum = first + second
    return spectrum


def level(spectrum: Tensor, band: Band, depth: int) -> Tensor:
    """Spectrum of `band` at level `depth` ≥ 1: of what is left after `depth` − 1 times LL."""
    for _ in range(depth - 1):
        spectrum = haar_band(spectrum, "LL")
    return haar_band(spectrum, band)


def condition(spectrum: Tensor) -> float:
    """Largest over smallest variance."""
    return float(spectrum.max() / spectrum.min())


def whitened(spectrum: Tensor) -> Tensor:
    """Of mean 1, as after division by the standard deviation."""
    return spectrum / spectrum.mean()


def distinct(eigenvalues: Tensor) -> tuple[Tensor, Tensor]:
    """The different ones among eigenvalues (to 11 digits) and their shares (m,), of sum 1."""
    flat = eigenvalues.flatten().double()
    exponent = 10 ** (10 - flat.abs().clamp(min=1e-300).log10().floor())
    values, counts = ((flat * exponent).round() / exponent).unique(return_counts=True)
    return values, counts / len(flat)


def variances(eigenvalues: Tensor, run: Callable[[Denoise, Tensor, Noise], Tensor]) -> Tensor:
    """The exact variances (n,) of what `run(denoise, seed, noise)` makes of standard normal `seed` and of `noise(x)`, for data of
    variances `eigenvalues` (n,). `run` must be linear in both and draw the same number of times whatever x is."""
    values = eigenvalues.double()[:, None]

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return values[: len(x)] / (values[: len(x)] + sigma**2) * x

    drawn = 0

    def counted(x: Tensor) -> Tensor:
        nonlocal drawn
        drawn += 1
        return torch.zeros_like(x)

    run(denoise, values.new_zeros(1, 1), counted)
    columns = iter(range(1, drawn + 1))

    def unit(x: Tensor) -> Tensor:
        noise = torch.zeros_like(x)
        noise[:, next(columns)] = 1
        return noise

    seed = values.new_zeros(len(values), drawn + 1)
    seed[:, 0] = 1
    return run(denoise, seed, unit).square().sum(1)


def predicted(
    eigenvalues: Tensor, weights: Tensor, sampler: DiffusionSampler, span: tuple[float, float] = SPAN
) -> Prediction:
    """What `sampler` loses on Gaussian data of variances `eigenvalues` (n,), which are shares `weights` (n,) of all directions,
    with the exact score of a model trained for σ in `span`. The data are normalised: their mean variance is about 1. Raises
    DataError for a variance that is not above 0."""
    if not bool((eigenvalues > 0).all()):
        raise DataError(
            f"a variance of the data is {float(eigenvalues.min()):g}; a direction without any has no density; leave it out"
        )
    made = variances(eigenvalues, lambda denoise, seed, noise: sampler.draw(denoise, seed, span, noise))
    return distance(eigenvalues.double(), made, weights)


def distance(data: Tensor, samples: Tensor, weights: Tensor) -> Prediction:
    """Between Gaussians of mean 0 with variances `data` and `samples` (n,) along the same directions, for each dimension."""
    ratio = data / samples
    kl = 0.5 * (ratio - 1 - ratio.log())
    w2 = (data.sqrt() - samples.sqrt()).square()
    shares = weights.double() / weights.sum()
    return Prediction(float((shares * kl).sum()), float((shares * w2).sum()))
