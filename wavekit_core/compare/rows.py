"""A comparison as cells and as rows for a JSON file."""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from typing import Any

from wavekit_core.compare.collect import Run
from wavekit_core.compare.comparison import DRAWING, FACTS, Comparison, Line, Mean
from wavekit_core.report.cells import Cells, label, number, without_empty

BEST = "*"


def figures_of(comparison: Comparison) -> Cells:
    """A line a figure, a column a run, the best marked with a star; then controls, floor, N, step and direction."""
    head = ["figure", *(run.name for run in comparison.runs), "control", "real images", "N", "step", "better"]
    lines = []
    for line in comparison.lines:
        values = [
            "" if row is None else number(row["value"]) + (BEST if index in line.best else "")
            for index, row in enumerate(line.rows)
        ]
        name = label({"name": line.name, "unit": line.unit})
        if line.apart:
            name += f" [not comparable: different {line.apart}]"
        sides = [_distinct(line.control, "value"), _distinct(line.rows, "floor")]
        lines.append([name, *values, *sides, _distinct(line.rows, "count"), _distinct(line.rows, "step"), line.better])
    return without_empty(Cells(head, lines), "control", "real images")


def legend_of(cells: Cells) -> list[str]:
    """What the marks in figures or means say, a line each; nothing for a table without them."""
    values = [cell for line in cells.lines for cell in line[1:]]
    said = []
    if any(cell.endswith(BEST) for cell in values):
        said.append(f"{BEST} the best of the runs; “real” is best near the value of real images")
    if "control" in cells.head and any(" / " in line[cells.head.index("control")] for line in cells.lines):
        said.append("a / b under control: each run's own control")
    if any(cell.startswith("×") for cell in values):
        said.append("× a ratio, for what is better when lower and for facts; + or − a difference, for other figures")
    return said


def _distinct(rows: Sequence[Any], key: str) -> str:
    """The values of all runs: one if they agree, else up to three, else their range."""
    values = dict.fromkeys(row[key] for row in rows if row and row[key] is not None)
    shown = list(dict.fromkeys(str(value) if isinstance(value, int) else number(value) for value in values))
    if len(shown) > 3:
        return f"{number(min(values))} … {number(max(values))}"
    return " / ".join(shown)


def facts_of(comparison: Comparison) -> Cells:
    """A line a fact that at least one run knows, a column a run."""
    lines = []
    for name, fact in FACTS.items():
        values = [fact(run) for run in comparison.runs]
        if any(value is not None for value in values):
            texts = list(map(str if name == "seed" else _text, values))
            if name == DRAWING:
                spreads = [_spread(run.drawing and run.drawing[1]) for run in comparison.runs]
                texts = list(map(operator.add, texts, spreads))
            lines.append([name, *texts])
    return Cells(["fact", *(run.name for run in comparison.runs)], lines)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


def means_of(comparison: Comparison) -> Cells:
    """A line a figure or fact; a group's mean ± standard deviation, and from the second group on its ratio to the first or
    its difference from it."""
    groups = comparison.groups
    sizes = [f"{group.name} ({len(group.members)} run{'s' * (len(group.members) > 1)})" for group in groups]
    head = ["figure", sizes[0]]
    for size in sizes[1:]:
        head += [size, f"ratio × or difference ± to {groups[0].name}"]
    found = {(mean.name, mean.group): mean for mean in comparison.means}
    lines = []
    for name in dict.fromkeys(mean.name for mean in comparison.means):
        line = [name]
        for index, group in enumerate(groups):
            mean = found.get((name, group.name))
            line.append(number(mean.value) + _spread(mean.deviation) if mean else "")
            line += [_against(mean)] if index else []
        lines.append(line)
    return Cells(head, lines)


def _against(mean: Mean | None) -> str:
    if mean is None or (mean.ratio is None and mean.difference is None):
        return ""
    if mean.ratio is not None:
        return f"×{number(mean.ratio)}"
    difference = float(mean.difference or 0)
    return f"{'−' if difference < 0 else '+'}{abs(difference):.2g}"


def settings_of(comparison: Comparison) -> Cells:
    """A line a setting that differs, a column a run; nothing where a run has no such setting."""
    lines = [[path, *map(_setting, values)] for path, values in comparison.settings.items()]
    return Cells(["setting that differs", *(run.name for run in comparison.runs)], lines)


def _setting(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _spread(deviation: float | None) -> str:
    if deviation is None:
        return ""
    return f" ± {number(deviation) if deviation >= 100 else f'{deviation:.2g}'}"


def tables_of(comparison: Comparison) -> list[Cells]:
    """Every table of a comparison that has something to say: figures, means over seeds, facts, settings that differ."""
    made = (figures_of(comparison), means_of(comparison), facts_of(comparison), settings_of(comparison))
    return [table for table in made if table.lines]


def rows_of(comparison: Comparison) -> dict[str, Any]:
    """What `wavekit compare --json` writes. Every row stands for itself: figure, run, value, unit, better, N and the rest."""
    runs = comparison.runs
    rows = [row for line in comparison.lines for row in _rows(line, comparison)]
    return {
        "title": " and ".join(run.name for run in runs),
        "command": "wavekit compare " + " ".join(str(run.folder.path) for run in runs),
        "commit": " and ".join(dict.fromkeys(str(run.lock["git"]) for run in runs)),
        "machine": " and ".join(dict.fromkeys(_machine(run.lock) for run in runs)),
        "runs": {run.name: {name: fact(run) for name, fact in FACTS.items()} | _deviation(run) for run in runs},
        "rows": rows,
        "groups": {group.name: [runs[index].name for index in group.members] for group in comparison.groups},
        "means": [
            {"figure": m.name, "group": m.group, "mean": m.value, "sd": m.deviation, "runs": m.count}
            | {"ratio": m.ratio, "difference": m.difference}
            for m in comparison.means
        ],
        "settings": {
            path: {run.name: value for run, value in zip(runs, values, strict=True)}
            for path, values in comparison.settings.items()
        },
        "tables": [{"head": table.head, "lines": table.lines} for table in tables_of(comparison)],
        "notes": list(comparison.notes),
    }


def _deviation(run: Run) -> dict[str, float]:
    """That of the time for drawing, where it is known."""
    return {f"{DRAWING}, sd": run.drawing[1]} if run.drawing and run.drawing[1] is not None else {}


def _rows(line: Line, comparison: Comparison) -> list[dict[str, Any]]:
    rows = []
    for subject, given in (("model", line.rows), ("control", line.control)):
        for index, row in enumerate(given):
            if row is None:
                continue
            run = comparison.runs[index]
            kept = {key: row[key] for key in ("value", "unit", "better", "count", "floor", "step", "averaged")}
            marks = {"best": index in line.best, "not comparable": line.apart} if subject == "model" else {}
            rows.append({"figure": line.name, "run": run.name, "subject": subject, **kept, "seed": run.seed, **marks})
    return rows


def _machine(lock: Any) -> str:
    threads = f"{lock['threads']} thread{'s' * (lock['threads'] > 1)}"
    return f"{lock['device']}, {threads}, {lock['platform']}, Python {lock['python']}, torch {lock['torch']}"
