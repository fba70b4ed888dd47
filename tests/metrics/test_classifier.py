from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wavekit_core.data.arrays import ArraySplit
from wavekit_core.data.digits import Digits
from wavekit_core.kinds.metric import Evidence
from wavekit_core.metrics.class_cnn import Judge
from wavekit_core.metrics.classifier import ClassAgreement
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
    assert (figures["fd[class-cnn]"].better, figures["fd[class-cnn]"].count) == ("lower", 300)
    assert figures["fd[class-cnn]"].value < 1.5 * figures["fd[class-cnn]"].floor


def test_wrong_classes_are_counted(metric, digits, real):
    images, labels = real
    wrong = labels.clone()
    wrong[:75] = (wrong[:75] + 1) % 10
    value = measured(metric, digits, images, wrong)["class-agreement"].value
    assert value == pytest.approx(0.8, abs=0.01)


def test_a_dropped_class_noise_blur_and_one_image_are_far_in_features(metric, digits, real):
    images, labels = real
    floor = measured(metric, digits, images, labels)["fd[class-cnn]"].floor
    noise = 0.3 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    worse = {
        "a class dropped": (images[labels != 3], labels[labels != 3]),
        "noise": ((images + noise).clamp(0, 1), labels),
        "blur": (torch.nn.functional.avg_pool2d(images, 5, stride=1, padding=2), labels),
        "one image": (images[:1].expand(len(images), -1, -1, -1), labels[:1].expand(len(images))),
    }
    for name, (samples, wanted) in worse.items():
        assert measured(metric, digits, samples, wanted)["fd[class-cnn]"].value > 1.5 * floor, name


def test_random_pictures_agree_by_chance_only(metric, digits):
    samples = torch.rand(200, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert measured(metric, digits, samples, torch.arange(200) % 10)["class-agreement"].value < 0.25


def test_no_labels_no_figures(metric, digits, real):
    assert measured(metric, digits, real[0], None) == {}
    assert measured(metric, digits, None, real[1]) == {}
    assert measured(metric, digits, real[0][:0], real[1][:0]) == {}
    nameless = SimpleNamespace(classes=(), held_out=digits.held_out, train=digits.train, space=digits.space)
    assert measured(metric, nameless, *real) == {}


def test_one_sample_has_an_agreement_but_no_covariance(metric, digits, real):
    assert list(measured(metric, digits, real[0][:1], real[1][:1])) == ["class-agreement"]


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
    dataset = colours(40, side)
    images = dataset.train.batch(range(40))
    assert Judge(dataset, 0).shrunk(images.data).shape[-1] == min(side, 32)
    first, again = (measured(ClassAgreement(), dataset, images.data, images.labels) for _ in range(2))
    assert first == again
    assert first["class-agreement"].value == 1
