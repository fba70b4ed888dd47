"""Floors and counts of the metrics, on data sets so small that the figures are known."""

import math

import numpy as np
import pytest
import torch
from wavekit_haar import Haar

from tests.metrics.sets import Part, dataset_of, measured, random_images
from wavekit_core.metrics.extractors import Extractor
from wavekit_core.metrics.frechet import FrechetDistance, frechet_distance
from wavekit_core.metrics.nearest import NearestTraining
from wavekit_core.metrics.real_images import for_floors, for_judges, subset
from wavekit_core.metrics.sliced_wasserstein import SlicedWasserstein


# the distance to a black image is the length of an image
@pytest.mark.parametrize("count", [1, 2, 5, 9, 14])
def test_the_floor_of_nearest_takes_as_many_held_out_images_as_there_are_samples(count):
    lengths = torch.arange(1.0, 10.0).square() / 255
    held_out = torch.zeros(9, 1, 2, 2)
    held_out[:, 0, 0, 0] = lengths
    samples = torch.full((count, 1, 2, 2), 0.35)
    figures = measured(NearestTraining(), dataset_of(Part(torch.zeros(3, 1, 2, 2)), Part(held_out)), samples)
    expected = float(np.median(lengths[subset(9, count, 0)]))
    assert figures["nearest"].floor == pytest.approx(expected)
    assert figures["nearest"].value == pytest.approx(0.7)  # four pixels of 0.35
    assert figures["nearest"].count == count
    assert figures["nearest-ratio"].value == pytest.approx(0.7 / expected)


def steps_of_one(count):
    """Images (count, 1, 4, 4) of integers from 50 to 99, which the range 0 … 255 holds in 8 bits."""
    return torch.randint(50, 100, (count, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float()


def swd(train, held_out, samples, projections):
    dataset = dataset_of(Part(train), Part(held_out), high=255)
    return measured(SlicedWasserstein(Haar(levels=2), projections=projections), dataset, samples)


def test_swd_of_shifted_copies_has_a_closed_form():
    """Brighter by s everywhere: one level-2 coefficient of a 4×4 image moves by 4s, the details do not move."""
    held_out = steps_of_one(40)
    figures = swd(held_out + 5, held_out, held_out - 20, 16)
    assert figures["swd/cA2"].floor == pytest.approx(4 * 5, rel=1e-4)
    assert figures["swd/cA2"].value == pytest.approx(4 * 20, rel=1e-4)
    for name in ("swd/d2", "swd/d1"):
        assert figures[name].floor == pytest.approx(0, abs=1e-3)
        assert figures[name].value == pytest.approx(0, abs=1e-3)
    assert figures["swd"].floor == pytest.approx(4 * 5 / 3, rel=1e-3)
    assert figures["swd"].value == pytest.approx(4 * 20 / 3, rel=1e-3)
    assert {figure.count for figure in figures.values()} == {40}


def test_swd_of_a_shifted_pattern_has_a_closed_form():
    """A chequerboard of ±a moves each of four cD1 by 2a, a vector of length 4a among d = 12 numbers; the mean of |s·u| over
    unit vectors u is |s| Γ(d/2) / (√π Γ((d+1)/2))."""
    held_out = steps_of_one(40)
    board = 1 - 2 * ((torch.arange(4)[:, None] + torch.arange(4)) % 2)
    figures = swd(held_out + 10 * board, held_out, held_out - 30 * board, 4_000)
    share = math.gamma(6) / (math.sqrt(math.pi) * math.gamma(6.5))
    assert figures["swd/d1"].floor == pytest.approx(4 * 10 * share, rel=0.05)
    assert figures["swd/d1"].value == pytest.approx(4 * 30 * share, rel=0.05)
    assert figures["swd/d1"].value == pytest.approx(3 * figures["swd/d1"].floor, rel=1e-3)  # the same directions
    assert figures["swd/cA2"].floor == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("sizes", [(5, 9, 12), (9, 5, 12), (12, 9, 5)], ids=["train", "held-out", "samples"])
def test_swd_thins_all_sets_to_the_smallest(sizes):
    """Sets without spread: whatever is left out, the distances are those of the constants."""
    sets = (torch.full((size, 1, 4, 4), value) for size, value in zip(sizes, (50.0, 40.0, 10.0), strict=True))
    figures = swd(*sets, 4)
    assert figures["swd/cA2"].floor == pytest.approx(4 * 10, rel=1e-4)
    assert figures["swd/cA2"].value == pytest.approx(4 * 30, rel=1e-4)
    assert figures["swd"].count == 5


def test_real_images_are_rounded_to_8_bits_before_they_are_compared():
    held_out = steps_of_one(40)
    figures = swd(held_out + 0.4, held_out - 0.4, held_out, 16)
    assert {figure.value for figure in figures.values()} == {figure.floor for figure in figures.values()} == {0}


class Pixels(Extractor):
    """An extractor whose features are the pixels."""

    key = ("pixels",)

    def require(self, metric, space):
        pass

    def features(self, images, dataset):
        return images.flatten(1).double().numpy()


@pytest.fixture
def pixels(monkeypatch):
    monkeypatch.setattr("wavekit_core.metrics.feature_sets.extractor", lambda features, weights, seed: Pixels())


@pytest.mark.usefixtures("pixels")
@pytest.mark.parametrize(("count", "used"), [(2, 2), (7, 7), (20, 10), (33, 10)])
@pytest.mark.parametrize("seed", [0, 1])
def test_features_compare_equal_numbers_and_training_images_kept_from_judges(count, used, seed):
    train, held_out = random_images(50, 1, 2, 2, seed=1), random_images(20, 1, 2, 2, seed=2)
    samples = random_images(count, 1, 2, 2, seed=3)
    figures = measured(FrechetDistance("lenet-mnist", seed=seed), dataset_of(Part(train), Part(held_out)), samples)
    figure = figures["gfd[lenet-mnist]"]
    assert figure.count == used
    kept = train[for_floors(50)]
    assert len(kept) == 10

    def thinned(images):
        return images[subset(len(images), used, seed)].flatten(1).numpy()

    assert figure.value == pytest.approx(frechet_distance(thinned(samples), thinned(held_out)))
    assert figure.floor == pytest.approx(frechet_distance(thinned(kept), thinned(held_out)))


@pytest.mark.usefixtures("pixels")
def test_features_of_reconstructions_are_compared_with_their_originals():
    originals, train = random_images(30, 1, 2, 2), Part(random_images(150, 1, 2, 2, seed=1))
    dataset = dataset_of(train, Part(random_images(40, 1, 2, 2, seed=2)))
    metric = FrechetDistance("lenet-mnist", of="reconstructions")
    assert metric.reads == "reconstructions"
    (figure,) = measured(metric, dataset, originals=originals, reconstructions=originals - 0.5).values()
    assert figure.name == "rfd[lenet-mnist]"
    assert figure.value == pytest.approx(4 * 0.5**2, rel=1e-5)
    kept = train.images[for_floors(150)].flatten(1).numpy()
    assert figure.floor == pytest.approx(frechet_distance(kept, originals.flatten(1).numpy()))
    assert "against originals" in figure.unit
    assert measured(metric, dataset, samples=originals) == {}


@pytest.mark.usefixtures("pixels")
def test_one_sample_has_no_covariance():
    part = Part(random_images(20, 1, 2, 2))
    assert measured(FrechetDistance("lenet-mnist"), dataset_of(part, part), part.images[:1]) == {}


@pytest.mark.parametrize("length", [0, 1, 4, 5, 1497])
def test_judges_and_floors_share_the_training_images(length):
    floors, judges = for_floors(length), for_judges(length)
    assert len(floors) == length // 5
    assert sorted([*floors, *judges]) == list(range(length))
