"""A grid: one recipe and axes of settings, expanded into cells, each a recipe of its own.

grid:
  generator.code: [8, 16]                            # a list: a path, and the values that it takes
  system:                                            # a mapping: labels, and partial recipes merged like `extends`
    vae: {generator: {use: vae}}
    long: {train: {steps: 900}}
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from wavekit_core.recipe.compose import put
from wavekit_core.recipe.faults import Fault, Mark, RecipeFaults
from wavekit_core.recipe.source import Value

MAX_CELLS = 1000
MAX_NAME = 100
_LEGAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # a name of a run, hence of a folder
_OWN = ("name", "grid", "extends")  # keys that no cell can set


@dataclass(frozen=True)
class Cell:
    """One recipe of a grid. `settings` holds, axis by axis, the plain value or the label that the cell takes; `marks`, where
    each stands. `value` has no `grid`, and bears the cell's name."""

    name: str
    value: Value
    settings: dict[str, Any]
    marks: dict[str, Mark]


@dataclass(frozen=True)
class _Choice:
    """One value of an axis: `value` goes to `path` (to the top for a partial recipe). `label` is its part of a cell's name."""

    label: str
    path: Sequence[str]
    value: Value
    key: Mark
    setting: Any


def is_grid(value: Value) -> bool:
    """Whether a composed recipe is a grid. `grid: null` takes an inherited one away."""
    grid = value.get("grid")
    return grid is not None and grid.data is not None


def single(value: Value) -> Value:
    """A composed recipe that is no grid, without `grid: null`. Raises RecipeFaults for a grid, with the number of its cells."""
    if is_grid(value):
        cells = expand(value)
        what = f"this is a grid of {_count(len(cells), 'cell')} ({cells[0].name}{', …' * (len(cells) > 1)})"
        how = "run and check it as a whole with `wavekit run` and `wavekit check`, or name one recipe"
        raise RecipeFaults([Fault(value.keys.get("grid", value.mark), f"{what}; {how}", len("grid"))])
    return _without(value, "grid") if value.get("grid") else value


def expand(value: Value) -> list[Cell]:
    """The cells of a composed recipe with `grid`: the product of its axes in the order written, the first slowest.

    Settings are applied axis by axis in that order. Names, settings and order depend on the recipe alone. Raises RecipeFaults
    with every fault of the axes; the recipes of the cells are not checked here.
    """
    axes = _axes(value)
    if (count := math.prod(map(len, axes.values()))) > MAX_CELLS:
        sizes = " × ".join(str(len(axis)) for axis in axes.values())
        fault = (
            f"the axes make {sizes} = {count:,} cells, more than {MAX_CELLS:,}; take values away, or make several grids"
        )
        raise RecipeFaults([Fault(value.keys.get("grid", value.mark), fault, len("grid"))])
    base = _without(value, "grid")
    combinations = list(itertools.product(*axes.values()))
    names = _distinct("-".join(choice.label for choice in choices) for choices in combinations)
    cells: list[Cell] = []
    faults: list[Fault] = []
    for name, choices in zip(names, combinations, strict=True):
        cell = base
        try:
            for choice in choices:
                cell = put(cell, choice.path, choice.value, choice.key)
        except RecipeFaults as error:
            faults += error.faults
            continue
        settings = {axis: choice.setting for axis, choice in zip(axes, choices, strict=True)}
        marks = {axis: choice.value.mark for axis, choice in zip(axes, choices, strict=True)}
        cells.append(Cell(name, _named(cell, name), settings, marks))
    if faults:
        raise RecipeFaults(list(dict.fromkeys(faults)))
    return cells


# --- the axes


def _axes(value: Value) -> dict[str, list[_Choice]]:
    """Axis by axis its choices. Raises RecipeFaults with every fault."""
    grid = value.get("grid")
    assert grid is not None
    if not isinstance(grid.data, dict):
        raise RecipeFaults([Fault(grid.mark, "`grid` is a mapping of axes, for example {seed: [0, 1, 2]}")])
    given = {key: axis for key, axis in grid.data.items() if axis.data is not None}
    if not given:
        place = value.keys.get("grid", grid.mark)
        raise RecipeFaults([Fault(place, "`grid` has no axis; write one, for example {seed: [0, 1, 2]}", len("grid"))])
    lasts = Counter(_last(key) for key, axis in given.items() if isinstance(axis.data, list))
    faults: list[Fault] = []
    axes: dict[str, list[_Choice]] = {}
    for key, axis in given.items():
        mark = grid.keys.get(key, axis.mark)
        if isinstance(axis.data, list):
            prefix = _last(key) if lasts[_last(key)] == 1 else key
            axes[key] = _values(key, prefix, axis, mark, faults)
        elif isinstance(axis.data, dict):
            axes[key] = _labelled(key, axis, mark, faults)
        else:
            text = f"axis `{key}` is {axis.data!r:.40}; write a list of values, [{axis.data!s:.40}], or a mapping of labels"
            faults.append(Fault(axis.mark, text))
    if faults:
        raise RecipeFaults(faults)
    return axes


def _values(key: str, prefix: str, axis: Value, mark: Mark, faults: list[Fault]) -> list[_Choice]:
    """The choices of an axis that is a list: a dotted path and its values."""
    path = key.split(".")
    if not all(path):
        faults.append(Fault(mark, f"axis `{key}` is no path; write it like `generator.code`", len(key)))
    elif path[0] in _OWN:
        faults.append(Fault(mark, f"`{path[0]}` cannot be an axis: every cell has a name of its own", len(key)))
    if not axis.data:
        faults.append(Fault(axis.mark, f"axis `{key}` has no values; write some, or take the axis away", 2))
    labels = []
    for value in axis.data:
        label = _label(value)
        if label is None:
            text = (
                f"a value of axis `{key}` is neither plain nor a component; name what is set together, as in {_EXAMPLE}"
            )
            faults.append(Fault(value.mark, text))
        labels.append(label if label and _has_use(value) else f"{prefix}-{label}")
    names = _distinct(labels)
    return [_Choice(name, path, value, mark, value.plain()) for name, value in zip(names, axis.data, strict=True)]


_EXAMPLE = "`system: {small: {train: {steps: 100}}, large: {train: {steps: 900}}}`"


def _labelled(key: str, axis: Value, mark: Mark, faults: list[Fault]) -> list[_Choice]:
    """The choices of an axis that is a mapping: labels and partial recipes."""
    if "use" in axis.data:
        faults.append(
            Fault(axis.data["use"].mark, f"axis `{key}` is a component; write a list of components, [{{use: …}}]")
        )
        return []
    given = {label: part for label, part in axis.data.items() if part.data is not None}
    if not given:
        faults.append(Fault(axis.mark, f"axis `{key}` has no labels; write some, or take the axis away"))
    for label, part in given.items():
        place = axis.keys.get(label, part.mark)
        if not isinstance(part.data, dict):
            text = f"`{label}` of axis `{key}` is no partial recipe; write one, as in {_EXAMPLE}"
            if isinstance(part.data, list):
                text += f", or the values of one path as `{key}.{label}: […]`"
            faults.append(Fault(place, text, len(label)))
        elif _has_use(part):
            text = f"`{label}` of axis `{key}` is a component, where a partial recipe was expected; write "
            faults.append(Fault(place, f"{text}{{generator: {{use: …}}}}, or a list of components", len(label)))
        else:
            for own in set(_OWN) & set(part.data):
                text = f"`{own}` cannot stand in a cell; it belongs to the recipe that the grid stands in"
                faults.append(Fault(part.keys.get(own, part.mark), text, len(own)))
    names = _distinct(map(_clean, given))
    return [
        _Choice(name, (), part, axis.keys.get(label, part.mark), label)
        for name, (label, part) in zip(names, given.items(), strict=True)
    ]


def _has_use(value: Value) -> bool:
    """Whether this is a component, or a list with one."""
    if isinstance(value.data, list):
        return any(map(_has_use, value.data))
    return value.get("use") is not None


# --- names


def _label(value: Value) -> str | None:
    """A value in a word: a plain one as it is written, a component by its name; None for a mapping that is no component."""
    if isinstance(value.data, dict):
        use = value.get("use")
        return _clean(str(use.data).rpartition(":")[2]) if use else None
    if isinstance(value.data, list):
        labels = [_label(one) for one in value.data]
        return None if None in labels else "-".join(map(str, labels)) or "none"
    if value.data is None or isinstance(value.data, bool):
        return {None: "none", True: "true", False: "false"}[value.data]
    return _clean(str(value.data))


def _clean(text: str) -> str:
    """The text with what a folder's name cannot hold replaced."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text) or "empty"


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _distinct(texts: Iterable[str]) -> list[str]:
    """Legal names, none twice: of equal ones the second gets -2; one that is too long is cut, with a digest of the whole. Some
    disks hold `a` and `A` for the same."""
    taken: set[str] = set()
    names = []
    for text in texts:
        legal = text if text[:1].isalnum() else f"x{text}"
        for number in itertools.count(1):
            name = legal if number == 1 else f"{legal}-{number}"
            if len(name) > MAX_NAME:
                name = f"{name[: MAX_NAME - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
            if name.casefold() not in taken:
                break
        taken.add(name.casefold())
        names.append(name)
    return names


def _named(value: Value, name: str) -> Value:
    """The recipe under the name of its cell; an illegal name stays, to be found when the recipe is checked."""
    old = value.get("name")
    if old and not (isinstance(old.data, str) and _LEGAL.fullmatch(old.data)):
        return value
    mark = old.mark if old else value.mark
    return Value(value.data | {"name": Value(name, mark)}, value.mark, {"name": mark} | value.keys)


def _without(value: Value, key: str) -> Value:
    return Value({k: v for k, v in value.data.items() if k != key}, value.mark, value.keys)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
