"""The signature is the schema: a call from Python and a recipe's node are checked alike."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from wavekit_core.component import Component, Node, Slot, signature_of, words
from wavekit_core.kinds import Generator, Metric, Transform
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.recipe.faults import Fault
from wavekit_core.recipe.nodes import build, check_arguments
from wavekit_core.recipe.source import parse
from wavekit_core.registry import node
from wavekit_core.spaces import ImageSpace, LatentSpace

SPACE = ImageSpace(1, 8, 8)


class Sized(Metric):
    """A metric, so that it can be a child."""

    reads = "samples"

    def __init__(self, size: int = 1):
        self.size = size

    def measure(self, evidence):
        return []


class Everything(Component):
    """One parameter of every sort."""

    def __init__(
        self,
        count: Annotated[int, Field(ge=1)] = 3,
        rate: float = 0.5,
        word: Literal["one", "two"] = "one",
        flag: bool = False,
        sizes: tuple[int, ...] = (1, 2),
        pair: tuple[int, int] | None = None,
        weights: Sequence[float] = (),
        transform: Transform = node("haar", levels=2),
        control: Metric | None = None,
        metrics: Sequence[Metric] = (),
        maybe: Sequence[Metric] | None = None,
        net: Slot[Generator] | None = None,
        nets: Sequence[Slot[Generator]] = (),
    ):
        self.given = {name: value for name, value in locals().items() if name != "self"}


class Net(Generator):
    """A generator with a port."""

    def __init__(self, space: ImageSpace | LatentSpace, width: int = 4):
        super().__init__()
        self.space, self.width = space, width


class Inherits(Net):
    """No constructor of its own."""


class Narrow(Net):
    """A constructor of its own, which calls its parent's with what the parent's own schema would take."""

    def __init__(self, space: ImageSpace, half: Annotated[int, Field(le=4)] = 2):
        super().__init__(space, 2 * half)


def from_yaml(text: str) -> tuple[Everything | None, list[Fault]]:
    faults: list[Fault] = []
    checked = check_arguments(Everything, parse(text, "r.yaml"), faults)
    return (None if faults else build(checked)), faults


VALUES = [
    ("count", "true", True),
    ("count", '"3"', "3"),
    ("count", "3.0", 3.0),
    ("count", "0", 0),
    ("count", "null", None),
    ("rate", ".nan", float("nan")),
    ("rate", ".inf", float("inf")),
    ("rate", "true", True),
    ("rate", '"0.5"', "0.5"),
    ("word", "three", "three"),
    ("flag", "1", 1),
    ("flag", '"true"', "true"),
    ("sizes", "[1, true]", (1, True)),
    ("pair", "[1, 2, 3]", (1, 2, 3)),
    ("weights", "[1.0, .nan]", [1.0, float("nan")]),
]


@pytest.mark.parametrize(("name", "text", "value"), VALUES, ids=[f"{n}-{t}" for n, t, _ in VALUES])
def test_what_a_recipe_may_not_say_python_may_not_either(name, text, value):
    _, faults = from_yaml(f"{name}: {text}")
    assert [fault.mark.line for fault in faults] == [1]
    assert faults[0].message.startswith(name)
    with pytest.raises(ValidationError) as caught:
        Everything(**{name: value})
    assert caught.value.errors()[0]["loc"][0] == name


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("count: 4", {"count": 4}),
        ("rate: 1", {"rate": 1}),
        ("rate: 1e-4", {"rate": 1e-4}),
        ("word: two", {"word": "two"}),
        ("flag: true", {"flag": True}),
        ("sizes: [3]", {"sizes": (3,)}),
        ("pair: [3, 4]", {"pair": (3, 4)}),
        ("weights: [1, 2.5]", {"weights": [1, 2.5]}),
        ("maybe: null", {"maybe": None}),
        ("control: null", {"control": None}),
        ("{}", {}),
    ],
)
def test_a_call_and_a_node_give_the_same_arguments(text, arguments):
    built, faults = from_yaml(text)
    assert not faults
    theirs, ours = built.given, Everything(**arguments).given
    assert theirs.keys() == ours.keys()
    for name, value in ours.items():
        assert type(theirs[name]) is type(value)
        assert theirs[name] == value or name == "transform"
    assert (theirs["transform"].levels, ours["transform"].levels) == (2, 2)


def test_faults_come_all_at_once_and_unknown_keys_with_the_nearest():
    _, faults = from_yaml("count: 0\nrate: x\ncuont: 3\nmetrics: [{use: nothing}]\n")
    assert sorted(fault.mark.line for fault in faults) == [1, 2, 3, 4]
    assert any("did you mean 'count'" in fault.message for fault in faults)
    with pytest.raises(TypeError, match="cuont"):
        Everything(cuont=3)


def test_a_lone_component_becomes_a_list_of_one():
    one = Sized()
    assert Everything(metrics=one).given["metrics"] == [one]
    assert [type(m).__name__ for m in from_yaml("metrics: {use: mse}")[0].given["metrics"]] == ["MeanSquaredError"]
    assert from_yaml("metrics: null")[0].given["metrics"] == Everything(maybe=None).given["maybe"] == []
    slots = Everything(nets=Net).given["nets"]
    assert [slot(SPACE).width for slot in slots] == [4]


def test_slots_wait_for_their_space():
    made = Everything(net=functools.partial(Net, width=7)).given["net"](SPACE)
    assert (made.space, made.width) == (SPACE, 7)
    slot = from_yaml("net: {use: gmm, principal: 3}")[0].given["net"]
    assert (slot(SPACE).space, slot(SPACE).principal) == (SPACE, 3)
    with pytest.raises(TypeError, match="net takes a callable space -> Generator"):
        Everything(net=Net(SPACE))


def test_components_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="transform takes a Transform"):
        Everything(transform=Sized())
    with pytest.raises(TypeError, match="metrics takes a Metric"):
        Everything(metrics=[Sized(), 3])
    with pytest.raises(TypeError, match="transform takes a Transform"):
        Everything(transform=None)


def test_the_port_is_checked_in_python_and_not_for_recipes_to_fill():
    assert signature_of(Net).port == ("space", (ImageSpace, LatentSpace))
    assert signature_of(Net).keys == ["width"]
    assert Net(LatentSpace(())).width == 4
    pyramid = PyramidSpace(SPACE, "haar", "periodization", "ortho", ((4, 4),))
    with pytest.raises(TypeError, match="works on ImageSpace or LatentSpace; it is given"):
        Net(pyramid)
    with pytest.raises(TypeError, match="space"):
        Net()


def test_subclasses():
    assert Inherits(SPACE, width=3).width == 3
    with pytest.raises(ValidationError):
        Inherits(SPACE, width=True)
    assert signature_of(Narrow).keys == ["half"]
    assert Narrow(SPACE, 3).width == 6
    with pytest.raises(ValidationError):
        Narrow(SPACE, half=5)
    with pytest.raises(TypeError, match="works on ImageSpace; it is given"):
        Narrow(LatentSpace(()))


def test_a_class_without_a_constructor_takes_nothing():
    class Plain(Metric):
        reads = "samples"

        def measure(self, evidence):
            return []

    assert signature_of(Plain).keys == []
    Plain()
    with pytest.raises(TypeError):
        Plain(size=3)


def test_a_default_node_is_built_afresh_for_every_owner():
    first, second = Everything().given["transform"], Everything().given["transform"]
    assert first is not second
    assert isinstance(signature_of(Everything).children["transform"].default, Node)


def _star(self, *sizes: int): ...
def _keywords(self, **options: int): ...
def _positional(self, size: int, /): ...
def _bare(self, size): ...
def _use(self, use: str): ...
def _hidden(self, _size: int): ...
def _nowhere(self, size: Nowhere): ...  # noqa: F821


@pytest.mark.parametrize(
    ("init", "error", "words"),
    [
        (_star, TypeError, "no *sizes"),
        (_keywords, TypeError, "no *options"),
        (_positional, TypeError, "every parameter has a name"),
        (_bare, TypeError, "parameter 'size' has no annotation"),
        (_use, TypeError, "cannot be called 'use'"),
        (_hidden, TypeError, "cannot be called '_size'"),
        (_nowhere, NameError, "Nowhere"),
    ],
)
def test_a_constructor_that_is_no_schema_is_refused(init, error, words):
    made = type("Made", (Component,), {"__init__": init})
    with pytest.raises(error) as caught:
        signature_of(made)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["copy", "json", "schema", "model_width", "validate"])
def test_parameters_may_be_called_as_pydantic_calls_its_own(name):
    scope: dict = {}
    exec(f"def __init__(self, {name}: int = 3):\n    self.value = {name}", scope)
    with warnings.catch_warnings(action="error"):
        made = type("Made", (Component,), {"__init__": scope["__init__"]})
        assert made().value == 3
        assert made(**{name: 4}).value == 4
        with pytest.raises(ValidationError):
            made(**{name: True})


WORDS = [
    (int, "whole number"),
    (Annotated[int, Field(ge=1, le=4096)], "whole number from 1 to 4096"),
    (Annotated[float, Field(gt=0)] | Literal["learned"], 'number above 0, or "learned"'),
    (Annotated[float, Field(gt=0, lt=1)] | str | None, "number above 0 and below 1, or text, or nothing"),
    (Annotated[int, Field(ge=0)], "whole number of at least 0"),
    (Literal["a", "b", 3], 'one of "a", "b", 3'),
    (bool, "true or false"),
    (Annotated[str, Field(min_length=1)], "text"),
    (Annotated[str, Field(pattern="^[a-z]+$")], "text of the form ^[a-z]+$"),
    (
        Annotated[Sequence[Annotated[int, Field(ge=2)]], Field(min_length=2)],
        "list of at least 2 whole numbers of at least 2",
    ),
    (tuple[int, ...], "list of whole numbers"),
    (tuple[int, int] | None, "list of 2 whole numbers, or nothing"),
    (Transform, "a transform"),
    (Sequence[Metric], "list of metrics"),
]


@pytest.mark.parametrize(("annotation", "said"), WORDS)
def test_a_type_is_said_in_words(annotation, said):
    assert words(annotation) == said


def test_bounds_beside_an_annotation_count_for_what_they_bound():
    assert words(int | None, Field(ge=1)) == "whole number of at least 1, or nothing"
