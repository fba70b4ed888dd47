from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wavekit_core.data.arrays import ArraySplit
from wavekit_core.data.digits import Digits
from wavekit_core.kinds.metric import Evidence
from wavekit_core.metrics.class_cnn import judge_of
from wavekit_core.metrics.classifier import ClassAgreement
from wavekit_core.metrics.frechet import FrechetDistance
from wavekit_core.metrics.real_images import for_floors
from wavekit_core.spaces import ImageSpace


@pytest.fixture(scope="module")
def digits():
    return Digits()


@pytest.fixture(scope="module")
def metric():
    return ClassAgreement()  # shared: it trains once


@pytest.fixture(scope="module")
def real(digits):
    """Images and labels of the training part, as a perfect model would give them."""
    batch = digits.train.batch(range(0, 1497, 4))
    return batch.data, batch.labels


def measured(metric, dataset, samples, labels):
    figures = metric.measure(Evidence(dataset, dataset.held_out.batch([0]).data, None, samples, labels))
    return {figure.name: figure for figure in figures}


def test_the_judge_knows_the_digits_and_leaves_the_world_as_it_was(metric, digits, real):
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with torch.inference_mode():
        figures = measured(metric, digits, *real)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert figures["class-agreement"].floor >= 0.99
    assert figures["class-agreement"].value >= 0.99
    assert (figures["class-agreement"].better, figures["class-agreement"].count) == ("higher", 375)
    assert 0.9 <= figures["class-agreement/worst"].floor <= figures["class-agreement"].floor


def test_wrong_classes_are_counted(metric, digits, real):
    images, labels = real
    wrong = labels.clone()
    wrong[:75] = (wrong[:75] + 1) % 10
    value = measured(metric, digits, images, wrong)["class-agreement"].value
    assert value == pytest.approx(0.8, abs=0.01)


def test_the_worst_class_is_the_one_with_the_smallest_share(metric, digits, real):
    images, labels = real
    wrong = torch.where(labels == 4, 5, labels)  # half of what is asked for as 5 is a 4
    fours, fives = int((labels == 4).sum()), int((labels == 5).sum())
    value = measured(metric, digits, images, wrong)["class-agreement/worst"].value
    assert value == pytest.approx(fives / (fours + fives), abs=0.03)


def test_random_pictures_agree_by_chance_only(metric, digits):
    samples = torch.rand(200, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert measured(metric, digits, samples, torch.arange(200) % 10)["class-agreement"].value < 0.25


def test_no_labels_no_figures(metric, digits, real):
    assert measured(metric, digits, real[0], None) == {}
    assert measured(metric, digits, None, real[1]) == {}
    assert measured(metric, digits, real[0][:0], real[1][:0]) == {}
    nameless = SimpleNamespace(classes=(), held_out=digits.held_out, train=digits.train, space=digits.space)
    assert measured(metric, nameless, *real) == {}


def test_one_sample_has_an_agreement(metric, digits, real):
    figures = measured(metric, digits, real[0][:1], real[1][:1])
    assert list(figures) == ["class-agreement", "class-agreement/worst"]
    assert figures["class-agreement"].value == figures["class-agreement/worst"].value == 1


def test_the_judge_is_trained_once_for_a_data_set_and_a_seed_and_not_on_the_images_for_floors(digits, monkeypatch):
    seen = []
    monkeypatch.setattr("wavekit_core.metrics.class_cnn._train", lambda net, images, *rest: seen.append(len(images)))
    dataset = SimpleNamespace(**{k: getattr(digits, k) for k in ("train", "held_out", "space", "classes")})
    images = digits.train.batch(range(10))
    assert measured(ClassAgreement(), dataset, images.data, images.labels)
    assert [*measured(FrechetDistance("class-cnn"), dataset, images.data, None)] == ["gfd[class-cnn]"]
    assert seen == [1497 - len(for_floors(1497))]
    assert judge_of(dataset, 0) is judge_of(dataset, 0) is not judge_of(dataset, 1)
    assert len(seen) == 2
    dataset.classes = ()
    assert measured(FrechetDistance("class-cnn"), dataset, images.data, None) == {}


def colours(count, side):
    """A data set of plain red and plain blue pictures with noise, in [-1, 1]."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = rng.integers(0, 100, (count, 3, side, side)).astype(np.uint8)
    images[np.arange(count), 2 * labels] += 120
    split = ArraySplit(images, labels, lambda pixels: pixels * 2 - 1)
    return SimpleNamespace(classes=("red", "blue"), train=split, held_out=split, space=ImageSpace(3, side, side, -1, 1))


@pytest.mark.parametrize("side", [4, 40])
def test_other_sizes_ranges_and_repeatability(side, monkeypatch):
    monkeypatch.setattr("wavekit_core.metrics.class_cnn.STEPS", 40)
    dataset, same = colours(40, side), colours(40, side)
    images = dataset.train.batch(range(40))
    first, again = (measured(ClassAgreement(), data, images.data, images.labels) for data in (same, dataset))
    assert judge_of(dataset, 0).shrunk(images.data).shape[-1] == min(side, 32)
    assert first == again
    assert first["class-agreement"].value == 1
