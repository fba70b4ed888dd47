"""Orders of convergence of all solvers, and what each does in one step."""

from __future__ import annotations

import functools
import math

import pytest
import torch

from tests.diffusion.mixture import denoise, flowed
from wavekit_core.diffusion import grids, solvers
from wavekit_core.diffusion.gaussian import variances
from wavekit_core.diffusion.times import ou_sigma

STARTS = torch.linspace(-15, 15, 31, dtype=torch.float64)
ODE = {
    "ddim": (solvers.ddim, 1),
    "heun": (solvers.heun, 2),
    "dpmpp_2m": (solvers.dpmpp_2m, 2),
    "flow euler": (functools.partial(solvers.flow_ode, method="euler"), 1),
    "flow midpoint": (functools.partial(solvers.flow_ode, method="midpoint"), 2),
    "flow heun": (functools.partial(solvers.flow_ode, method="heun"), 2),
    "flow rk4": (functools.partial(solvers.flow_ode, method="rk4"), 4),
}
SDE = {
    "euler_maruyama": functools.partial(solvers.euler_maruyama, final_noise=True),
    "ancestral large": functools.partial(solvers.ancestral, final_noise=True),
    "ancestral small": functools.partial(solvers.ancestral, variance="small"),
    "ddim eta": functools.partial(solvers.ddim, eta=1.0),
}


def order(errors: list[float]) -> float:
    """Of errors with twice as many steps each time."""
    return math.log2(errors[-2] / errors[-1])


@pytest.mark.parametrize("name", list(ODE))
def test_the_probability_flow_is_followed_with_the_order_of_the_method(name):
    solver, expected = ODE[name]
    exact = flowed(STARTS, 10.0, 0.3)
    errors = []
    for steps in (32, 64, 128):
        sigmas = grids.log_snr(steps + 1, 0.3, 10.0)[:-1]
        errors.append(float((solver(denoise, STARTS, sigmas) - exact).abs().max()))
    assert order(errors) == pytest.approx(expected, abs=0.2), errors


@pytest.mark.parametrize("name", [name for name in ODE if name.startswith("flow")])
def test_a_last_step_into_zero_keeps_the_order(name):
    solver, expected = ODE[name]
    exact = flowed(STARTS, 10.0, 0.0)
    errors = [
        float((solver(denoise, STARTS, grids.flow(steps, 0.0, 10.0)) - exact).abs().max()) for steps in (128, 256, 512)
    ]
    assert order(errors) == pytest.approx(expected, abs=0.25), errors


@pytest.mark.parametrize("name", list(SDE))
def test_the_variance_of_the_reverse_process_converges_with_order_one(name):
    """Weak order, exactly: from the true marginal at the first σ to that at the last one, for Gaussian data."""
    solver, values = SDE[name], torch.tensor([0.05, 1.0, 4.0], dtype=torch.float64)
    errors = []
    for steps in (128, 256, 512):
        sigmas = ou_sigma(torch.linspace(2, 0.1, steps + 1, dtype=torch.float64)).tolist()

        def run(denoise, seed, noise, sigmas=sigmas):
            first = values[: len(seed), None] + sigmas[0] ** 2
            return solver(denoise, seed * first.sqrt(), sigmas, noise)

        errors.append(float((variances(values, run) / (values + sigmas[-1] ** 2) - 1).abs().max()))
    assert order(errors) == pytest.approx(1, abs=0.1), errors
    assert errors[-1] < 0.05


def test_eq_20_in_one_step_by_hand():
    """x ← x + Δt (x + 2 s) + √(2Δt) z in Ornstein–Uhlenbeck coordinates, with the score of N(0, 1), which is −x at each t."""
    t, following = 1.3, 0.9
    sigmas = ou_sigma(torch.tensor([t, following], dtype=torch.float64)).tolist()
    y, z = torch.randn(2, 7, dtype=torch.float64)

    def normal(x, sigma):
        return x / (1 + sigma**2)

    for final_noise in (True, False):
        made = solvers.euler_maruyama(normal, y * math.exp(t), sigmas, lambda x: z, final_noise=final_noise)
        expected = y + 0.4 * (y - 2 * y) + final_noise * math.sqrt(0.8) * z
        torch.testing.assert_close(made * math.exp(-following), expected)


@pytest.mark.parametrize("variance", ["large", "small"])
def test_an_ancestral_step_is_that_of_ddpm(variance):
    """Ho et al. 2020, Eq. 6 and 7, with ᾱ = e^{−2t} and β of the step."""
    t, following = 1.3, 0.9
    sigmas = ou_sigma(torch.tensor([t, following], dtype=torch.float64)).tolist()
    y, x0, z = torch.randn(3, 7, dtype=torch.float64)
    before, now = math.exp(-2 * following), math.exp(-2 * t)
    alpha = now / before
    beta = 1 - alpha
    mean = math.sqrt(before) * beta / (1 - now) * x0 + math.sqrt(alpha) * (1 - before) / (1 - now) * y
    added = beta if variance == "large" else (1 - before) / (1 - now) * beta
    made = solvers.ancestral(
        lambda x, sigma: x0, y * math.exp(t), sigmas, lambda x: z, final_noise=True, variance=variance
    )
    torch.testing.assert_close(made * math.exp(-following), mean + math.sqrt(added) * z)


def test_ddim_with_full_noise_is_ancestral_with_the_small_variance():
    sigmas = grids.quadratic(9, 0.002, 80.0)
    noises = torch.randn(9, 31, dtype=torch.float64)
    made = [
        solver(denoise, STARTS, sigmas, (lambda rest: lambda x: next(rest))(iter(noises)))
        for solver in (SDE["ddim eta"], SDE["ancestral small"])
    ]
    torch.testing.assert_close(*made)


@pytest.mark.parametrize("name", [*ODE, *SDE])
def test_one_point_is_found_from_anywhere(name):
    """D of data that are one point is that point; without noise in the last step it is the end of every solver but Eq. 20's."""
    solver = {**{k: v[0] for k, v in ODE.items()}, **SDE, "ancestral large": solvers.ancestral}[name]
    point = torch.linspace(-1, 1, 31, dtype=torch.float64)
    if name == "euler_maruyama":
        sigmas = [*grids.quadratic(400, 0.002, 80.0)]
        made = solvers.euler_maruyama(lambda x, sigma: point, STARTS, sigmas)
        torch.testing.assert_close(made, point, rtol=0, atol=0.05)
        return
    made = solver(lambda x, sigma: point, STARTS, grids.karras(6, 0.002, 80.0))
    torch.testing.assert_close(made, point, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", [*ODE, *SDE])
def test_a_callback_sees_every_step_and_changes_nothing(name):
    solver, sigmas = {**{k: v[0] for k, v in ODE.items()}, **SDE}[name], grids.karras(5, 0.002, 80.0)
    seen = []
    torch.manual_seed(0)
    plain = solver(denoise, STARTS, sigmas)
    torch.manual_seed(0)
    told = solver(denoise, STARTS, sigmas, callback=lambda *step: seen.append(step))
    torch.testing.assert_close(told, plain, rtol=0, atol=0)
    assert [step for step, *_ in seen] == list(range(5))
    assert [sigma for _, sigma, *_ in seen] == pytest.approx(sigmas[:-1])
    torch.testing.assert_close(seen[0][2], STARTS)
    for _, sigma, x, denoised in seen:
        torch.testing.assert_close(denoised, denoise(x, sigma), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [*ODE, *SDE])
def test_solvers_keep_the_dtype_of_x(name):
    solver = {**{k: v[0] for k, v in ODE.items()}, **SDE}[name]
    made = solver(lambda x, sigma: x / (1 + sigma**2), STARTS.float(), grids.karras(4, 0.002, 80.0))
    assert made.dtype == torch.float32
    assert bool(made.isfinite().all())
