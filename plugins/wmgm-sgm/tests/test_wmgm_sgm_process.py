"""The process that score models learn: its noise, its targets and its denoisers, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from wavekit_wmgm_sgm.model import ScoreModel
from wavekit_wmgm_sgm.normalise import FLOOR, Normalise, Whiten
from wavekit_wmgm_sgm.process import SMALLEST, Process, without

from wavekit_core.diffusion.times import denoised_from_noise, denoised_from_velocity, ou_time, preconditioning
from wavekit_core.errors import DataError, SpaceError
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)
PARAMETRISATIONS = ("noise", "velocity", "edm")


class Given(nn.Module):
    """Answers with what it was told, and remembers what it was asked."""

    def __init__(self, answer=None):
        super().__init__()
        self.answer, self.asked = answer, []

    def forward(self, x, noise, labels=None, condition=None):
        self.asked.append((x, noise, labels))
        return torch.zeros_like(x) if self.answer is None else self.answer


def process(parametrisation="velocity", times="quadratic", horizon=5.0, deviation=0.5) -> Process:
    return Process(parametrisation, times, horizon, deviation)


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_the_denoiser_of_the_network_s_target_is_the_clean_image(parametrisation):
    """The minimiser of the loss on one image is the denoiser that knows that image."""
    made = process(parametrisation)
    clean = torch.randn(64, 1, 4, 4)
    seen: dict[str, torch.Tensor] = {}

    class Spy(nn.Module):
        def forward(self, x, noise, labels=None, condition=None):
            seen["x"], seen["noise"] = x, noise
            return torch.zeros_like(x)

    torch.manual_seed(0)
    zero = made.error(Spy(), clean, None)
    torch.manual_seed(0)
    sigma = made.draw_sigmas(64, torch.device("cpu"))
    epsilon = torch.randn_like(clean)
    torch.testing.assert_close(seen["noise"], sigma.log() / 4)
    s = sigma[:, None, None, None]
    noisy = clean + s * epsilon
    # the target is where the denoiser gives the clean image: D is affine in F
    at_zero = made.denoised(Given(), noisy, sigma, None)
    at_one = made.denoised(Given(torch.ones_like(clean)), noisy, sigma, None)
    target = (clean - at_zero) / (at_one - at_zero)
    torch.testing.assert_close(zero, target.square().flatten(1).mean(1), rtol=2e-2, atol=1e-3)
    kept = sigma > 0.05  # below, the difference above has too few digits in float32
    torch.testing.assert_close(zero[kept], target.square().flatten(1).mean(1)[kept], rtol=1e-4, atol=1e-5)


def test_parametrisations_are_those_of_the_literature():
    x, sigma = torch.randn(5, 1, 2, 2), torch.tensor([0.02, 0.3, 1.0, 7.0, 100.0])
    s = sigma[:, None, None, None]
    answer = torch.randn_like(x)
    given = Given(answer)
    torch.testing.assert_close(process("noise").denoised(given, x, sigma, None), denoised_from_noise(x, s, answer))
    torch.testing.assert_close(
        process("velocity").denoised(given, x, sigma, None), denoised_from_velocity(x, s, answer)
    )
    edm = preconditioning(s, 0.5)
    torch.testing.assert_close(process("edm").denoised(given, x, sigma, None), edm.skip * x + edm.out * answer)
    torch.testing.assert_close(given.asked[-1][0], edm.into * x)
    torch.testing.assert_close(given.asked[0][0], (1 + s**2).rsqrt() * x)


def test_noise_matching_has_the_score_as_its_optimum():
    """Of Gaussian data N(0, λ) the minimiser of the loss is ε̂ = σ x / (λ + σ²), and the loss there is λ / (λ + σ²)."""
    variance = 0.25
    made = process("noise", "uniform", horizon=1.0)

    class Exact(nn.Module):
        def forward(self, x, noise, labels=None, condition=None):
            sigma = (4 * noise).exp()[:, None, None, None]
            return sigma * x * (1 + sigma**2).sqrt() / (variance + sigma**2)

    torch.manual_seed(1)
    clean = variance**0.5 * torch.randn(20_000, 1, 2, 2)
    found = made.error(Exact(), clean, None)
    torch.manual_seed(1)
    torch.randn(20_000, 1, 2, 2)
    sigma = made.draw_sigmas(20_000, torch.device("cpu"))
    expected = variance / (variance + sigma**2)
    assert float(found.mean()) == pytest.approx(float(expected.mean()), rel=0.01)
    worse = made.error(Given(), clean, None)
    assert float(worse.mean()) > 1.5 * float(found.mean())


@pytest.mark.parametrize(("times", "mean"), [("uniform", 2.5), ("quadratic", 5 / 3)])
def test_times_have_their_law(times, mean):
    torch.manual_seed(0)
    t = ou_time(process(times=times).draw_sigmas(40_000, torch.device("cpu")))
    assert float(t.mean()) == pytest.approx(mean, rel=0.02)
    assert float(t.min()) > 0
    assert float(t.max()) <= 5.0 + 1e-4


def test_log_normal_noise_is_edm_s():
    torch.manual_seed(0)
    log = process(times="log-normal").draw_sigmas(40_000, torch.device("cpu")).log()
    assert float(log.mean()) == pytest.approx(-1.2, abs=0.03)
    assert float(log.std()) == pytest.approx(1.2, abs=0.03)


def test_the_trained_noise_ends_where_the_horizon_says():
    low, high = process().sigmas
    assert low == SMALLEST
    assert high == pytest.approx(148.41, abs=0.01)  # √(e^10 − 1)
    assert process(horizon=4.382).sigmas[1] == pytest.approx(80, abs=0.1)  # EDM's
    assert math.exp(-5) == pytest.approx(0.0067, abs=1e-4)


def test_normalising_takes_mean_and_deviation_a_channel_and_gives_them_back():
    made = Normalise(3)
    scale, shift = torch.tensor([[0.1, 2.0, 0.0], [1e3, -1.0, 7.0]])[..., None, None]
    data = torch.randn(500, 3, 4, 5) * scale + shift
    made.fit(data.split(120))
    torch.testing.assert_close(made.mean.flatten(), data.double().mean((0, 2, 3)).float())
    deviations = data.double().std((0, 2, 3), correction=0).float()
    torch.testing.assert_close(made.deviation.flatten()[:2], deviations[:2], rtol=1e-5, atol=0)
    assert float(made.deviation.flatten()[2]) == 1.0  # does not vary: only centred
    torch.testing.assert_close(made.inverse(made(data)), data, rtol=1e-6, atol=1e-6)


def test_whitening_gives_covariance_one_and_takes_it_back():
    made = Whiten((2, 2, 3))
    data = 5 + torch.randn(3000, 2, 2, 3) @ torch.randn(3, 3)  # neighbours in a row go together
    data[:, 1] += data[:, 0]
    made.fit(data.split(700))
    white = made(data).flatten(1).double()
    torch.testing.assert_close(white.mean(0), torch.zeros(12, dtype=torch.float64), rtol=0, atol=1e-4)
    torch.testing.assert_close(white.T.cov(correction=0), torch.eye(12, dtype=torch.float64), rtol=0, atol=1e-3)
    torch.testing.assert_close(made.inverse(made(data)), data, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(made.forth, made.forth.T)  # zero phase: a value stays in its place


def test_whitening_does_not_blow_up_what_does_not_vary():
    made = Whiten((1, 1, 2))
    data = torch.randn(500, 1, 1, 1).expand(-1, -1, -1, 2).contiguous()
    made.fit([data])
    largest = float(data.double().std(correction=0) * math.sqrt(2))
    assert float(torch.linalg.eigvalsh(made.back.double())[0]) == pytest.approx(FLOOR * largest, rel=1e-3)
    made.fit([torch.full((4, 1, 1, 2), 3.0)])
    assert made(torch.full((1, 1, 1, 2), 3.0)).abs().max() == 0


def test_whole_images_of_many_numbers_are_not_whitened():
    with pytest.raises(SpaceError, match="12,288 numbers"):
        ScoreModel(ImageSpace(3, 64, 64), scale="decorrelate")


@pytest.mark.parametrize("made", [Normalise(1), Whiten((1, 2, 2))])
def test_normalising_needs_images(made):
    with pytest.raises(DataError, match="no training images"):
        made.fit([])


def test_labels_are_left_out_by_their_share():
    torch.manual_seed(0)
    labels = torch.full((20_000,), 3)
    left = without(labels, 10, 0.1)
    assert float((left == -1).float().mean()) == pytest.approx(0.1, abs=0.01)
    assert set(left.tolist()) == {-1, 3}
    assert without(labels, 0, 0.1) is None
    assert without(None, 10, 0.1) is None
