"""One run as a comparison sees it, read from its folder and checked. A run that was interrupted gives what it has."""

from __future__ import annotations

import bisect
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from wavekit_core.errors import DamagedError, RecipeError
from wavekit_core.recipe.faults import RecipeFaults
from wavekit_core.recipe.recipe import NOT_TRAINING
from wavekit_core.recipe.source import parse
from wavekit_core.runs.folder import RunFolder, json_of

AXES = {
    "steps": "training step",
    "images": "images seen",
    "seconds": "training time (s)",
    "flops": "FLOPs of training (estimated)",
}
_FORM = ConfigDict(strict=True, allow_inf_nan=False)
_NOT_TERMS = ("step", "images", "rate")


class _FigureRow(BaseModel):
    model_config = _FORM

    subject: str
    name: str
    value: float
    unit: str
    better: Literal["lower", "higher", "real"]
    count: int
    floor: float | None


class _TimingRow(BaseModel):
    model_config = _FORM

    step: Annotated[int, Field(ge=1)]
    images_per_second: Annotated[float, Field(ge=0)]


class _DrawingRow(BaseModel):
    model_config = _FORM

    step: Annotated[int, Field(ge=0)]
    drawn: Annotated[int, Field(ge=1)]
    trials: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(gt=0)]
    deviation: Annotated[float, Field(ge=0)] | None


_FIGURES = TypeAdapter(list[_FigureRow])
_METRICS = TypeAdapter(dict[str, int | float], config=_FORM)


@dataclass(frozen=True)
class Run:
    """A run under the name that tells it apart.

    `recipe` is the resolved recipe as plain data; `terms` are the loss terms with their points (step, value); `seconds` the
    points (step, seconds of training up to it); `drawing` the seconds for 100 images and their standard deviation over trials;
    `evaluations` `{step, averaged, evaluations, figures}`, by step.
    """

    name: str
    folder: RunFolder
    lock: Mapping[str, Any]
    recipe: Mapping[str, Any]
    terms: Mapping[str, Sequence[tuple[int, float]]]
    seconds: Sequence[tuple[int, float]]
    drawing: tuple[float, float | None] | None
    evaluations: Sequence[Mapping[str, Any]]
    step: int

    @property
    def batch(self) -> int:
        return int(self.recipe["train"]["batch_size"])

    @property
    def seed(self) -> int:
        return int(self.lock["seed"])

    @property
    def kin(self) -> str:
        """What runs that differ only in seed and name have in common: a digest of recipe, steps and data."""
        alike = {key: value for key, value in self.recipe.items() if key not in ("name", "seed")}
        return hashlib.sha256(json.dumps([alike, self.lock["steps"], self.lock["data"]]).encode()).hexdigest()

    @property
    def breed(self) -> str:
        """What runs have in common that differ in seed and in how they draw alone: their training's, but for the seed."""
        unlike = (*NOT_TRAINING, "seed")
        alike = {key: value for key, value in self.recipe.items() if key not in unlike}
        return json.dumps([alike, self.lock["steps"], self.lock["data"]])

    @property
    def newest(self) -> Mapping[str, Any] | None:
        """The last evaluation, if there is one."""
        return self.evaluations[-1] if self.evaluations else None

    @property
    def parameters(self) -> int | None:
        """Trained parameters of all objectives."""
        counts = self.lock.get("parameters")
        return None if counts is None else sum(counts.values())

    @property
    def network_evaluations(self) -> int | None:
        """For one image, of the networks of all stages together; None where drawing is not a matter of them."""
        found = (self.newest or {}).get("evaluations")
        return sum(found.values()) if found else None

    def place(self, step: int, axis: str) -> float | None:
        """Where a step stands on one of AXES; None if the run does not know."""
        if axis == "flops":
            each = self.lock.get("flops")
            return None if each is None else float(each) * step
        if axis == "seconds":
            return _between(self.seconds, step)
        return float(step * (self.batch if axis == "images" else 1))


def _between(points: Sequence[tuple[int, float]], step: int) -> float | None:
    """The value at a step, on the straight line between its neighbours; nothing beyond the last point."""
    index = bisect.bisect_left(points, (step, float("-inf")))
    if index == len(points):
        return None
    (low, under), (high, over) = points[index - 1] if index else (0, 0.0), points[index]
    return under + (over - under) * (step - low) / (high - low)


def collect(folder: RunFolder, name: str) -> Run:
    """Read a run. Raises DamagedError, and RecipeError if there is no such run."""
    head = folder.head()
    lock = json_of(head["lock.json"], folder.path / "lock.json")
    recipe = _recipe(head["resolved.yaml"], folder.path / "resolved.yaml")
    rows = [_checked(_METRICS, row, folder.metrics) for row in folder.rows()]
    terms: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if type(row.get("step")) is not int:
            raise DamagedError(f"{folder.metrics}: has a row without a step")
        for key, value in row.items():
            if key not in _NOT_TERMS:
                terms.setdefault(key, []).append((row["step"], value))
    evaluations = folder.evaluations()
    for one in evaluations:
        _checked(_FIGURES, one["figures"], f"{folder.path}: figures of step {one['step']}")
    reached = [row["step"] for row in rows] + folder.steps() + [one["step"] for one in evaluations]
    batch = int(recipe["train"]["batch_size"])
    seconds, drawing = _seconds(folder, batch), _drawing(folder)
    return Run(name, folder, lock, recipe, terms, seconds, drawing, evaluations, max(reached, default=0))


def _recipe(content: bytes, path: Path) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = parse(content.decode(), str(path)).plain()
        if type(plain["train"]["batch_size"]) is int and "use" in plain["data"]:
            return plain
    except (RecipeFaults, UnicodeDecodeError, KeyError, TypeError):
        pass
    raise DamagedError(f"{path}: is no resolved recipe")


def _seconds(folder: RunFolder, batch: int) -> list[tuple[int, float]]:
    """Points (step, seconds of training up to it), from the rates in timing.jsonl. Of a step that was trained again after an
    interruption the last rate counts, as its weights do."""
    rates: dict[int, float] = {}
    for line in folder.timings():
        if "drawn" in line:
            continue
        row = _checked(TypeAdapter(_TimingRow), line, folder.timing)
        rates = {step: rate for step, rate in rates.items() if step < row.step}
        rates[row.step] = row.images_per_second
    points, total, before = [], 0.0, 0
    for step, rate in rates.items():
        total += (step - before) * batch / rate if rate else 0.0
        points.append((step, total))
        before = step
    return points


def _drawing(folder: RunFolder) -> tuple[float, float | None] | None:
    """Seconds for 100 images of the newest step, and their standard deviation."""
    rows = [_checked(TypeAdapter(_DrawingRow), row, folder.timing) for row in folder.drawings()]
    if not rows:
        return None
    newest = max(rows, key=lambda row: row.step)
    share = 100 / newest.drawn
    return newest.seconds * share, None if newest.deviation is None else newest.deviation * share


def _checked(form: TypeAdapter[Any], data: Any, where: object) -> Any:
    try:
        return form.validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:80] or "the whole"
        raise DamagedError(f"{where}: is damaged ({place}: {first['msg'][:120]})") from None


def collect_all(folders: Sequence[RunFolder]) -> list[Run]:
    """Read runs under the shortest ends of their paths that tell them apart. Raises RecipeError for the same run twice."""
    paths = [folder.path.resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise RecipeError(f"{twice}: is named twice; name every run once")
    return [collect(folder, name) for folder, name in zip(folders, _names(paths), strict=True)]


def _names(paths: Sequence[Path]) -> list[str]:
    names = []
    for path in paths:
        ends = range(1, len(path.parts) + 1)
        alone = (n for n in ends if sum(other.parts[-n:] == path.parts[-n:] for other in paths) == 1)
        names.append("/".join(path.parts[-next(alone, len(path.parts)) :]))
    return names
