"""The kit around the laws: what is imported, how they are named and run, and what is said of a component that fails."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest
import torch
from wavekit_haar import Haar

import wavekit_core.testing as kit
from tests.testing.toy_transforms import Doubled, Fading, Sized
from wavekit_core.kinds import KINDS, Dataset
from wavekit_core.registry import installed
from wavekit_core.spaces import ImageSpace
from wavekit_core.testing import Law, NotApplicable, laws_of, transform_suite
from wavekit_core.testing.cases import Case
from wavekit_core.testing.laws import law

PARTS = {  # what generators made of components cannot do without
    "pipeline": {"generator": {"use": "gmm"}},
    "cascade": {"coarse": {"use": "gmm"}, "detail": {"use": "sl"}},
}

test_laws_as_an_author_writes_them = transform_suite(Doubled)


def test_the_suite_is_one_test_a_law_with_a_readable_name():
    (mark,) = transform_suite(Sized, {"size": 1, "taps": [1.0, 2.0]}, sources=[ImageSpace(1, 24, 5)]).pytestmark
    assert mark.args[0] == "law"
    assert "reconstruction-size=1,taps=[1.0,2.0]_on_images_1x24x5_in_[0,1]" in mark.kwargs["ids"]
    assert "imports" in mark.kwargs["ids"]
    assert len(set(mark.kwargs["ids"])) == len(mark.args[1])


def test_a_law_that_does_not_apply_is_skipped_and_one_that_is_broken_fails():
    test = transform_suite(Fading)
    by_name = {one.name: one for one in laws_of(Fading)}
    with pytest.raises(pytest.skip.Exception, match="it says that it is not lossless"):
        test(by_name["reconstruction"])
    with pytest.raises(AssertionError, match=r"Fading\(\) on images 1×13×10 .*: forward\(inverse\(y\)\) is off by"):
        test(by_name["projection"])
    test(by_name["linearity"])


def test_a_suite_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="Haar is a transform, and no sampler"):
        kit.sampler_suite(Haar)  # type: ignore[type-abstract, arg-type]


@pytest.mark.parametrize("kind", ["transform", "regularizer", "generator", "sampler"])
def test_a_law_is_one_sentence_under_a_name_and_the_table_has_it(kind):
    for entry in installed().all(kind):
        for one in laws_of(installed().load(entry), PARTS.get(entry.name, {})):
            assert isinstance(one, Law)
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", one.name)
            assert re.fullmatch(r"[^\n]{20,}\.", one.statement), one.statement
            assert re.search(rf"^{one.name} ", kit.__doc__, re.MULTILINE), one.name


def test_every_row_of_the_table_is_a_law():
    from wavekit_core.testing import (
        components,
        divergences,
        generators,
        linear,
        maps,
        objectives,
        regularizers,
        samplers,
        tokenizers,
    )

    rooms = (components, divergences, generators, linear, maps, objectives, regularizers, samplers, tokenizers)
    checks = [check for room in rooms for check in (*room.LAWS, *getattr(room, "NUMBERS", ()))]
    rows = re.findall(r"^([a-z][a-z-]+)  +\S", kit.__doc__, re.MULTILINE)
    assert sorted(set(rows)) == sorted({check.__name__.replace("_", "-") for check in checks})


def test_kinds_without_laws_of_their_own_have_those_of_any_component():
    assert {one.name for one in laws_of(Dataset)} == {"recipe", "imports"}
    assert {one.name for one in laws_of(installed().load(installed().find("metric", "mse")))} == {"recipe", "imports"}
    assert "tracker" not in KINDS


def drawn(case: Case) -> str:
    """It draws a number."""
    return str(torch.rand(1).item())


def impossible(case: Case) -> None:
    """It is never so."""
    raise NotApplicable("no")


def failing(case: Case) -> None:
    """It is so."""
    raise KeyError("colour")


def test_a_check_has_random_numbers_of_its_own():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    one = law(drawn, Case(Doubled, {}))
    first = torch.rand(1)
    assert one.check() == one.check()
    assert torch.equal(torch.cat([first, torch.rand(1)]), expected)
    assert (one.name, one.statement, one.case) == ("drawn", "It draws a number.", "")


def test_whatever_a_component_raises_becomes_a_sentence():
    with pytest.raises(NotApplicable, match="no"):
        law(impossible, Case(Doubled, {})).check()
    message = r"Sized\(size=3\) on images 1×2×2 in \[0, 1\]: KeyError is raised: 'colour', where failing is checked"
    with pytest.raises(AssertionError, match=message) as caught:
        law(failing, Case(Sized, {"size": 3}, ImageSpace(1, 2, 2))).check()
    assert isinstance(caught.value.__cause__, KeyError)


def test_the_laws_need_no_pytest():
    code = "import sys, wavekit_core.testing as t; from wavekit_haar import Haar; t.laws_of(Haar); print('pytest' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


HERE = "import sys, torch; 'pytest' in sys.modules"  # and not in the process that the law starts
SOURCE = """
{line}
from wavekit_core.kinds import Transform

class Late(Transform):
    def target(self, source):
        return source

    def forward(self, x):
        return x

    def inverse(self, y):
        return y
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "import matplotlib, wavekit_bior, wavekit_haar; from wavekit_core import session",
            r"imports [^;]*matplotlib, wavekit_bior, [^;]*wavekit_core.session[^;]*; import them in the function that needs it",
        ),
        (
            f"{HERE} or (torch.manual_seed(0), torch.set_num_threads(3))",
            "changes torch's random numbers, torch's threads; a module that is imported does not",
        ),
        (f"{HERE} or exit('no')", "in a new process fails: no"),
    ],
)
def test_imports(line, words, tmp_path, monkeypatch):
    """Importing wavekit_haar is allowed here."""
    name = f"late_{abs(hash(line)) % 10**8}"
    (tmp_path / f"{name}.py").write_text(SOURCE.format(line=line))
    monkeypatch.syspath_prepend(str(tmp_path))
    laws = {one.name: one for one in laws_of(importlib.import_module(name).Late, imports=["wavekit_haar"])}
    with pytest.raises(AssertionError, match=words) as caught:
        laws["imports"].check()
    assert "wavekit_haar" not in str(caught.value)


def test_a_component_of_no_module_has_no_imports():
    namespace: dict = {"__name__": "nowhere_at_all"}
    exec(SOURCE.format(line=""), namespace)
    (imports,) = [one for one in laws_of(namespace["Late"]) if one.name == "imports"]
    with pytest.raises(NotApplicable, match="nowhere_at_all cannot be imported in a new process"):
        imports.check()
