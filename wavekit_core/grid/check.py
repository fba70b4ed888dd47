"""Checking every cell of a grid before the first one runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from wavekit_core.check import Findings, check
from wavekit_core.errors import WavekitError
from wavekit_core.recipe.faults import Fault, Mark, RecipeFaults
from wavekit_core.recipe.grid import Cell
from wavekit_core.recipe.recipe import Recipe, from_value

MAX_MESSAGE = 300  # characters of a fault, so that the cells that have it are seen


@dataclass(frozen=True)
class Examined:
    """What checking a cell found: its recipe and findings, or its faults."""

    cell: Cell
    recipe: Recipe | None
    findings: Findings | None
    faults: Sequence[Fault]


def read(cells: Sequence[Cell]) -> list[Examined]:
    """The cells' recipes, with their names and values checked and nothing built."""
    found = []
    for cell in cells:
        try:
            found.append(Examined(cell, from_value(cell.value), None, ()))
        except RecipeFaults as error:
            found.append(Examined(cell, None, None, error.faults))
    return found


def examine(cells: Sequence[Cell]) -> list[Examined]:
    """Check every cell as `wavekit check` does one recipe, and that no two are the same recipe. Cells that differ in name and
    seed alone are checked once."""
    known: dict[str, tuple[Findings | None, Sequence[Fault]]] = {}
    first: dict[str, Cell] = {}
    found = []
    for one in read(cells):
        if one.recipe is not None:
            key = _written(one.recipe, "name", "seed")
            if key not in known:
                known[key] = _checked(one.cell, one.recipe)
            findings, faults = known[key]
            twin = first.setdefault(_written(one.recipe, "name"), one.cell)
            faults = faults if twin is one.cell else [*faults, _same(twin, one.cell)]
            one = dataclasses.replace(one, findings=findings, faults=faults)
        found.append(one)
    return found


def require_whole(examined: Sequence[Examined]) -> None:
    """Raises RecipeFaults with the faults of all cells, each said once and with the cells that have it."""
    places: dict[Fault, list[str]] = {}
    for one in examined:
        for fault in dict.fromkeys(one.faults):
            places.setdefault(fault, []).append(one.cell.name)
    if places:
        raise RecipeFaults([_placed(fault, names, len(examined)) for fault, names in places.items()])


def _placed(fault: Fault, names: Sequence[str], total: int) -> Fault:
    if len(names) == total > 1:
        where = f"in all {total} cells"
    elif len(names) > 1:
        where = f"in {len(names)} of {total} cells, the first is {names[0]}"
    else:
        where = f"in cell {names[0]}"
    return Fault(fault.mark, f"{fault.message[:MAX_MESSAGE]} ({where})", fault.length, fault.exit_code)


def _checked(cell: Cell, recipe: Recipe) -> tuple[Findings | None, list[Fault]]:
    try:
        return check(recipe), []
    except RecipeFaults as error:
        return None, error.faults
    except WavekitError as error:  # of the machine or the data: it stands at no line
        return None, [Fault(Mark(cell.value.mark.file), str(error), exit_code=error.exit_code)]


def _written(recipe: Recipe, *keys: str) -> str:
    """The recipe without some keys."""
    plain = {key: value for key, value in recipe.plain().items() if key not in keys}
    return json.dumps(plain, sort_keys=True)


def _same(twin: Cell, cell: Cell) -> Fault:
    """The fault of a cell whose recipe is that of an earlier one, at the last setting in which they differ."""
    apart = [axis for axis in cell.marks if cell.marks[axis] != twin.marks[axis]]
    axis = (apart or list(cell.marks))[-1]  # the values of one -s stand at one place
    what = f"cell {cell.name} is the same recipe as {twin.name}; take a value away, or, if a later axis replaces what axis "
    return Fault(cell.marks[axis], f"{what}`{axis}` sets, write `{axis}` after it")
