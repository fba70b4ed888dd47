"""Every law of generators bites, and right ones keep all of them."""

from __future__ import annotations

import re

import pytest
import torch

from tests.testing import toy_denoisers, toy_generators
from tests.testing.toy_denoisers import Slopes, Undrawn, Wiener
from tests.testing.toy_generators import BigImages, Fitted, Linear, Parts, Vector
from tests.testing.verdicts import applicable, violated
from wavekit_core.errors import RecipeError
from wavekit_core.kinds import Generator, Loss, Objective
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.spaces import ImageSpace, LatentSpace, TokenSpace
from wavekit_core.testing import laws_of
from wavekit_core.testing.generators import LAWS
from wavekit_core.testing.objectives import LAWS as OBJECTIVES

BROKEN = [*toy_generators.BROKEN, *toy_denoisers.BROKEN]


@pytest.mark.parametrize(("toy", "laws", "words"), BROKEN, ids=[toy.__name__ for toy, *_ in BROKEN])
def test_a_broken_generator_is_caught_by_its_law_alone(toy, laws, words):
    found = violated(toy)
    assert set(found) == set(laws), found
    assert re.search(words, found[laws[0]]), found[laws[0]]


def test_every_law_has_a_counterexample():
    names = {law.__name__.replace("_", "-") for law in (*LAWS, *OBJECTIVES)}
    assert names == {laws[0] for _, laws, _ in BROKEN}
    assert {law.name for law in laws_of(Linear)} - names == {
        *("determinism", "state", "copies", "no-tensor-is-read", "recipe", "imports")
    }


def test_right_generators_keep_every_law():
    assert violated(Linear) == {}
    assert applicable(Linear) == {law.name for law in laws_of(Linear)} - {"denoising", "details"}
    assert violated(Linear, spaces=[ImageSpace(2, 6, 5, low=-1.0)]) == {}
    assert violated(Parts) == {}


def test_right_denoisers_and_detail_generators_keep_every_law():
    for right, own in ((Wiener, {"denoising"}), (Slopes, {"details"}), (Undrawn, set())):
        assert violated(right) == {}
        assert applicable(right) & {"denoising", "details"} == own


def test_a_term_is_one_number():
    with pytest.raises(AssertionError, match=r"error of 'elbo' has the shape \(2,\); one number is expected"):
        next(law for law in laws_of(Vector) if law.name == "losses").check()


def test_what_trains_nothing_has_no_laws_of_training():
    assert violated(Fitted) == {}
    trains = {"overfits-one-batch", "resumes-exactly", "every-parameter-moves", "losses"}
    assert not applicable(Fitted) & (trains | {"reconstructions", "likelihood", "latent"})


def test_the_space_is_the_first_that_the_generator_takes():
    assert {law.case for law in laws_of(BigImages)} == {"images 1×16×16 in [0, 1]", ""}
    assert violated(BigImages) == {}


class OfPyramids(Generator):
    """Right: the mean pyramid, learned by gradients."""

    def __init__(self, space: PyramidSpace | TokenSpace):
        super().__init__()
        self.space = space
        self.mean = torch.nn.Parameter(torch.zeros(space.numbers))

    def objectives(self):
        def loss(batch):
            assert self.space.holds(batch.data, len(batch.data))
            flat = batch.data if isinstance(self.space, TokenSpace) else self.space.flatten(batch.data)
            return Loss((flat - self.mean).square().mean())

        return [Objective("fit", [{"params": [self.mean]}], loss, lambda groups: torch.optim.SGD(groups, lr=5.0))]

    def sample(self, count, labels=None):
        drawn = self.mean + torch.randn(count, self.space.numbers)
        if isinstance(self.space, TokenSpace):
            return drawn.abs().long().clamp(max=self.space.vocabulary - 1)
        return self.space.unflatten(drawn)


@pytest.mark.parametrize("space", [None, TokenSpace(9, 7)])
def test_generators_of_pyramids_and_of_tokens_train_through_the_same_loop(space):
    assert violated(OfPyramids, spaces=[space] if space else None) == {}


class OfLatents(Generator):
    def __init__(self, space: LatentSpace):
        super().__init__()


def test_a_generator_of_another_space_needs_spaces():
    with pytest.raises(RecipeError, match=r"OfLatents\(\) takes none of the spaces of a check \(of another class\)"):
        laws_of(OfLatents)
