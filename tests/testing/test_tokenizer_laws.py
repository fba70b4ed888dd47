"""Every law of tokenizers bites, and a right tokenizer keeps all of them."""

from __future__ import annotations

import re

import pytest
import torch

from tests.testing.toy_tokenizers import BROKEN, BitPlanes
from tests.testing.toy_transforms import Doubled
from tests.testing.verdicts import applicable, violated
from wavekit_core.spaces import ImageSpace, TokenSpace
from wavekit_core.testing import laws_of, tokenizer_suite
from wavekit_core.testing.tokenizers import LAWS


@pytest.mark.parametrize(("toy", "laws", "words"), BROKEN, ids=[toy.__name__ for toy, *_ in BROKEN])
def test_a_broken_tokenizer_is_caught_by_its_law_alone(toy, laws, words):
    found = violated(toy)
    assert set(found) == set(laws), found
    assert re.search(words, found[laws[0]]), found[laws[0]]


def test_every_law_of_tokens_has_a_counterexample():
    assert {law.__name__ for law in LAWS} | {"projection", "batches"} == {laws[0] for _, laws, _ in BROKEN}


def test_a_right_tokenizer_keeps_every_law():
    assert violated(BitPlanes) == {}
    names = {law.name for law in laws_of(BitPlanes)}
    assert applicable(BitPlanes, sources=[ImageSpace(1, 4, 6)]) == names - {"reconstruction"}
    assert not names & {"linearity", "adjointness", "gradients"}


def test_a_transform_that_gives_no_tokens_is_no_tokenizer():
    found = violated(Doubled, tokens=True)
    assert "it gives images 1×13×10 in [-2, 2], and no TokenSpace" in found["tokens"]
    assert tokenizer_suite(BitPlanes)


def test_the_space_of_tokens_looks_at_form_and_not_at_values():
    space = TokenSpace(vocabulary=16, length=5)
    assert str(space) == "5 tokens of a vocabulary of 16"
    assert space.numbers == 5
    assert space.holds(space.zeros(3), 3)
    assert space.holds(torch.full((3, 5), 99), 3)
    assert not space.holds(space.zeros(3).int(), 3)
    assert not space.holds(space.zeros(3)[:, :4], 3)
    assert not space.holds([[0] * 5], 1)
    assert space.zeros(2, "meta").is_meta
    with pytest.raises(TypeError, match="no vectors"):
        space.flatten(space.zeros(1))
