"""Cells of a grid that train the same are trained once, and end with the bytes that they would have had by themselves."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests.runs.run_folders import rewrite
from tests.test_resume import results
from wavekit_core.compare.collect import collect
from wavekit_core.recipe.recipe import Recipe, load
from wavekit_core.run import start
from wavekit_core.runs.elsewhere import trained_elsewhere
from wavekit_core.runs.folder import RunFolder
from wavekit_core.runs.verify import verify
from wavekit_core.watch import Watcher

VAE = """
name: shared
data: {use: digits, size: 8}
generator: {use: vae, width: 4, code: 2}
sampler: {use: posterior-fit, components: 1}
train: {steps: 4, batch_size: 16, ema: 0.9, checkpoint_every: 2, log_every: 2, threads: 1}
samples: {count: 10, batch_size: 10, timed: 2}
evaluate: [{use: mse}]
"""
GMM = """
data: {use: digits, size: 8}
transform: {use: haar, norm: whiten}
generator: {use: gmm, components: 2}
train: {steps: 0, threads: 1}
"""
OTHER = ("sampler.components=2", "samples.count=12", "name=other")


class Told(Watcher):
    """Keeps what is said, and which phases there were."""

    def __init__(self):
        self.lines: list[str] = []

    def phase(self, name, total, done=0, unit=""):
        self.lines.append(name)
        return super().phase(name, total, done, unit)

    def say(self, text):
        self.lines.append(text)

    warn = say


def run(recipe: Recipe, folder: Path, **options) -> list[str]:
    told = Told()
    start(recipe, b"", folder, torch.device("cpu"), told, **options)
    return told.lines


def grid_in(folder: Path) -> Path:
    """The folder of cells in the folder of a grid."""
    folder.mkdir(exist_ok=True)
    (folder / "grid.json").touch()
    return folder / "cells"


class Shared(NamedTuple):
    """A grid with the cells `first` and `other`, which took over what the first trained, and `other` as trained by itself."""

    cells: Path
    alone: Path
    recipe: Recipe
    said: list[str]


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Shared:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "recipe.yaml").write_text(VAE)
    other = load(folder / "recipe.yaml", OTHER)
    cells = grid_in(folder / "g")
    run(load(folder / "recipe.yaml"), cells / "first")
    said = run(other, cells / "other")
    run(other, folder / "alone")
    return Shared(cells, folder / "alone", other, said)


@pytest.fixture
def begun(shared, tmp_path) -> Path:
    """The folder of cells of a copy of the grid with its first cell alone."""
    cells = grid_in(tmp_path / "g")
    shutil.copytree(shared.cells / "first", cells / "first")
    return cells


def killed_at(number: int, recipe: Recipe, folder: Path, **options) -> bool:
    """Run it in a child that kills itself before its rename of that number; whether it came so far."""
    child = os.fork()
    if child == 0:
        rename, seen = os.rename, []

        def killing(*args):
            seen.append(args)
            if len(seen) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*args)

        os.rename = killing
        run(recipe, folder, **options)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_a_cell_that_takes_weights_over_has_the_bytes_that_it_would_have_trained(shared):
    taken = shared.cells / "other"
    assert "trained as cell first: its weights are taken over" in shared.said
    assert "training" not in shared.said
    assert [RunFolder(path).lock()["trained_in"] for path in (shared.cells / "first", taken)] == [None, "first"]
    assert results(taken) == results(shared.alone)
    assert verify(taken) == verify(shared.alone)
    assert RunFolder(taken).finished


def test_rates_of_training_are_taken_over_and_drawing_is_timed_anew(shared):
    first, other = (collect(RunFolder(shared.cells / name), name) for name in ("first", "other"))
    assert (first.seconds, first.terms) == (other.seconds, other.terms)
    assert [len(one.folder.drawings()) for one in (first, other)] == [1, 1]
    assert first.drawing != other.drawing


def test_a_cell_that_took_weights_over_trains_on_as_any_other(shared, tmp_path):
    for path in (shared.cells / "other", shared.alone):
        shutil.copytree(path, tmp_path / path.name)
        assert killed_at(3, shared.recipe, tmp_path / path.name, extend=2)  # before its first checkpoint
        said = run(shared.recipe, tmp_path / path.name)
        assert not any("by itself" in line for line in said)
    assert RunFolder(tmp_path / "other").lock()["trained_in"] == "first"
    assert "step-00000006/model.safetensors" in str(results(tmp_path / "other").keys())
    assert results(tmp_path / "other") == results(tmp_path / "alone")


def test_of_checkpoints_that_are_kept_no_longer_no_pictures_are_made(recipe, tmp_path):
    path, cells = recipe(VAE), grid_in(tmp_path / "g")
    often = ("train.checkpoint_every=1", "evaluate=[]", "samples.timed=0")
    run(load(path, often), cells / "first")
    run(load(path, [*often, *OTHER]), cells / "other")
    assert [RunFolder(cells / name).sample_steps() for name in ("first", "other")] == [[1, 2, 3, 4], [3, 4]]


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        (OTHER, True),
        (("evaluate=[]", "control={use: gmm}", "sampler=null"), True),
        (("seed=1",), False),
        (("generator.code=3",), False),
        (("train.log_every=1",), False),
        (("data.size=16",), False),
    ],
)
def test_what_training_reads_keeps_cells_apart(recipe, settings, same):
    path = recipe(VAE)
    assert (load(path).training() == load(path, settings).training()) is same


@pytest.mark.parametrize(
    "change",
    [
        {"inexact": True},
        {"threads": 2},
        {"torch": "1.0"},
        {"processes": 2},
        {"data": "x"},
        {"steps": 6},
        {"training": "0" * 64},
        {"plugins": {"wavekit-core": {"version": "0.1.0", "sha256": "0" * 64}}},
    ],
)
def test_a_donor_that_is_inexact_or_of_another_environment_gives_nothing(shared, begun, change):
    facts = RunFolder(shared.alone).lock()
    assert trained_elsewhere(RunFolder(begun / "new"), facts).path == begun / "first"
    rewrite(begun / "first", "lock.json", lambda lock: lock.update(change))
    assert trained_elsewhere(RunFolder(begun / "new"), facts) is None


def test_a_cell_that_trained_by_itself_gives_before_one_that_took_over_and_runs_outside_a_grid_give_nothing(
    shared, begun
):
    facts = RunFolder(shared.alone).lock()
    shutil.copytree(shared.cells / "other", begun / "a")
    assert trained_elsewhere(RunFolder(begun / "new"), facts).path.name == "first"
    (begun / "first" / "report.html").unlink()  # it is damaged now, or not finished
    assert trained_elsewhere(RunFolder(begun / "new"), facts).path.name == "a"
    (begun.parent / "grid.json").unlink()
    assert trained_elsewhere(RunFolder(begun / "new"), facts) is None


def test_a_damaged_donor_is_told_of_and_the_cell_trains_by_itself(shared, begun):
    file = begun / "first" / "checkpoints" / "step-00000004" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    said = run(shared.recipe, begun / "other")
    assert any(line.startswith("cell first cannot be taken over: ") for line in said)
    assert RunFolder(begun / "other").lock()["trained_in"] is None
    assert results(begun / "other") == results(shared.alone)


@pytest.mark.parametrize("number", [4, pytest.param(range(1, 40), marks=pytest.mark.long)], ids=["once", "at-any"])
def test_killed_while_it_takes_over_it_ends_with_the_same_bytes(shared, begun, number):
    for at in [number] if isinstance(number, int) else number:
        killed = killed_at(at, shared.recipe, begun / "other")
        said = run(shared.recipe, begun / "other")
        assert "training" not in said
        assert results(begun / "other") == results(shared.alone)
        assert RunFolder(begun / "other").lock()["trained_in"] == "first"
        if not killed:
            break
        shutil.rmtree(begun / "other")
    assert killed is isinstance(number, int)


def test_when_the_donor_is_gone_an_interrupted_cell_trains_by_itself(shared, begun):
    assert killed_at(4, shared.recipe, begun / "other")
    shutil.rmtree(begun / "first")
    said = run(shared.recipe, begun / "other")
    assert any("this one trains by itself" in line for line in said)
    assert RunFolder(begun / "other").lock()["trained_in"] is None
    assert results(begun / "other") == results(shared.alone)


def test_what_is_only_fitted_is_shared_too(recipe, tmp_path):
    path, cells = recipe(GMM), grid_in(tmp_path / "g")
    run(load(path), cells / "first")
    said = run(load(path, ["samples.count=5"]), cells / "other")
    assert "trained as cell first: its weights are taken over" in said
    assert "fitting to the data" not in said
    weights = [RunFolder(cells / name).checkpoint_files(0)["model.safetensors"] for name in ("first", "other")]
    assert weights[0] == weights[1]
    listed = json.loads((cells / "other" / "manifest.json").read_text())["files"]
    assert {"evaluation.json", "report.html"} <= set(listed)
