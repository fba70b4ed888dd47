"""Every law of transforms bites: a toy that breaks it is caught by it, and a right one by none."""

from __future__ import annotations

import re

import pytest

from tests.testing.toy_transforms import BROKEN, Doubled, Loud, Sized, WrongPlace
from tests.testing.verdicts import applicable, violated
from wavekit_core.errors import RecipeError
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.spaces import ImageSpace
from wavekit_core.testing import laws_of
from wavekit_core.wavelets import FilterBank, WaveletTransform

SIZES = [ImageSpace(2, 24, 6)]


@pytest.mark.parametrize(("toy", "laws", "words"), BROKEN, ids=[toy.__name__ for toy, *_ in BROKEN])
def test_a_broken_transform_is_caught_by_its_law_alone(toy, laws, words):
    found = violated(toy)
    assert set(found) == set(laws), found
    assert re.search(words, found[laws[0]]), found[laws[0]]
    assert found[laws[0]].startswith(f"{toy.__name__}() on images ")


def test_every_law_has_a_counterexample():
    made_for = {laws[0] for _, laws, _ in BROKEN}
    assert made_for | {"imports"} == {law.name for law in laws_of(Doubled)}


def test_a_right_transform_keeps_every_law():
    assert violated(Doubled) == {}
    assert applicable(Doubled, sources=SIZES) == {law.name for law in laws_of(Doubled)} - {"energy"}
    assert "energy" in applicable(Loud, sources=SIZES)


def test_a_wavelet_of_a_third_party_keeps_every_law():
    assert violated(Symlet, {"order": 4}, {"order": 2, "norm": "whiten"}) == {}


class Symlet(WaveletTransform):
    def __init__(self, order: int = 2, norm: str = "ortho"):
        super().__init__(FilterBank.from_pywt(f"sym{order}"), 1, "periodization", norm)  # type: ignore[arg-type]


def test_arguments_and_sources_are_asked_for_where_they_cannot_be_guessed():
    with pytest.raises(RecipeError, match=r"Sized needs size; .* \{'size': …\}"):
        laws_of(Sized)
    with pytest.raises(RecipeError, match=r"Sized\(size=2\) takes none of the spaces of a check \(images 3×16×16"):
        laws_of(Sized, {"size": 2})
    assert violated(Sized, {"size": 2}, {"size": 3, "taps": [1.5]}, sources=SIZES) == {}


def test_a_refusal_at_a_parameter_that_is_none_is_a_fault():
    found = violated(WrongPlace, {"size": 2}, sources=SIZES)
    assert set(found) == {"refusals"}
    assert "is refused at 'level', which is no parameter; there are: size, taps" in found["refusals"]


def test_a_source_may_be_any_space_that_has_vectors():
    pyramid = WaveletTransform(FilterBank.from_pywt("haar")).target(ImageSpace(1, 4, 4))
    assert isinstance(pyramid, PyramidSpace)
    found = violated(Doubled, sources=[pyramid])
    assert "takes images, and is given pyramid haar" in found["declared-space"]
