"""A paper's claims beside what the cells of a grid measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wavekit_core.compare.collect import Run
from wavekit_core.compare.comparison import FACTS
from wavekit_core.grid.claims import Claim, label_of
from wavekit_core.report.cells import Cells, number

NEAR = 0.1  # of the paper's number: what counts as the same
HEAD = ("claim", "of", "over", "pairs", "ours", "paper", "verdict", "note")


@dataclass(frozen=True)
class Verdict:
    """A claim, the ratio or difference of each pair of cells that differ as it says (one a seed), their mean and standard
    deviation (N - 1; None for one), and what follows."""

    claim: Claim
    pairs: Sequence[float]
    mean: float | None
    deviation: float | None
    text: str


def verdicts(claims: Sequence[Claim], cells: Sequence[tuple[Mapping[str, Any], Run]]) -> list[Verdict]:
    """What finished cells, each with its settings, say to the claims."""
    return [_verdict(claim, cells) for claim in claims]


def _verdict(claim: Claim, cells: Sequence[tuple[Mapping[str, Any], Run]]) -> Verdict:
    under = {_rest(settings, claim): run for settings, run in cells if _has(settings, claim.over)}
    pairs, apart = [], ""
    for settings, run in cells:
        base = under.get(_rest(settings, claim)) if _has(settings, claim.of) else None
        values = [_value(one, claim.figure) for one in (run, base) if one]
        if base is None or None in values:
            continue
        apart = apart or _apart(claim.figure, run, base)
        ours, theirs = map(float, values)  # type: ignore[arg-type]
        if claim.measure == "difference":
            pairs.append(ours - theirs)
        elif theirs:
            pairs.append(ours / theirs)
    if apart or not pairs:
        return Verdict(claim, [], None, None, f"not comparable: different {apart}" if apart else "not measured")
    mean = statistics.fmean(pairs)
    deviation = statistics.stdev(pairs) if len(pairs) > 1 else None
    return Verdict(claim, pairs, mean, deviation, judged(claim.paper, mean, deviation, claim.measure))


def judged(paper: float, ours: float, deviation: float | None, measure: str) -> str:
    """What a measured ratio or difference says to the paper's: the same within NEAR of it, on the same side of no change (1 or
    0), on the other, or no side, where no change is within one deviation of the mean."""
    off = abs(ours - paper) / abs(paper) if paper else math.inf
    if off <= NEAR:
        return f"reproduces (within {max(1, math.ceil(round(off * 100, 6)))} %)"
    none = 1.0 if measure == "ratio" else 0.0
    if ours == paper == none:
        return "reproduces (no change)"
    if deviation is not None and abs(ours - none) <= deviation:
        return "cannot be told: no change is within the deviation"
    if (ours - none) * (paper - none) <= 0:
        return "does not reproduce"
    return (
        "agrees in direction, and goes further"
        if abs(ours - none) > abs(paper - none)
        else "agrees in direction, by less"
    )


def _has(settings: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(settings.get(axis) == value for axis, value in wanted.items())


def _rest(settings: Mapping[str, Any], claim: Claim) -> str:
    """The settings that a claim does not name."""
    return repr([(axis, value) for axis, value in settings.items() if axis not in claim.of])


def _row(run: Run, figure: str) -> Mapping[str, Any] | None:
    rows = run.newest["figures"] if run.newest else ()
    return next((row for row in rows if row["subject"] == "model" and row["name"] == figure), None)


def _value(run: Run, figure: str) -> float | None:
    """A figure of the newest evaluation, or a fact that is a number."""
    if row := _row(run, figure):
        return float(row["value"])
    value = FACTS[figure](run) if figure in FACTS else None
    return float(value) if isinstance(value, int | float) else None


def _apart(figure: str, run: Run, base: Run) -> str:
    """Why a figure of two runs does not compare."""
    one, other = _row(run, figure), _row(base, figure)
    if one is None or other is None:
        return ""
    if run.lock["data"] != base.lock["data"]:
        return "data"
    return next((what for key, what in (("unit", "unit"), ("count", "N")) if one[key] != other[key]), "")


def cells_of(found: Sequence[Verdict]) -> Cells:
    """The table of claims, a line each."""
    lines = []
    for one in found:
        claim = one.claim
        ours = "" if one.mean is None else _measured(one.mean, claim.measure)
        ours += "" if one.deviation is None else f" ± {one.deviation:.2g}"
        sides = [
            ", ".join(f"{axis} {label_of(value)}" for axis, value in side.items()) for side in (claim.of, claim.over)
        ]
        paper = _measured(claim.paper, claim.measure)
        lines.append([claim.figure, *sides, str(len(one.pairs)), ours, paper, one.text, claim.note])
    return Cells(HEAD, lines)


def _measured(value: float, measure: str) -> str:
    if measure == "ratio":
        return f"×{number(value)}"
    return f"{'−' if value < 0 else '+'}{number(abs(value))}"


def rows_of(found: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The claims for a JSON file."""
    return [asdict(one) | {"claim": one.claim.model_dump()} for one in found]
