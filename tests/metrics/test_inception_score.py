import math
from types import SimpleNamespace

import pytest
import torch
from scipy.stats import entropy

from tests.metrics.sets import measured
from wavekit_core.data.digits import Digits
from wavekit_core.metrics.class_cnn import judge_of
from wavekit_core.metrics.inception_score import InceptionScore, inception_score
from wavekit_core.metrics.real_images import for_floors, subset


def random_probabilities(count, classes):
    logits = torch.randn(count, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return (2 * logits).softmax(1)


@pytest.mark.parametrize("classes", [1, 2, 10])
def test_uniform_probabilities_score_one(classes):
    assert inception_score(torch.full((7, classes), 1 / classes)) == pytest.approx(1)


@pytest.mark.parametrize("classes", [1, 2, 10])
@pytest.mark.parametrize("each", [1, 3])
def test_sure_images_evenly_over_the_classes_score_their_number(classes, each):
    assert inception_score(torch.eye(classes).repeat(each, 1)) == pytest.approx(classes)


def test_sure_images_of_some_classes_score_the_exponential_of_their_entropy():
    one_hot = torch.eye(10)[[2, 2, 2, 5]]
    expected = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert inception_score(one_hot) == pytest.approx(expected)
    assert inception_score(one_hot[:3]) == pytest.approx(1)


def test_it_agrees_with_scipys_divergences_in_any_order():
    probabilities = random_probabilities(200, 6)
    divergences = entropy(probabilities.numpy(), probabilities.mean(0).numpy(), axis=1)
    expected = math.exp(divergences.mean())
    assert 1.5 < expected < 6
    assert inception_score(probabilities) == pytest.approx(expected, rel=1e-12)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    assert inception_score(probabilities[order]) == pytest.approx(expected, rel=1e-12)


def test_it_is_summed_in_float64():
    """Half of the images lean to one class by 2 δ, half to the other: the score is 1 + 2 δ², which float32 rounds away."""
    lean = 2.0**-13
    halves = torch.tensor([[0.5 + lean, 0.5 - lean], [0.5 - lean, 0.5 + lean]])
    assert inception_score(halves) - 1 == pytest.approx(2 * lean**2, rel=1e-4)


def test_no_image_has_no_score():
    with pytest.raises(ValueError, match="needs one"):
        inception_score(torch.zeros(0, 10))


@pytest.fixture(scope="module")
def digits():
    return Digits()  # shared: the judge is trained once


@pytest.fixture(scope="module")
def unseen(digits):
    """Images of the training part that the judge was not trained on, and their labels."""
    batch = digits.train.batch(for_floors(len(digits.train)).tolist())
    return batch.data, batch.labels


def figure_of(digits, samples):
    return measured(InceptionScore(), digits, samples)["is[class-cnn]"]


def taught(classes):
    """What the judge is taught to say of an image of each class: labels smoothed by .05, .955 and nine times .005."""
    return torch.full((classes, 10), 0.005) + 0.95 * torch.eye(10)[:classes]


def test_real_digits_score_what_a_judge_that_is_sure_up_to_its_smoothing_gives(digits, unseen):
    most = inception_score(taught(10))
    assert most == pytest.approx(7.54, abs=0.01)
    figure = figure_of(digits, unseen[0])
    assert (figure.unit, figure.better, figure.count) == ("of 10 classes", "higher", len(unseen[0]))
    assert figure.value == pytest.approx(most, rel=0.08)
    assert figure.floor == pytest.approx(figure.value, rel=0.05)


def test_noise_and_few_classes_score_little(digits, unseen):
    noise = torch.rand(200, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert figure_of(digits, noise).value < 1.5
    images, labels = unseen
    assert figure_of(digits, images[labels == 0]).value < 1.5
    assert figure_of(digits, images[labels < 5]).value == pytest.approx(inception_score(taught(5)), rel=0.08)


def test_one_sure_image_a_class_repeated_scores_above_all_real_ones(digits, unseen):
    images, labels = unseen
    judge = judge_of(digits, 0)
    sure = judge.probabilities(judge.features(judge.shrunk(images)))
    best = torch.stack([images[torch.where(labels == label, sure[:, label], 0).argmax()] for label in range(10)])
    figure = figure_of(digits, best.repeat(30, 1, 1, 1))
    assert figure.value > figure.floor


def test_probabilities_are_those_of_the_most_likely_classes(digits, unseen):
    judge = judge_of(digits, 0)
    features = judge.features(judge.shrunk(unseen[0]))
    probabilities = judge.probabilities(features)
    assert (probabilities.shape, probabilities.dtype) == ((len(features), 10), torch.float64)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(features), dtype=torch.float64))
    assert torch.equal(probabilities.argmax(1), judge.classes(features))


@pytest.mark.parametrize("count", [1, 40])
def test_the_floor_is_of_as_many_held_out_images_as_there_are_samples(digits, unseen, count):
    chosen = digits.held_out.batch(subset(len(digits.held_out), count, 0).tolist()).data
    figure = figure_of(digits, unseen[0][:count])
    assert figure.floor == pytest.approx(figure_of(digits, chosen).value)
    assert figure.count == count


def test_no_samples_or_no_classes_no_figure(digits, unseen):
    images = unseen[0]
    assert measured(InceptionScore(), digits, None) == {}
    assert measured(InceptionScore(), digits, images[:0]) == {}
    parts = {name: getattr(digits, name) for name in ("train", "held_out", "space")}
    assert measured(InceptionScore(), SimpleNamespace(classes=(), **parts), images) == {}
    assert (InceptionScore.reads, InceptionScore.needs_classes) == ("samples", True)
