import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from tests.metrics import sets
from tests.metrics.sets import random_images
from wavekit_core.data.digits import Digits
from wavekit_core.kinds.metric import Evidence
from wavekit_core.metrics.nearest import NearestTraining, nearest_distances


@pytest.fixture(scope="module")
def digits():
    return Digits(size=8)


def measured(digits, samples):
    evidence = Evidence(digits, digits.held_out.batch([0]).data, None, samples, None)
    return {figure.name: figure for figure in NearestTraining().measure(evidence)}


def test_distances_agree_with_scipy(digits):
    queries = torch.rand(300, 64, generator=torch.Generator().manual_seed(0))
    training = digits.train.batch(range(1497)).data.flatten(1)
    expected = cdist(queries.double().numpy(), training.double().numpy()).min(axis=1)
    assert np.allclose(nearest_distances(queries, digits.train, digits.space), expected, rtol=1e-5)


def test_held_out_images_lie_at_the_floor(digits):
    figures = measured(digits, digits.held_out.batch(range(300)).data)
    assert figures["nearest"].value == figures["nearest"].floor > 0
    assert figures["nearest-ratio"].value == 1
    assert (figures["nearest"].better, figures["nearest"].count) == ("real", 300)


def test_copies_have_distance_zero(digits):
    figures = measured(digits, digits.train.batch(range(0, 1497, 5)).data)
    assert figures["nearest"].value == 0
    assert figures["nearest-ratio"].value == 0


def test_near_copies_show_and_noise_is_far(digits):
    copies = digits.train.batch(range(300)).data
    noise = torch.randn(copies.shape, generator=torch.Generator().manual_seed(0))
    assert measured(digits, (copies + 0.02 * noise).clamp(0, 1))["nearest-ratio"].value < 0.2
    assert (
        measured(digits, torch.rand(copies.shape, generator=torch.Generator().manual_seed(1)))["nearest-ratio"].value
        > 1.5
    )


@pytest.mark.parametrize("count", [1, 2, 700])
def test_other_numbers_than_held_out(digits, count):
    assert measured(digits, digits.train.batch(range(count)).data)["nearest"].count == count


def test_without_samples_there_is_no_figure(digits):
    assert measured(digits, None) == {}
    assert measured(digits, digits.train.batch([]).data) == {}


def test_training_images_are_rounded_to_8_bits_first():
    """The averages of 2×2 pixels are no 8-bit images, but their rounded copies are still copies."""
    images = torch.nn.functional.avg_pool2d(random_images(20, 1, 16, 16), 2)
    rounded = (images * 255).round() / 255
    assert not torch.equal(images, rounded)
    figures = sets.measured(NearestTraining(), sets.dataset_of(sets.Part(images), sets.Part(images)), rounded)
    assert figures["nearest"].value == figures["nearest"].floor == 0
