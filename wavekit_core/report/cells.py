"""Figures as cells: what every table of figures says, whoever draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Cells(NamedTuple):
    """A table of text: the names of the columns, and lines of as many cells."""

    head: Sequence[str]
    lines: Sequence[Sequence[str]]


def number(value: float | None) -> str:
    """Four digits, whole numbers of up to a billion in full; nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def label(row: Mapping[str, Any]) -> str:
    """A figure's name with its unit."""
    return f"{row['name']} ({row['unit']})" if row["unit"] else str(row["name"])


def figure_cells(rows: Sequence[Mapping[str, Any]]) -> Cells:
    """The rows of an evaluation, a line a figure: the model's value, beside it the control's and that of real images (the
    floor), the number of images N, and the direction that is better."""
    control = {row["name"]: row for row in rows if row["subject"] == "control"}
    head = ["figure", "model", *(["control"] if control else []), "real images", "N", "better"]
    lines = []
    for row in of_model(rows):
        beside = [number(control.get(row["name"], {}).get("value"))] if control else []
        lines.append(
            [label(row), number(row["value"]), *beside, number(row["floor"]), str(row["count"]), row["better"]]
        )
    return without_empty(Cells(head, lines), "real images")


def step_cells(evaluations: Sequence[Mapping[str, Any]]) -> Cells:
    """Figures of the model against the step: a line a figure, a column a step, the floor of the last one beside them."""
    steps = [str(one["step"]) for one in evaluations]
    by_step = [{row["name"]: row for row in of_model(one["figures"])} for one in evaluations]
    newest = {name: row for rows in by_step for name, row in rows.items()}
    lines = []
    for name, row in newest.items():
        values = [number(rows.get(name, {}).get("value")) for rows in by_step]
        counts = ", ".join(sorted({str(rows[name]["count"]) for rows in by_step if name in rows}))
        lines.append([label(row), *values, number(row["floor"]), counts, row["better"]])
    cells = Cells(["figure", *(f"step {step}" for step in steps), "real images", "N", "better"], lines)
    return without_empty(cells, "real images")


def without_empty(cells: Cells, *names: str) -> Cells:
    """Cells without those of the named columns that hold nothing."""
    empty = [name in names and not any(line[i] for line in cells.lines) for i, name in enumerate(cells.head)]
    rows = [[cell for cell, drop in zip(line, empty, strict=True) if not drop] for line in (cells.head, *cells.lines)]
    return Cells(rows[0], rows[1:])


def of_model(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["subject"] == "model"]


def behind(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The figures in which the control is better than the model."""
    control = {row["name"]: row for row in rows if row["subject"] == "control"}
    return [
        row["name"] for row in of_model(rows) if row["name"] in control and badness(control[row["name"]]) < badness(row)
    ]


def badness(row: Mapping[str, Any]) -> float:
    """A number that is lower for what is better: the value, its negative, or its distance to the floor."""
    if row["better"] == "real":
        return abs(float(row["value"]) - float(row["floor"] or 0))
    return float(row["value"]) * (-1 if row["better"] == "higher" else 1)
