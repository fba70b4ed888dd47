import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from wavekit_haar import Haar

from wavekit_core.data.digits import Digits
from wavekit_core.errors import RecipeError
from wavekit_core.kinds.metric import Evidence
from wavekit_core.kinds.transform import Transform
from wavekit_core.metrics.sliced_wasserstein import SlicedWasserstein, sliced_distances


@pytest.fixture(scope="module")
def digits():
    return Digits()


@pytest.fixture(scope="module")
def metric():
    return SlicedWasserstein(transform=Haar(levels=2), projections=100)


def measured(metric, dataset, samples):
    figures = metric.measure(Evidence(dataset, dataset.held_out.batch([0]).data, None, samples, None))
    return {figure.name: figure for figure in figures}


def fresh(digits, count=300):
    """Real images that are not held out."""
    return digits.train.batch(range(count)).data


def test_one_dimension_is_scipys_distance():
    a, b = np.random.default_rng(0).normal(size=(2, 500))
    (ours,) = sliced_distances(
        torch.tensor(a[:, None]).float(),
        [torch.tensor(2 * b[:, None] + 1).float()],
        70,
        torch.Generator().manual_seed(0),
    )
    assert ours == pytest.approx(wasserstein_distance(a, 2 * b + 1), rel=1e-5)


def test_a_shift_has_a_closed_form():
    """W1 along a unit vector u of a set and the set moved by s is |s·u|; its mean over u in d dimensions is
    |s| Γ(d/2) / (√π Γ((d+1)/2))."""
    cloud = torch.randn(50, 5, generator=torch.Generator().manual_seed(1))
    shift = torch.tensor([3.0, 0, 0, 4, 0])
    (ours,) = sliced_distances(cloud, [cloud + shift], 20_000, torch.Generator().manual_seed(0))
    assert ours == pytest.approx(5 * math.gamma(2.5) / (math.sqrt(math.pi) * math.gamma(3)), rel=0.02)


def test_names_units_and_counts(metric, digits):
    figures = measured(metric, digits, fresh(digits, 200))
    assert list(figures) == ["swd", "swd/cA2", "swd/d2", "swd/d1"]
    for figure in figures.values():
        assert (figure.better, figure.count) == ("lower", 200)
        assert figure.floor > 0
    groups = [figures[name] for name in ("swd/cA2", "swd/d2", "swd/d1")]
    assert figures["swd"].value == pytest.approx(sum(g.value for g in groups) / 3)
    assert figures["swd"].floor == pytest.approx(sum(g.floor for g in groups) / 3)


def test_real_images_lie_at_the_floor_and_the_held_out_at_zero(metric, digits):
    held_out = digits.held_out.batch(range(300)).data
    assert measured(metric, digits, held_out)["swd"].value == 0
    for figure in measured(metric, digits, fresh(digits)).values():
        assert 0.5 * figure.floor < figure.value < 2 * figure.floor


@pytest.mark.parametrize("count", [1, 7, 299, 301, 1497])
def test_other_numbers_than_held_out(metric, digits, count):
    figure = measured(metric, digits, fresh(digits, count))["swd"]
    assert figure.count == min(count, 300)
    assert math.isfinite(figure.value)


def test_noise_moves_the_finest_details_most(metric, digits):
    noise = 0.2 * torch.randn(300, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    figures = measured(metric, digits, (fresh(digits) + noise).clamp(0, 1))
    assert figures["swd/d1"].value > 3 * figures["swd/d1"].floor
    ratio = {name: figure.value / figure.floor for name, figure in figures.items()}
    assert ratio["swd/d1"] > ratio["swd/cA2"]


def test_blur_moves_details_and_brightness_moves_the_approximation(metric, digits):
    blurred = torch.nn.functional.avg_pool2d(fresh(digits), 3, stride=1, padding=1)
    assert measured(metric, digits, blurred)["swd/d1"].value > 2 * measured(metric, digits, blurred)["swd/d1"].floor
    darker = measured(metric, digits, fresh(digits) * 0.5)
    assert darker["swd/cA2"].value > 3 * darker["swd/cA2"].floor


def test_a_repeated_image_is_far(metric, digits):
    for figure in measured(metric, digits, fresh(digits)[:1].expand(300, -1, -1, -1)).values():
        assert figure.value > 3 * figure.floor


def test_the_same_again_and_no_randomness_outside(digits):
    samples = fresh(digits)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = SlicedWasserstein(transform=Haar(levels=2), projections=100, seed=3).measure(evidence(digits, samples))
    again = SlicedWasserstein(transform=Haar(levels=2), projections=100, seed=3).measure(evidence(digits, samples))
    other = SlicedWasserstein(transform=Haar(levels=2), projections=100, seed=4).measure(evidence(digits, samples))
    assert torch.equal(before, torch.get_rng_state())
    assert first == again != other


def evidence(dataset, samples):
    return Evidence(dataset, samples, None, samples, None)


def test_a_whitening_transform_is_fitted(digits):
    figures = measured(
        SlicedWasserstein(transform=Haar(levels=2, norm="whiten"), projections=50), digits, fresh(digits)
    )
    assert 0 < figures["swd"].floor < 1


def test_the_default_transform_is_two_levels_of_haar(digits):
    assert list(measured(SlicedWasserstein(projections=10), digits, fresh(digits, 20))) == [
        "swd",
        "swd/cA2",
        "swd/d2",
        "swd/d1",
    ]


def test_without_samples_there_is_no_figure(metric, digits):
    assert list(metric.measure(evidence(digits, None))) == []
    assert list(metric.measure(evidence(digits, fresh(digits)[:0]))) == []


def test_a_transform_without_bands_is_refused(digits):
    class Same(Transform):
        def target(self, source):
            return source

        def forward(self, x):
            return x

        def inverse(self, y):
            return y

    with pytest.raises(RecipeError, match="pyramid"):
        SlicedWasserstein(transform=Same()).measure(evidence(digits, fresh(digits)))
