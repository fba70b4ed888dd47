"""Every law of regularizers bites, and a right one keeps all of them."""

from __future__ import annotations

import re

import pytest
import torch

from tests.testing.toy_regularizers import BROKEN, Normal
from tests.testing.verdicts import applicable, violated
from wavekit_core.errors import RecipeError, SpaceError
from wavekit_core.kinds import Regularizer
from wavekit_core.spaces import Band, LatentSpace
from wavekit_core.testing import laws_of
from wavekit_core.testing.divergences import LAWS as DIVERGENCES
from wavekit_core.testing.known import StandardNormal
from wavekit_core.testing.regularizers import LAWS

LATENT = LatentSpace((Band("cA1", (2, 2, 2), "approx"), Band("cH1", (1, 2, 2), "detail")))


@pytest.mark.parametrize(("toy", "laws", "words"), BROKEN, ids=[toy.__name__ for toy, *_ in BROKEN])
def test_a_broken_regularizer_is_caught_by_its_law_alone(toy, laws, words):
    found = violated(toy, latents=[LATENT])
    assert set(found) == set(laws), found
    assert re.search(words, found[laws[0]]), found[laws[0]]


def test_every_law_has_a_counterexample():
    names = {law.__name__.replace("_", "-") for law in (*LAWS, *DIVERGENCES)}
    assert names == {laws[0] for _, laws, _ in BROKEN}
    assert {law.name for law in laws_of(Normal)} - names == {
        *("determinism", "state", "copies", "no-tensor-is-read", "recipe", "imports")
    }


def test_a_right_regularizer_keeps_every_law():
    assert violated(Normal, {}, {"weight": 0.5}) == {}
    assert applicable(Normal, latents=[LATENT]) == {law.name for law in laws_of(Normal)}
    assert violated(StandardNormal) == {}


def test_a_prior_whose_numbers_depend_on_each_other_is_not_estimated():
    assert "divergence" not in applicable(Echo, latents=[LatentSpace((Band("z", (4,), "code"),))])


class Echo(Normal):
    def draw(self, count):
        return {name: torch.randn(count, 1).expand(count, *shape) for name, shape in self.shapes.items()}


def test_a_regularizer_that_takes_none_of_the_kits_latents_needs_latents():
    with pytest.raises(RecipeError, match=r"Picky\(\) takes none of the latents of a check \(no band w; add one\)"):
        laws_of(Picky)
    assert violated(Picky, latents=[LatentSpace((Band("w", (4,), "code"),))]) == {}


class Picky(Normal):
    def require(self, space: LatentSpace) -> None:
        if "w" not in self.shapes:
            raise SpaceError(self, "no band w", "add one")


def test_a_regularizer_without_penalty_has_the_laws_of_any_component():
    names = applicable(Nothing)
    assert {"recipe", "no-tensor-is-read", "copies"} <= names
    assert not names & {"penalty-shape", "gradients", "divergence", "draws", "weight-outside"}


class Nothing(Regularizer):
    reads = object
