"""Floors and counts of the metrics, on data sets so small that the figures are known."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from wavekit_haar import Haar

from wavekit_core.kinds import Batch
from wavekit_core.kinds.metric import Evidence
from wavekit_core.metrics import classifier
from wavekit_core.metrics.classifier import ClassAgreement
from wavekit_core.metrics.frechet import frechet_distance
from wavekit_core.metrics.nearest import NearestTraining
from wavekit_core.metrics.real_images import subset
from wavekit_core.metrics.sliced_wasserstein import SlicedWasserstein
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)


class Part:
    """Images and labels in memory."""

    def __init__(self, images, labels=None):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def batch(self, indices):
        return Batch(self.images[indices], None if self.labels is None else self.labels[indices])


def dataset_of(train, held_out, classes=()):
    space = ImageSpace(*train.images.shape[1:])
    return SimpleNamespace(space=space, classes=classes, train=train, held_out=held_out)


def measured(metric, dataset, samples, labels=None):
    evidence = Evidence(dataset, dataset.held_out.batch([0]).data, None, samples, labels)
    return {figure.name: figure for figure in metric.measure(evidence)}


def random_images(count, *shape, seed=0):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


# the distance to a black image is the length of an image
@pytest.mark.parametrize("count", [1, 2, 5, 9, 14])
def test_the_floor_of_nearest_takes_as_many_held_out_images_as_there_are_samples(count):
    lengths = torch.arange(1.0, 10.0).square() / 100
    held_out = torch.zeros(9, 1, 2, 2)
    held_out[:, 0, 0, 0] = lengths
    samples = torch.full((count, 1, 2, 2), 0.35)
    figures = measured(NearestTraining(), dataset_of(Part(torch.zeros(3, 1, 2, 2)), Part(held_out)), samples)
    expected = float(np.median(lengths[subset(9, count, 0)]))
    assert figures["nearest"].floor == pytest.approx(expected)
    assert figures["nearest"].value == pytest.approx(0.7)  # four pixels of 0.35
    assert figures["nearest"].count == count
    assert figures["nearest-ratio"].value == pytest.approx(0.7 / expected)


def test_swd_of_shifted_copies_has_a_closed_form():
    """Brighter by s everywhere: one level-2 coefficient of a 4×4 image moves by 4s, the details do not move."""
    held_out = random_images(40, 1, 4, 4)
    dataset = dataset_of(Part(held_out + 0.05), Part(held_out))
    figures = measured(SlicedWasserstein(Haar(levels=2), projections=16), dataset, held_out - 0.2)
    assert figures["swd/cA2"].floor == pytest.approx(4 * 0.05, rel=1e-4)
    assert figures["swd/cA2"].value == pytest.approx(4 * 0.2, rel=1e-4)
    for name in ("swd/d2", "swd/d1"):
        assert figures[name].floor == pytest.approx(0, abs=1e-5)
        assert figures[name].value == pytest.approx(0, abs=1e-5)
    assert figures["swd"].floor == pytest.approx(4 * 0.05 / 3, rel=1e-3)
    assert figures["swd"].value == pytest.approx(4 * 0.2 / 3, rel=1e-3)
    assert {figure.count for figure in figures.values()} == {40}


def test_swd_of_a_shifted_pattern_has_a_closed_form():
    """A chequerboard of ±a moves each of four cD1 by 2a, a vector of length 4a among d = 12 numbers; the mean of |s·u| over
    unit vectors u is |s| Γ(d/2) / (√π Γ((d+1)/2))."""
    held_out = random_images(40, 1, 4, 4)
    board = 1 - 2 * ((torch.arange(4)[:, None] + torch.arange(4)) % 2)
    dataset = dataset_of(Part(held_out + 0.1 * board), Part(held_out))
    figures = measured(SlicedWasserstein(Haar(levels=2), projections=4_000), dataset, held_out - 0.3 * board)
    share = math.gamma(6) / (math.sqrt(math.pi) * math.gamma(6.5))
    assert figures["swd/d1"].floor == pytest.approx(4 * 0.1 * share, rel=0.05)
    assert figures["swd/d1"].value == pytest.approx(4 * 0.3 * share, rel=0.05)
    assert figures["swd/d1"].value == pytest.approx(3 * figures["swd/d1"].floor, rel=1e-3)  # the same directions
    assert figures["swd/cA2"].floor == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("sizes", [(5, 9, 12), (9, 5, 12), (12, 9, 5)], ids=["train", "held-out", "samples"])
def test_swd_thins_all_sets_to_the_smallest(sizes):
    """Sets without spread: whatever is left out, the distances are those of the constants."""
    train, held_out, samples = (
        torch.full((size, 1, 4, 4), value) for size, value in zip(sizes, (0.5, 0.4, 0.1), strict=True)
    )
    figure = measured(
        SlicedWasserstein(Haar(levels=2), projections=4), dataset_of(Part(train), Part(held_out)), samples
    )
    assert figure["swd/cA2"].floor == pytest.approx(4 * 0.1, rel=1e-4)
    assert figure["swd/cA2"].value == pytest.approx(4 * 0.3, rel=1e-4)
    assert figure["swd"].count == 5


class PixelJudge:
    """A judge whose features are the pixels, and to whom every image is of class 0."""

    def __init__(self, dataset, seed):
        self.training_images = dataset.train.images

    def prepared(self, split, chosen):
        return split.images[chosen], split.labels[chosen]

    def shrunk(self, images):
        return images

    def features(self, images):
        return images.flatten(1)

    def classes(self, features):
        return torch.zeros(len(features), dtype=torch.long)


@pytest.mark.parametrize("count", [2, 7, 20, 33])
@pytest.mark.parametrize("seed", [0, 1])
def test_fd_compares_as_many_samples_as_held_out_images(monkeypatch, count, seed):
    monkeypatch.setattr(classifier, "Judge", PixelJudge)
    train, held_out = random_images(50, 1, 2, 2, seed=1), random_images(20, 1, 2, 2, seed=2)
    samples = 0.5 * random_images(count, 1, 2, 2, seed=3)
    dataset = dataset_of(
        Part(train, torch.zeros(50, dtype=torch.long)), Part(held_out, torch.arange(20) % 4), tuple("abcd")
    )
    figures = measured(ClassAgreement(seed), dataset, samples, torch.arange(count) % 2)
    used = min(count, 20)
    figure = figures["fd[class-cnn]"]
    assert figure.count == used
    for value, images in ((figure.value, samples), (figure.floor, held_out)):
        chosen = images[subset(len(images), used, seed)]
        assert len(chosen) == used
        assert value == pytest.approx(frechet_distance(chosen.flatten(1).numpy(), train.flatten(1).numpy()))
    assert figures["class-agreement"].count == count
    assert figures["class-agreement"].value == pytest.approx((count + 1) // 2 / count)
    assert figures["class-agreement"].floor == pytest.approx(0.25)


def test_fd_of_shifted_copies_is_the_squared_shift(monkeypatch):
    monkeypatch.setattr(classifier, "Judge", PixelJudge)
    train = random_images(30, 1, 2, 2)
    labels = torch.zeros(30, dtype=torch.long)
    dataset = dataset_of(Part(train, labels), Part(train + 0.1, labels), ("a",))
    figure = measured(ClassAgreement(), dataset, train - 0.5, labels)["fd[class-cnn]"]
    assert figure.floor == pytest.approx(4 * 0.1**2, rel=1e-3)
    assert figure.value == pytest.approx(4 * 0.5**2, rel=1e-3)


def test_fd_of_one_sample_is_left_out(monkeypatch):
    monkeypatch.setattr(classifier, "Judge", PixelJudge)
    part = Part(random_images(6, 1, 2, 2), torch.zeros(6, dtype=torch.long))
    figures = measured(ClassAgreement(), dataset_of(part, part, ("a",)), part.images[:1], part.labels[:1])
    assert list(figures) == ["class-agreement"]
