"""What a paper claims of a grid's cells: read from the recipe and checked before the first cell runs.

claims:
  - {figure: "gfd[class-cnn]", of: {system: wmgm, sampler.steps: 16}, over: {system: sgm}, paper: 0.34, as: ratio}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from wavekit_core.recipe.faults import Fault, RecipeFaults
from wavekit_core.recipe.grid import Cell
from wavekit_core.recipe.source import Value
from wavekit_core.registry import nearest
from wavekit_core.runs.forms import STRICT

KEYS = ("figure", "of", "over", "paper", "as", "note")
MEASURES = ("ratio", "difference")
OVER = "seed"  # the axis over which claims are averaged


class Claim(BaseModel):
    """That `figure` of the cells with the settings `of` is `paper` times that of the cells with the settings `over`, or larger by
    `paper`. The settings name the same axes: all but the seed's."""

    model_config = STRICT | ConfigDict(allow_inf_nan=False)

    figure: Annotated[str, Field(min_length=1)]
    of: dict[str, Any]
    over: dict[str, Any]
    paper: float
    measure: Literal["ratio", "difference"]
    note: str


def parted(value: Value) -> tuple[Value, Value | None]:
    """A composed recipe without `claims`, and those."""
    claims = value.get("claims")
    if claims is None:
        return value, None
    rest = {key: child for key, child in value.data.items() if key != "claims"}
    return Value(rest, value.mark, value.keys), claims if claims.data is not None else None


def claims_of(given: Value | None, cells: Sequence[Cell]) -> list[Claim]:
    """The claims of a grid with these cells. Raises RecipeFaults with every fault: another form, an axis or a value that the grid
    does not have, an axis that is left open."""
    if given is None:
        return []
    if not isinstance(given.data, list):
        raise RecipeFaults(
            [Fault(given.mark, "`claims` is a list, for example [{figure: …, of: …, over: …, paper: 0.5}]")]
        )
    axes: dict[str, list[Any]] = {}
    for cell in cells:
        for axis, setting in cell.settings.items():
            known = axes.setdefault(axis, [])
            if not any(_equal(setting, one) for one in known):
                known.append(setting)
    faults: list[Fault] = []
    found = [_claim(one, axes, faults) for one in given.data]
    if faults:
        raise RecipeFaults(faults)
    return [claim for claim in found if claim]


def _claim(value: Value, axes: Mapping[str, Sequence[Any]], faults: list[Fault]) -> Claim | None:
    if not isinstance(value.data, dict):
        faults.append(Fault(value.mark, "a claim is a mapping with `figure`, `of`, `over` and `paper`"))
        return None
    before = len(faults)
    for key, child in value.data.items():
        if key not in KEYS:
            near = nearest(key, list(KEYS))
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(KEYS)}"
            faults.append(Fault(value.keys.get(key, child.mark), f"a claim has no key {key!r}; {hint}", len(key)))
    figure, note = (_text(value, key, faults) for key in ("figure", "note"))
    measure = _text(value, "as", faults) or MEASURES[0]
    if measure not in MEASURES:
        faults.append(Fault(value.data["as"].mark, f"`as` is {measure!r:.40}; write ratio or difference"))
    paper = _number(value, measure, faults)
    of, over = (_settings(value, key, axes, faults) for key in ("of", "over"))
    if len(faults) > before:
        return None
    of, over = over | of, of | over  # an axis that one of them names alone is the same in both
    for axis, values in axes.items():
        if axis not in of and axis != OVER and len(values) > 1:
            what = f"the claim leaves axis `{axis}` open, which has {len(values)} values; name one of them in `of`"
            faults.append(Fault(value.mark, what))
    if all(_equal(of[axis], over[axis]) for axis in of):
        faults.append(Fault(value.mark, "the claim sets cells against themselves; `of` and `over` have to differ"))
    if len(faults) > before:
        return None
    return Claim(figure=figure, of=of, over=over, paper=paper, measure=measure, note=note)  # type: ignore[arg-type]


def _text(value: Value, key: str, faults: list[Fault]) -> str:
    given = value.get(key)
    if given is None and key == "figure":
        faults.append(
            Fault(value.mark, "a claim without a `figure`; name one of those that the cells measure, or a fact")
        )
    elif given is not None and not (isinstance(given.data, str) and given.data):
        faults.append(Fault(given.mark, f"`{key}` of a claim is {given.plain()!r:.40}; write a text"))
    elif given is not None:
        return str(given.data)
    return ""


def _number(value: Value, measure: str, faults: list[Fault]) -> float:
    given = value.get("paper")
    if given is None:
        faults.append(Fault(value.mark, "a claim without `paper`; write the number that the paper gives"))
        return math.nan
    legal = isinstance(given.data, int | float) and not isinstance(given.data, bool) and math.isfinite(given.data)
    if not legal or (measure == "ratio" and given.data <= 0):
        kind = "a ratio is a number above 0" if measure == "ratio" else "a number was expected"
        faults.append(Fault(given.mark, f"`paper` is {given.data!r:.40}; {kind}"))
        return math.nan
    return float(given.data)


def _settings(value: Value, key: str, axes: Mapping[str, Sequence[Any]], faults: list[Fault]) -> dict[str, Any]:
    given = value.get(key)
    if given is None or not isinstance(given.data, dict):
        where, what = (value.mark, "is missing") if given is None else (given.mark, f"is {given.plain()!r:.40}")
        axis = next(iter(axes))
        faults.append(Fault(where, f"`{key}` of a claim {what}; write axes with a value each, as {{{axis}: …}}"))
        return {}
    found = {}
    for axis, wanted in given.data.items():
        mark = given.keys.get(axis, wanted.mark)
        if axis not in axes:
            near = nearest(axis, list(axes))
            hint = f"did you mean {near!r}?" if near else f"the axes are {', '.join(axes)}"
            faults.append(Fault(mark, f"the grid has no axis {axis!r:.60}; {hint}", len(axis)))
        elif axis == OVER:
            faults.append(Fault(mark, "claims are averaged over the seeds; leave `seed` out", len(axis)))
        else:
            plain = wanted.plain()
            fitting = [one for one in axes[axis] if _equal(one, plain)] or [
                one for one in axes[axis] if isinstance(one, dict) and one.get("use") == plain
            ]
            if len(fitting) == 1:
                found[axis] = fitting[0]
            else:
                what = "stands for several values" if fitting else "is no value"
                shown = ", ".join(label_of(one) for one in axes[axis])
                how = "write the whole component" if fitting else f"there are {shown:.120}"
                faults.append(Fault(wanted.mark, f"{plain!r:.60} {what} of axis `{axis}`; {how}"))
    return found


def label_of(setting: Any) -> str:
    """A setting in a word: a component by its name."""
    if isinstance(setting, dict) and "use" in setting:
        return str(setting["use"])
    return str(setting)


def _equal(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
