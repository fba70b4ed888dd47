"""The run folder: what one execution of a recipe leaves, and how it is read back.

recipe.yaml  resolved.yaml  lock.json       what was asked for, every default, the environment (published together)
metrics.jsonl  timing.jsonl                 losses without a clock; rates, and seconds of drawing
checkpoints/step-N/                         weights, averaged weights, optimizer, state; a manifest
samples/step-N/                             the sampler, pictures and samples from that checkpoint; a manifest
evaluations/step-N/                         figures of that checkpoint, measured later; a manifest
evaluation.json  report.html                figures, and the page to look at
manifest.json                               SHA-256 of the files at the top
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wavekit_core.errors import DamagedError, RecipeError
from wavekit_core.runs import forms, manifest
from wavekit_core.runs.publish import (
    TEMPORARY,
    append,
    disk_faults,
    publish_file,
    publish_folder,
    publish_listed,
    remove_folder,
    roll_forward,
    sweep,
    sweep_beside,
    sync,
)

_STEP = re.compile(r"step-([0-9]{8}|[1-9][0-9]{8,11})")
_ASKED = {"recipe.yaml", "resolved.yaml", "lock.json"}
_NEEDED = {"model.safetensors", "optimizer.safetensors", "state.json"}


class RunFolder:
    """Paths and records of one run. Constructing it reads nothing."""

    def __init__(self, path: Path):
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.samples = path / "samples"
        self.evaluated = path / "evaluations"
        self.metrics = path / "metrics.jsonl"
        self.timing = path / "timing.jsonl"

    @property
    def exists(self) -> bool:
        return (self.path / "lock.json").exists()

    def require_free(self) -> None:
        """Raises RecipeError if something other than an empty folder stands where a new run is to be made."""
        if self.path.is_dir():
            if Path.cwd().is_relative_to(self.path.resolve()):
                raise RecipeError(f"{self.path}: is the current folder; name another with --out")
            if any(self.path.iterdir()):
                raise RecipeError(
                    f"{self.path}: is no run folder, and is not empty; name a new or an empty folder with --out"
                )
        elif os.path.lexists(self.path):
            raise RecipeError(f"{self.path}: is a file, not a folder; name a folder with --out")

    def create(self, files: Mapping[str, bytes]) -> None:
        """Publish the folder with recipe, resolved recipe and lock."""
        self.require_free()
        publish_folder(self.path, files)

    def tidy(self) -> None:
        """Remove what a killed writer left half done."""
        with disk_faults(self.path):
            if self.exists:
                roll_forward(self.path)
                sweep(self.path)
            sweep_beside(self.path)

    # --- what the run was started with

    def head(self) -> dict[str, bytes]:
        """recipe.yaml, resolved.yaml, lock.json and, once there, evaluation.json and report.html, all checked."""
        if not self.path.is_dir():
            raise RecipeError(f"{self.path}: there is no such run; name a folder that `wavekit run` made")
        if (self.path / "grid.json").exists():
            raise RecipeError(f"{self.path}: is a grid; name one of its cells: {self._a_cell()}")
        if not self.exists:
            raise DamagedError(f"{self.path}: is no run folder (it has no lock.json)")
        listed = manifest.listing(self.path)
        for name in sorted(_ASKED - set(listed)):
            raise DamagedError(f"{self.path / manifest.NAME}: does not list {name}")
        contents = {name: self._head_file(name, expected) for name, expected in listed.items()}
        forms.read(forms.Lock, contents["lock.json"], self.path / "lock.json")
        if "evaluation.json" in contents:
            forms.read(forms.Evaluation, contents["evaluation.json"], self.path / "evaluation.json")
        return contents

    def _a_cell(self) -> Path:
        cells = self.path / "cells"
        return min(cells.glob("*/lock.json"), default=cells / "…" / "lock.json").parent

    def _head_file(self, name: str, expected: Mapping[str, Any]) -> bytes:
        """A file of the head; a killed writer may have left its promised content under its temporary name."""
        try:
            return manifest.read_listed(self.path / name, expected)
        except DamagedError:
            waiting = self.path / f"{TEMPORARY}{name}"
            if not waiting.exists():
                raise
            return manifest.read_listed(waiting, expected)

    def lock(self) -> dict[str, Any]:
        """The environment and key facts that the run was started with."""
        return json_of(self.head()["lock.json"], self.path / "lock.json")

    def put(self, name: str, content: bytes) -> None:
        """Make or replace a file of the head."""
        publish_listed(self.path, name, content)

    def evaluated_step(self) -> int | None:
        """The step that evaluation.json speaks of."""
        found = self.head().get("evaluation.json")
        return json_of(found, self.path / "evaluation.json").get("step") if found else None

    @property
    def finished(self) -> bool:
        """Whether the report stands for the last step that was asked for."""
        steps = self.lock()["steps"]
        report = self.head().get("report.html", b"")
        return self.evaluated_step() == steps and f'data-step="{steps}"'.encode() in report

    # --- checkpoints

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, ascending; the newest is chosen by step, never by time."""
        return _steps(self.checkpoints)

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:08d}"

    def save_checkpoint(self, step: int, files: Mapping[str, bytes], keep: int) -> None:
        """Publish a checkpoint, after the metrics that it refers to, and prune old ones. Raises ResourceError."""
        with disk_faults(self.path):
            for log in (self.metrics, self.timing):
                if log.exists():
                    sync(log)
            sync(self.path)
        publish_folder(self.checkpoint(step), files)
        with disk_faults(self.path):
            for old in self.steps()[:-keep]:
                remove_folder(self.checkpoint(old))

    def drop_checkpoints(self, steps: Iterable[int]) -> None:
        """Remove checkpoints that are damaged."""
        with disk_faults(self.path):
            for step in steps:
                remove_folder(self.checkpoint(step))

    def restorable(self) -> Iterator[tuple[int, dict[str, bytes] | DamagedError]]:
        """Checkpoints from the newest to the oldest: their checked contents, or what is wrong with them.

        Raises ResourceError for what cannot be read at the moment: that is no damage.
        """
        for step in reversed(self.steps()):
            try:
                yield step, self.checkpoint_files(step)
            except DamagedError as error:
                yield step, error

    def checkpoint_files(self, step: int) -> dict[str, bytes]:
        """The contents of a checkpoint, checked, with the log that it refers to. Raises DamagedError, ResourceError."""
        path = self.checkpoint(step)
        files = manifest.read_checked(path)
        for name in sorted(_NEEDED - set(files)):
            raise DamagedError(f"{path}: has no {name}")
        state = forms.read(forms.State, files["state.json"], path / "state.json")
        if state.step != step:
            raise DamagedError(f"{path}: holds step {state.step}")
        content = self._log(state.metrics.bytes)
        if len(content) != state.metrics.bytes or manifest.digest(content) != state.metrics.sha256:
            raise DamagedError(f"{self.metrics}: does not hold what the checkpoint of step {step} refers to")
        return files

    # --- logs

    def log(self, row: Mapping[str, Any]) -> None:
        append(self.metrics, json.dumps(row))

    def log_timing(self, row: Mapping[str, Any]) -> None:
        append(self.timing, json.dumps(row))

    def timings(self) -> list[dict[str, Any]]:
        """The rows of timing.jsonl: rates of training, and seconds of drawing. Raises DamagedError."""
        return [json_of(line, self.timing) for line in _content(self.timing).splitlines()]

    def drawings(self) -> list[dict[str, Any]]:
        """Those that say how long drawing takes: `{step, drawn, trials, seconds, deviation}`."""
        return [row for row in self.timings() if "drawn" in row]

    def take_logs(self, other: RunFolder) -> None:
        """Take over the metrics and the rates of another run. Raises DamagedError."""
        rates = [json.dumps(row) for row in other.timings() if "drawn" not in row]
        for log, content in (
            (self.metrics, other._log()),
            (self.timing, "".join(f"{row}\n" for row in rates).encode()),
        ):
            if content:
                publish_file(log, content)

    def log_facts(self) -> dict[str, Any]:
        """Length and digest of metrics.jsonl, for a checkpoint to refer to."""
        content = self._log()
        return {"bytes": len(content), "sha256": manifest.digest(content)}

    def truncate_metrics(self, length: int) -> None:
        """Cut metrics.jsonl back to what a checkpoint refers to."""
        content = self._log()
        if len(content) != length:
            publish_file(self.metrics, content[:length])

    def rows(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl. Raises DamagedError for a line that is no JSON object."""
        return [json_of(line, self.metrics) for line in self._log().splitlines()]

    def _log(self, length: int = -1) -> bytes:
        """metrics.jsonl, or its beginning."""
        return _content(self.metrics, length)

    # --- results

    def sample_steps(self) -> list[int]:
        return _steps(self.samples)

    def drop_samples(self, after: int) -> None:
        """Remove the samples of later steps."""
        with disk_faults(self.path):
            for step in self.sample_steps():
                if step > after:
                    remove_folder(self.sample_folder(step))

    def publish_samples(self, step: int, files: Mapping[str, bytes]) -> None:
        publish_folder(self.sample_folder(step), files)

    def sample_files(self, step: int) -> dict[str, bytes]:
        """What was drawn from the checkpoint of a step, checked."""
        return manifest.read_checked(self.sample_folder(step))

    def sample_folder(self, step: int) -> Path:
        return self.samples / f"step-{step:08d}"

    def evaluation_steps(self) -> list[int]:
        """Steps whose figures were measured by themselves, ascending; that of evaluation.json need not be among them."""
        return _steps(self.evaluated)

    def publish_evaluation(self, step: int, content: bytes) -> None:
        """Keep the figures of a step; `content` is in the form of evaluation.json."""
        publish_folder(self.evaluated / f"step-{step:08d}", {"evaluation.json": content})

    def evaluation(self, step: int) -> dict[str, Any]:
        """The figures of a step, checked. Raises DamagedError."""
        path = self.evaluated / f"step-{step:08d}"
        files = manifest.read_checked(path)
        if set(files) != {"evaluation.json"}:
            raise DamagedError(f"{path}: holds {', '.join(sorted(files)) or 'nothing'}, not evaluation.json alone")
        found = forms.read(forms.Evaluation, files["evaluation.json"], path / "evaluation.json")
        if found.step != step:
            raise DamagedError(f"{path}: holds step {found.step}")
        return found.model_dump()

    def evaluations(self) -> list[dict[str, Any]]:
        """Every evaluation that there is, by step ascending; evaluation.json speaks for its own step."""
        found = {step: self.evaluation(step) for step in self.evaluation_steps()}
        if head := self.head().get("evaluation.json"):
            last = forms.read(forms.Evaluation, head, self.path / "evaluation.json")
            found[last.step] = last.model_dump()
        return [found[step] for step in sorted(found)]

    def drop_evaluations(self, after: int) -> None:
        """Remove the figures of later steps."""
        with disk_faults(self.path):
            for step in self.evaluation_steps():
                if step > after:
                    remove_folder(self.evaluated / f"step-{step:08d}")

    def fingerprint(self) -> str:
        """One digest of weights, averaged weights, metrics and samples."""
        total = hashlib.sha256()
        if steps := self.steps():
            contents = manifest.read_checked(self.checkpoint(steps[-1]))
            for name in ("model.safetensors", "averaged.safetensors"):
                total.update(name.encode() + contents.get(name, b""))
        total.update(self._log())
        for step in self.sample_steps():
            for name, content in sorted(manifest.read_checked(self.sample_folder(step)).items()):
                total.update(f"{step}/{name}".encode() + content)
        return total.hexdigest()


def _content(log: Path, length: int = -1) -> bytes:
    """A log, or its beginning; nothing if there is none yet. Raises DamagedError for no regular file."""
    if not os.path.lexists(log):
        return b""
    with manifest.opened(log) as file:
        return file.read(length)


def _steps(folder: Path) -> list[int]:
    """The steps that have a folder in `folder`, ascending. Raises DamagedError if that is a link or a file."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DamagedError(f"{folder}: is no folder that wavekit made; put back what was there")
    return sorted(step_of(path) for path in folder.glob("step-*") if _STEP.fullmatch(path.name))


def step_of(path: Path) -> int:
    """The step in a folder's name."""
    match = _STEP.fullmatch(path.name)
    return int(match[1]) if match else -1


def json_of(content: bytes, path: Path) -> dict[str, Any]:
    """A JSON object. Raises DamagedError."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise DamagedError(f"{path}: is no JSON") from None
    if not isinstance(data, dict):
        raise DamagedError(f"{path}: is no JSON object")
    return data
