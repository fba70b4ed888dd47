"""Bridges between processes and predictions: there and back, and against the definitions of both sides."""

from __future__ import annotations

import pytest
import torch

from wavekit_core.diffusion import times

SIGMAS = torch.logspace(-6, 4, 41, dtype=torch.float64)


@pytest.mark.parametrize("name", ["ou", "flow"])
def test_times_and_sigmas_go_there_and_back(name):
    there, back = getattr(times, f"{name}_time"), getattr(times, f"{name}_sigma")
    torch.testing.assert_close(back(there(SIGMAS)), SIGMAS, rtol=2e-11 if name == "flow" else 1e-14, atol=0)
    assert float(there(torch.zeros(()))) == float(back(torch.zeros(()))) == 0
    single = SIGMAS[(SIGMAS > 1e-4) & (SIGMAS < 200)].float()
    torch.testing.assert_close(back(there(single)), single, rtol=3e-5, atol=0)


def test_sigma_of_the_papers_times():
    """S4's process ends at T = 5, which is σ = 148.4; EDM's largest σ, 80, is the time 4.382."""
    assert float(times.ou_sigma(torch.tensor(5.0))) == pytest.approx(148.41, abs=0.005)
    assert float(times.ou_time(torch.tensor(80.0))) == pytest.approx(4.382, abs=5e-4)


def test_all_predictions_of_one_noisy_element_tell_the_same_denoiser():
    """x₀ and ε are known, so each process and each prediction follows from its definition."""
    clean, noise = torch.randn(2, len(SIGMAS), 3, 2, dtype=torch.float64)
    sigma = times.beside(SIGMAS, clean)
    x = clean + sigma * noise
    t, u = times.ou_time(sigma), times.flow_time(sigma)
    deviation = (-torch.expm1(-2 * t)).sqrt()
    close = dict(rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(x * times.ou_scale(sigma), torch.exp(-t) * clean + deviation * noise, **close)
    torch.testing.assert_close(x * times.flow_scale(sigma), (1 - u) * clean + u * noise, **close)
    velocity, straight = torch.exp(-t) * noise - deviation * clean, noise - clean
    at = sigma.flatten() >= 1e-3  # below it x tells ε with few digits
    for prediction, to_denoised, from_denoised in (
        (noise, times.denoised_from_noise, times.noise_from_denoised),
        (velocity, times.denoised_from_velocity, times.velocity_from_denoised),
        (straight, times.denoised_from_flow, times.flow_from_denoised),
    ):
        torch.testing.assert_close(to_denoised(x, sigma, prediction), clean, rtol=1e-9, atol=1e-8)
        torch.testing.assert_close(from_denoised(x, sigma, clean)[at], prediction[at], rtol=1e-9, atol=1e-8)
    score = times.score_from_denoised(x, sigma, clean)
    torch.testing.assert_close(score[at], (-noise / sigma)[at], rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("sigma_data", [0.5, 1.0, 3.0])
def test_preconditioning_has_unit_inputs_and_targets(sigma_data):
    """What EDM's constants are made for: of x and of the target of F the variance is 1, and skip leaves the smallest error."""
    made = times.preconditioning(SIGMAS, sigma_data)
    total = SIGMAS**2 + sigma_data**2
    torch.testing.assert_close(made.into**2 * total, torch.ones_like(SIGMAS))
    target = ((1 - made.skip) ** 2 * sigma_data**2 + made.skip**2 * SIGMAS**2) / made.out**2
    torch.testing.assert_close(target, torch.ones_like(SIGMAS))
    torch.testing.assert_close(made.skip, sigma_data**2 / total)
    torch.testing.assert_close(made.weight, total / (SIGMAS * sigma_data) ** 2)
    torch.testing.assert_close(made.noise, SIGMAS.log() / 4)


def test_with_data_of_variance_one_the_preconditioned_network_predicts_minus_the_velocity():
    x, velocity = torch.randn(2, len(SIGMAS), 5, dtype=torch.float64)
    sigma = times.beside(SIGMAS, x)
    made = times.preconditioning(sigma)
    torch.testing.assert_close(made.skip * x - made.out * velocity, times.denoised_from_velocity(x, sigma, velocity))
    torch.testing.assert_close(made.into, times.ou_scale(sigma))
