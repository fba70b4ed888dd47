"""The comparison of runs as plain data: which figures compare, which is best, and means over seeds."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavekit_core.compare.collect import Run, collect_all
from wavekit_core.errors import RecipeError
from wavekit_core.report.cells import badness
from wavekit_core.runs.folder import RunFolder


@dataclass(frozen=True)
class Line:
    """A figure of every run, `rows[i]` as in evaluation.json with its step, or None. `best` are the runs that are best;
    `apart` says why the values do not compare, and then nothing is best. `control` are the controls' rows."""

    name: str
    unit: str
    better: str
    rows: Sequence[Mapping[str, Any] | None]
    control: Sequence[Mapping[str, Any] | None]
    best: frozenset[int]
    apart: str


@dataclass(frozen=True)
class Group:
    """Runs that differ only in seed and name, by their index."""

    name: str
    members: Sequence[int]


@dataclass(frozen=True)
class Mean:
    """Mean and standard deviation (of a sample, N - 1; None for one run) over a group's `count` runs, and its mean against the
    baseline's: as `ratio` where lower is better and for facts, else as `difference`."""

    name: str
    group: str
    value: float
    deviation: float | None
    count: int
    ratio: float | None
    difference: float | None


@dataclass(frozen=True)
class Comparison:
    """`means` stand by figure or fact, then by group; the first group is the baseline. They are empty where every run is a
    group of its own and no baseline was named. `settings` are the dotted paths of the resolved recipes whose values differ,
    name apart, with each run's value; None where it has no such setting."""

    runs: Sequence[Run]
    lines: Sequence[Line]
    groups: Sequence[Group]
    means: Sequence[Mean]
    settings: Mapping[str, Sequence[Any]]
    notes: Sequence[str]


DRAWING = "seconds for 100 images"
FACTS: Mapping[str, Callable[[Run], Any]] = {
    "step": lambda run: run.step,
    "steps asked for": lambda run: run.lock["steps"],
    "images": lambda run: run.step * run.batch,
    "training seconds": lambda run: run.seconds[-1][1] if run.seconds else None,
    "images/s": lambda run: _rate(run),
    DRAWING: lambda run: run.drawing[0] if run.drawing else None,
    "evaluations": lambda run: run.network_evaluations,
    "FLOPs": lambda run: run.place(run.step, "flops"),
    "parameters": lambda run: run.parameters,
    "latent numbers": lambda run: run.lock.get("latent"),
    "processes": lambda run: run.lock.get("processes"),
    "seed": lambda run: run.seed,
    "data": lambda run: f"{run.recipe['data']['use']} {run.lock['data'][:8]}",
    "device": lambda run: run.lock["device"],
    "weights": lambda run: None if run.newest is None else "averaged" if run.newest["averaged"] else "last",
}
_AVERAGED_FACTS = (
    "training seconds",
    "images/s",
    DRAWING,
    "evaluations",
    "FLOPs",
    "parameters",
    "latent numbers",
)


@dataclass(frozen=True)
class Family:
    """Groups that differ in how they draw alone: what their sampler costs against what it gives."""

    name: str
    groups: Sequence[Group]


def families(comparison: Comparison) -> list[Family]:
    """The groups of a comparison by what they were trained on; named by what the names of its groups begin with."""
    found: dict[str, list[Group]] = {}
    for group in comparison.groups:
        found.setdefault(comparison.runs[group.members[0]].breed, []).append(group)
    starts = [_start([group.name for group in groups]) for groups in found.values()]
    return [
        Family(start if start and starts.count(start) == 1 else groups[0].name, groups)
        for start, groups in zip(starts, found.values(), strict=True)
    ]


def _start(names: Sequence[str]) -> str:
    """The words that names of several have in common at their beginning."""
    words = [name.split("-") for name in names]
    alike = itertools.takewhile(lambda same: len(set(same)) == 1, zip(*words, strict=False))
    return "-".join(same[0] for same in alike)


def compare(folders: Sequence[RunFolder], baseline: RunFolder | None = None) -> Comparison:
    """Compare runs. Groups over seeds are measured against the group of `baseline`, one of the runs, or of the first.

    Raises DamagedError, and RecipeError for a folder that is no run, is named twice, or a baseline that is not compared.
    """
    if not folders:
        raise RecipeError("there is no run to compare; name run folders")
    runs = collect_all(folders)
    lines = _lines(runs)
    groups = _groups(runs)
    if baseline is not None:
        path = baseline.path.resolve()
        index = next((i for i, run in enumerate(runs) if run.folder.path.resolve() == path), None)
        if index is None:
            raise RecipeError(f"{baseline.path}: is the baseline, but is not compared; name it among the runs too")
        groups.sort(key=lambda group: index not in group.members)
    told = baseline is not None or len(groups) < len(runs)
    means = _means(runs, lines, groups) if told else []
    return Comparison(runs, lines, groups, means, _settings(runs), _notes(runs, groups))


def _settings(runs: Sequence[Run]) -> dict[str, list[Any]]:
    found = [dict(_leaves(run.recipe)) for run in runs]
    paths = dict.fromkeys(path for leaves in found for path in leaves)
    values = {path: [leaves.get(path) for leaves in found] for path in paths if path != "name"}
    return {path: given for path, given in values.items() if any(_unlike(given[0], one) for one in given[1:])}


def _unlike(one: Any, other: Any) -> bool:
    return type(one) is not type(other) or one != other


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted paths and values; what stands in a list is counted from 0. An empty list or mapping is a value itself."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    if not inner or value in ({}, []):
        yield path, value
    else:
        for key, child in inner:
            yield from _leaves(child, f"{path}.{key}" if path else str(key))


def _rate(run: Run) -> float | None:
    if not run.seconds or not run.seconds[-1][1]:
        return None
    step, seconds = run.seconds[-1]
    return step * run.batch / seconds


def _lines(runs: Sequence[Run]) -> list[Line]:
    """A line for every figure of a newest evaluation, in the order in which they are met."""
    found: dict[str, tuple[list[Mapping[str, Any] | None], list[Mapping[str, Any] | None]]] = {}
    for index, run in enumerate(runs):
        for row in run.newest["figures"] if run.newest else ():
            kept = found.setdefault(row["name"], ([None] * len(runs), [None] * len(runs)))
            if row["subject"] in ("model", "control"):
                assert run.newest
                facts = {"step": run.newest["step"], "averaged": run.newest["averaged"]}
                kept[row["subject"] == "control"][index] = {**row, **facts}
    return [_line(name, *kept, runs) for name, kept in found.items() if any(kept[0])]


def _line(
    name: str,
    rows: Sequence[Mapping[str, Any] | None],
    control: Sequence[Mapping[str, Any] | None],
    runs: Sequence[Run],
) -> Line:
    given = [(index, row) for index, row in enumerate(rows) if row]
    first = given[0][1]
    apart = []
    for key, what in (
        ("unit", "unit"),
        ("better", "direction"),
        ("count", "N"),
        ("averaged", "weights"),
    ):
        if len({row[key] for _, row in given}) > 1:
            apart.append(what)
    if len({runs[index].lock["data"] for index, _ in given}) > 1:
        apart.append("data")
    best: set[int] = set()
    if not apart and len(given) > 1:
        least = min(badness(row) for _, row in given)
        best = {index for index, row in given if badness(row) == least}
    return Line(name, first["unit"], first["better"], rows, control, frozenset(best), ", ".join(apart))


def _groups(runs: Sequence[Run]) -> list[Group]:
    """A group of several runs is called as its recipe if nothing else is, or else as its first run."""
    members: dict[str, list[int]] = {}
    for index, run in enumerate(runs):
        members.setdefault(run.kin, []).append(index)
    groups = []
    for kin in members.values():
        names = {runs[index].lock["name"] for index in kin}
        others = [run for index, run in enumerate(runs) if index not in kin]
        own = len(kin) > 1 and len(names) == 1 and not names & {n for o in others for n in (o.name, o.lock["name"])}
        groups.append(Group(names.pop() if own else runs[kin[0]].name, kin))
    return groups


def _means(runs: Sequence[Run], lines: Sequence[Line], groups: Sequence[Group]) -> list[Mean]:
    means: list[Mean] = []
    for line in lines:
        values = [row["value"] if row else None for row in line.rows]
        means += _mean(line.name, values, groups, bool(line.apart), line.better == "lower")
    for fact in _AVERAGED_FACTS:
        means += _mean(fact, [FACTS[fact](run) for run in runs], groups, False, True)
    return means


def _mean(
    name: str, values: Sequence[float | None], groups: Sequence[Group], apart: bool, as_ratio: bool
) -> list[Mean]:
    means: list[Mean] = []
    base = None
    for group in groups:
        given = [value for value in (values[index] for index in group.members) if value is not None]
        if not given:
            continue
        mean = statistics.fmean(given)
        if group is groups[0]:
            base = mean
        ratio = difference = None
        if base is not None and not apart:
            ratio = mean / base if as_ratio and base > 0 else None
            difference = None if as_ratio else mean - base
        deviation = statistics.stdev(given) if len(given) > 1 else None
        means.append(Mean(name, group.name, mean, deviation, len(given), ratio, difference))
    return means


def _notes(runs: Sequence[Run], groups: Sequence[Group]) -> list[str]:
    notes = []
    if len({run.lock["data"] for run in runs}) > 1:
        notes.append(
            "The runs saw different data (the data's digests differ): no figure is marked as best across them."
        )
    if len({run.seed for run in runs}) > 1:
        notes.append("The runs have different seeds, so sample i of one is not sample i of the other.")
    for run in runs:
        if run.step < run.lock["steps"]:
            notes.append(f"{run.name} is not finished: step {run.step} of {run.lock['steps']}.")
        if run.newest is None:
            notes.append(f"{run.name} has not been evaluated: `wavekit evaluate {run.folder.path} --at all` does it.")
        if run.lock["inexact"]:
            notes.append(f"{run.name} was resumed in a changed environment: it is not exactly reproducible.")
    for group in groups:
        if len({runs[index].seed for index in group.members}) < len(group.members):
            notes.append(f"{group.name} holds runs of the same seed: their deviation is not one over seeds.")
    if len({run.newest["averaged"] for run in runs if run.newest}) > 1:
        notes.append("Some figures are those of averaged weights, others of the last weights.")
    return notes
