"""Every law of samplers bites, and right ones keep all of them; the known model is what it is said to be."""

from __future__ import annotations

import re

import pytest
import torch

from tests.testing.toy_samplers import BROKEN, Normal
from tests.testing.verdicts import applicable, violated
from wavekit_core.errors import RecipeError
from wavekit_core.kinds import Autoencoder, Generator, Sampler
from wavekit_core.spaces import ImageSpace
from wavekit_core.testing import KnownModel, laws_of
from wavekit_core.testing.known import linear_gaussian
from wavekit_core.testing.samplers import LAWS


@pytest.mark.parametrize(("toy", "laws", "words"), BROKEN, ids=[toy.__name__ for toy, *_ in BROKEN])
def test_a_broken_sampler_is_caught_by_its_law_alone(toy, laws, words):
    found = violated(toy)
    assert set(found) == set(laws), found
    assert re.search(words, found[laws[0]]), found[laws[0]]


def test_every_law_has_a_counterexample():
    names = {law.__name__.replace("_", "-") for law in LAWS}
    assert names == {laws[0] for _, laws, _ in BROKEN}
    assert {law.name for law in laws_of(Normal)} - names == {
        *("determinism", "state", "copies", "no-tensor-is-read", "recipe", "imports")
    }


class Rebuilding(Sampler):
    """Right, and draws nothing new."""

    draws_from = Autoencoder


def test_right_samplers_keep_every_law():
    assert violated(Normal) == {}
    assert applicable(Normal) == {law.name for law in laws_of(Normal)}
    assert violated(Rebuilding) == {}
    assert not applicable(Rebuilding) & {"mean-and-covariance", "classes", "samples", "seeds", "fit-twice"}


class Blob(Generator):
    """Normal numbers of a mean and a scale, that a sampler reads."""

    def __init__(self, space: ImageSpace):
        super().__init__()
        self.space = space


class OfBlobs(Sampler):
    draws_from = Blob

    def sample(self, model, count, labels=None):
        return 2 + 3 * torch.randn(count, *model.space.shape)


def test_a_sampler_of_another_class_of_models_brings_its_own():
    with pytest.raises(RecipeError, match=r"OfBlobs draws from Blobs, and the kit .* give model=KnownModel"):
        laws_of(OfBlobs)
    blob = Blob(ImageSpace(1, 1, 3, low=-100.0, high=100.0))

    def known(deviation: float) -> KnownModel:
        return KnownModel(blob, torch.full((3,), 2.0), deviation**2 * torch.eye(3), lambda labelled: iter(()), 0)

    assert violated(OfBlobs, model=known(3.0)) == {}
    assert set(violated(OfBlobs, model=known(3.4))) == {"mean-and-covariance"}


def test_the_known_model_has_the_posterior_of_bayes_rule():
    """Against the joint normal distribution of z and x, conditioned in closed form."""
    known = linear_gaussian()
    model = known.model
    n, w = model.space.numbers, model.weight.double()
    data = w @ w.T + model.sigma**2 * torch.eye(n, dtype=torch.float64)
    gain = w.T @ torch.linalg.inv(data)
    x = torch.randn(5, n)
    state = model.encode(model.space.unflatten(x))
    torch.testing.assert_close(state.mean["z"].double(), (x - model.mu).double() @ gain.T, rtol=0, atol=1e-4)
    covariance = torch.eye(n, dtype=torch.float64) - gain @ w
    torch.testing.assert_close(torch.diag(state.scale["z"][0].double() ** 2), covariance, rtol=0, atol=1e-5)


def test_the_data_of_the_known_model_are_of_the_mean_and_covariance_that_it_says():
    known = linear_gaussian()
    x = torch.cat([known.space.flatten(batch.data) for batch in known.batches(False)])
    assert len(x) == known.count
    expected = known.covariance + known.model.sigma**2 * torch.eye(4)
    torch.testing.assert_close(torch.cov(x.T), expected, rtol=0.1, atol=0.15)
    torch.testing.assert_close(x.mean(0), known.mean, rtol=0, atol=0.15)
    labelled = list(known.batches(True))
    means = torch.cat([known.model.encode(batch.data).mean["z"] for batch in labelled])
    labels = torch.cat([batch.labels for batch in labelled])
    for label, mean in enumerate(known.class_means):
        decoded = known.model.decode({"z": means[labels == label].mean(0, keepdim=True)})
        torch.testing.assert_close(known.space.flatten(decoded)[0], mean, rtol=0, atol=0.15)


class OfTheFirst(Normal):
    """Right, and fits to 100 images however many there are."""

    def fit(self, model, batches):
        super().fit(model, lambda: [type(b)(b.data[:100], b.labels) for b in list(batches())[:1]])


def test_a_sampler_that_fits_to_fewer_images_needs_a_model_of_as_many():
    assert "mean-and-covariance" in violated(OfTheFirst)
    assert sum(len(batch.data) for batch in linear_gaussian(620).batches(False)) == 620
    assert "mean-and-covariance" not in violated(OfTheFirst, model=linear_gaussian(100))
