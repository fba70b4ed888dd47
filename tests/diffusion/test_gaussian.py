"""The exact Gaussian experiment: spectra, condition numbers, and the losses of every sampler, without a random number."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import pywt
import torch

from wavekit_core.diffusion.gaussian import (
    SPAN,
    condition,
    distance,
    distinct,
    haar_band,
    level,
    power_law,
    predicted,
    variances,
    whitened,
)
from wavekit_core.diffusion.samplers import DDIM, Ancestral, DPMpp2M, FlowODE, Heun, ReverseSDE
from wavekit_core.errors import DataError

FIELDS = {
    "sgm": power_law(),
    "LL2": whitened(level(power_law(), "LL", 2)),
    "LH1": whitened(level(power_law(), "LH", 1)),
}
OF = {name: distinct(spectrum) for name, spectrum in FIELDS.items()}


@functools.cache
def loss(field: str, kind: type, **arguments):
    return predicted(*OF[field], kind(**arguments))


def kl(field: str, kind: type, **arguments) -> float:
    return loss(field, kind, **arguments).kl


def near(value: float):
    """To two digits."""
    return pytest.approx(value, rel=0.025, abs=0.00005)


@pytest.mark.parametrize(
    ("field", "grid", "expected"),
    [
        ("sgm", "uniform", {4: 0.737, 16: 0.213, 64: 0.0322}),
        ("sgm", "quadratic", {4: 0.241, 16: 0.0214, 64: 0.0015}),
        ("LL2", "uniform", {4: 0.667, 16: 0.182, 64: 0.0258}),
        ("LL2", "quadratic", {4: 0.209, 16: 0.0185, 64: 0.0013}),
        ("LH1", "uniform", {4: 0.232, 16: 0.0211, 64: 0.00155}),
        ("LH1", "quadratic", {4: 0.052, 16: 0.0034, 64: 0.00022}),
    ],
)
def test_euler_maruyama_with_all_noise(field, grid, expected):
    for steps, value in expected.items():
        assert kl(field, ReverseSDE, steps=steps, grid=grid, final_noise=True) == near(value)


@pytest.mark.parametrize(
    ("field", "grid", "expected"),
    [
        ("sgm", "uniform", {4: 159, 16: 1.12}),
        ("LL2", "uniform", {4: 20.5, 16: 0.911}),
        ("LH1", "uniform", {4: 4.63, 16: 0.145}),
        ("sgm", "quadratic", {4: 0.260, 16: 0.0062, 64: 0.0011}),
        ("LL2", "quadratic", {16: 0.0057}),
        ("LH1", "quadratic", {16: 0.0013}),
    ],
)
def test_euler_maruyama_without_the_last_noise(field, grid, expected):
    for steps, value in expected.items():
        assert kl(field, ReverseSDE, steps=steps, grid=grid) == near(value)


def test_wasserstein_distance_of_fields_falls_without_the_last_noise_whatever_kl_says():
    for steps, with_noise, without in ((4, 1.50, 0.416), (16, 0.146, 0.095), (64, 0.0110, 0.0093)):
        assert loss("sgm", ReverseSDE, steps=steps, grid="uniform", final_noise=True).w2 == near(with_noise)
        assert loss("sgm", ReverseSDE, steps=steps, grid="uniform").w2 == near(without)
    for field in OF:
        for grid in ("uniform", "quadratic"):
            for steps in (4, 16, 64):
                noisy = loss(field, ReverseSDE, steps=steps, grid=grid, final_noise=True)
                without = loss(field, ReverseSDE, steps=steps, grid=grid)
                # whitened details have hardly a direction that the noise drowns: there it is missed
                missed = field == "LH1" and grid == "uniform" and steps > 4
                assert (without.w2 > noisy.w2) == missed


def test_ancestral_sampling_with_the_large_variance_wins_from_16_steps_on():
    for steps, ancestral, reverse in ((4, 0.566, 0.260), (16, 0.00214, 0.0062), (64, 0.00065, 0.0011)):
        assert kl("sgm", Ancestral, steps=steps) == near(ancestral)
        assert kl("sgm", ReverseSDE, steps=steps) == near(reverse)
    assert kl("sgm", Ancestral, steps=16, variance="small") == near(0.104)


def test_the_time_grid_is_worth_ten_times_and_the_coarse_band_a_sixth():
    """S4's argument for the coarse band is one of condition numbers; what it is worth for each dimension is 1.17."""
    literal = dict(steps=16, final_noise=True)
    pixels = kl("sgm", ReverseSDE, grid="uniform", **literal)
    assert pixels / kl("LL2", ReverseSDE, grid="uniform", **literal) == pytest.approx(1.17, abs=0.01)
    assert pixels / kl("sgm", ReverseSDE, grid="quadratic", **literal) == pytest.approx(10, abs=0.5)
    assert pixels / kl("LH1", ReverseSDE, grid="uniform", **literal) == pytest.approx(10, abs=0.5)


def test_data_of_twice_the_scale_suit_euler_maruyama_and_not_ancestral_sampling():
    """On the coarse band, from T = 5 for both: a gain of 8 and of 3, a loss of 1.5."""
    for kind, arguments, gain in (
        (ReverseSDE, {"grid": "uniform", "final_noise": True}, 8.3),
        (ReverseSDE, {"grid": "quadratic", "final_noise": True}, 3.35),
        (Ancestral, {}, 0.664),
    ):
        once, twice = (kl("LL2", kind, steps=16, data_scale=scale, **arguments) for scale in (1.0, 2.0))
        assert once / twice == pytest.approx(gain, rel=0.01)


@pytest.mark.parametrize("final_noise", [True, False])
@pytest.mark.parametrize("field", ["sgm", "LL2"])
def test_heun_with_31_evaluations_beats_euler_maruyama_with_128_on_the_uniform_grid(field, final_noise):
    assert Heun(steps=16).evaluations == 31
    assert kl(field, Heun, steps=16) <= kl(field, ReverseSDE, steps=128, grid="uniform", final_noise=final_noise)


def test_on_the_quadratic_grid_euler_maruyama_with_128_evaluations_beats_heun_with_31():
    assert kl("sgm", ReverseSDE, steps=128) < 0.0005
    assert kl("sgm", Heun, steps=16) == near(0.0071)
    assert predicted(*OF["sgm"], Heun(steps=16), span=(0.002, 80.0)).kl == near(0.0045)


def test_condition_numbers():
    spectrum = power_law()
    assert [round(condition(level(spectrum, "LL", depth))) for depth in (1, 2, 3)] == [2049, 657, 180]
    assert [round(condition(level(spectrum, band, 1))) for band in ("LH", "HL", "HH")] == [5, 5, 4]
    assert condition(spectrum) == pytest.approx(8193)
    assert float(spectrum.mean()) == pytest.approx(1)
    assert float(level(spectrum, "LL", 2).mean()) == pytest.approx(9.7, abs=0.05)


@pytest.mark.parametrize("band", ["LL", "LH", "HL", "HH"])
def test_the_spectrum_of_a_band_is_that_of_the_haar_transform(band):
    """Against PyWavelets: the covariance of a field, transformed as a matrix, and its eigenvalues."""
    n = 8
    spectrum = torch.rand(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    spectrum = spectrum + spectrum.flip(0, 1).roll((1, 1), (0, 1))  # of a real field: as much at −k as at k
    row = torch.fft.ifft2(spectrum).real  # covariance with the pixel at 0
    at = torch.arange(n)
    lag = (at[:, None] - at) % n
    covariance = row[lag[:, None, :, None], lag[None, :, None, :]].reshape(n * n, n * n)
    name = {"LL": 0, "LH": (1, 0), "HL": (1, 1), "HH": (1, 2)}[band]

    def transformed(image):
        coarse, details = pywt.dwt2(image, "haar", mode="periodization")
        return (coarse if name == 0 else details[name[1]]).ravel()

    matrix = torch.from_numpy(np.stack([transformed(unit.reshape(n, n)) for unit in np.eye(n * n)], 1))
    expected = torch.linalg.eigvalsh(matrix @ covariance @ matrix.T)
    torch.testing.assert_close(haar_band(spectrum, band).flatten().sort().values, expected)


def test_the_variance_of_euler_maruyama_is_that_of_its_recursion():
    """v ← (1 + Δt − 2Δt / (1 + e^{−2t} (λ − 1)))² v + 2Δt from v = 1, by hand."""
    made = variances(
        torch.tensor([0.3, 5.0]),
        lambda denoise, seed, noise: ReverseSDE(steps=7, grid="uniform").draw(denoise, seed, SPAN, noise),
    )
    for value, found in zip((0.3, 5.0), made.tolist(), strict=True):
        v, delta = 1.0, 5 / 7
        for step in range(7):
            factor = 1 + delta - 2 * delta / (1 + math.exp(-2 * (5 - step * delta)) * (float(np.float32(value)) - 1))
            v = factor**2 * v + (2 * delta if step < 6 else 0)
        assert found == pytest.approx(v, rel=1e-9)


def test_distances_of_gaussians_are_those_of_their_densities():
    """KL against torch's distributions; the squared Wasserstein distance on a line against the quantiles."""
    data, samples = torch.tensor([1.0, 0.25], dtype=torch.float64), torch.tensor([4.0, 0.25], dtype=torch.float64)
    made = distance(data, samples, torch.tensor([1.0, 3.0]))
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(0.0, 1.0), normal(0.0, 2.0))
    assert made.kl == pytest.approx(float(kl) / 4)
    assert made.w2 == pytest.approx(0.25)


def test_distinct_eigenvalues_stand_for_all():
    spectrum = power_law(16)
    values, weights = distinct(spectrum)
    assert len(values) < 60
    assert float(weights.sum()) == pytest.approx(1)
    whole = predicted(spectrum.flatten(), torch.ones(256), DPMpp2M(steps=5))
    assert predicted(values, weights, DPMpp2M(steps=5)) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(
    "sampler",
    [
        ReverseSDE(steps=400),
        Ancestral(steps=400),
        Ancestral(steps=400, variance="small"),
        DDIM(steps=200),
        DDIM(steps=400, eta=1.0),
        Heun(steps=60),
        DPMpp2M(steps=40),
        FlowODE(steps=20),
        FlowODE(steps=15, method="rk4"),
    ],
    ids=repr,
)
def test_every_sampler_comes_close_with_enough_steps(sampler):
    assert max(predicted(*OF["LL2"], sampler)) < 0.0012


def test_a_direction_without_variance_is_refused():
    with pytest.raises(DataError, match="a variance of the data is 0; a direction without any has no density"):
        predicted(torch.tensor([1.0, 0.0]), torch.ones(2), Heun())
