import math

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from wavekit_core.bands.formulas import condition, crossing, kl_of_standard, kl_to_standard, negentropy, snr


@pytest.mark.parametrize("variance", [1e-3, 0.3, 1.0, 9.7])
def test_signal_equals_noise_at_the_crossing(variance):
    assert crossing(variance) == pytest.approx(0.5 * math.log(1 + variance))
    assert snr(variance, crossing(variance)) == pytest.approx(1)
    t = 0.4
    assert snr(variance, t) == pytest.approx(math.exp(-2 * t) * variance / (1 - math.exp(-2 * t)))


def test_divergences_are_those_of_torch():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    mean, covariance = torch.randn(5, generator=generator, dtype=torch.float64), root @ root.T + 0.1 * torch.eye(5)
    standard = MultivariateNormal(torch.zeros(5, dtype=torch.float64), torch.eye(5, dtype=torch.float64))
    given = MultivariateNormal(mean, covariance)
    assert kl_to_standard(mean, covariance) == pytest.approx(float(kl_divergence(given, standard)))
    assert kl_of_standard(mean, covariance) == pytest.approx(float(kl_divergence(standard, given)))


def test_a_direction_without_variance_is_infinitely_far():
    singular = torch.ones(3, 3, dtype=torch.float64)
    assert math.isinf(kl_to_standard(torch.zeros(3), singular))
    assert math.isinf(kl_of_standard(torch.zeros(3), singular))
    assert math.isinf(condition(torch.tensor([1.0, 0.0])))
    assert condition(torch.tensor([8.0, 2.0])) == 4


PLACES = torch.arange(-4000, 4001, dtype=torch.float64)


@pytest.mark.parametrize(
    ("density", "expected"),
    [
        ((-0.5 * (PLACES / 100).square()).exp(), 0.0),
        ((-PLACES.abs() / 100).exp(), 0.5 * math.log(math.pi / math.e)),
        ((PLACES.abs() < 500).double(), 0.5 * math.log(math.pi * math.e / 6)),
    ],
    ids=["gaussian", "laplacian", "uniform"],
)
def test_negentropy_is_that_of_known_densities(density, expected):
    counts = (density / density.sum() * 1e12).long()
    assert negentropy(counts) == pytest.approx(expected, abs=1e-4)
