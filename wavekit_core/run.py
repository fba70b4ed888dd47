"""A run: from a recipe to a finished folder, however often it is interrupted on the way."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from wavekit_core.check import check
from wavekit_core.engine.processes import Processes
from wavekit_core.errors import RecipeError
from wavekit_core.execution import Run
from wavekit_core.recipe import resolved
from wavekit_core.recipe.recipe import Recipe
from wavekit_core.runs.folder import RunFolder
from wavekit_core.session import use_threads
from wavekit_core.watch import Watcher

DRAWN = 100  # images of a timed drawing


def start(
    recipe: Recipe,
    source: bytes,
    folder: Path,
    device: torch.device,
    watcher: Watcher,
    extend: int = 0,
    resume_anyway: bool = False,
    threads: int = 0,
    processes: Processes | None = None,
) -> None:
    """Run a recipe in a folder that the caller owns: begin, go on, or say that it is finished.

    A new run is checked before anything is allocated. `threads` is the thread count if one was asked for; a run keeps its own,
    since another changes the bits. Of several processes all call this, and the first alone owns the folder. Raises RecipeError
    if the folder holds something else, a run of another recipe (with the difference), or one of another thread count.
    """
    processes = processes or Processes()
    processes.mine(recipe.train.shards)
    run_folder = RunFolder(folder.resolve() if folder.is_symlink() else folder)
    if not processes.first:
        if agreed := processes.share(None):
            use_threads(int(agreed["threads"]))
            Run(recipe, run_folder, device, watcher, processes).follow()
        return
    run_folder.tidy()
    found = None
    if not run_folder.exists:
        run_folder.require_free()
        wanted = threads or recipe.train.threads or max(1, torch.get_num_threads() // processes.count)
        if wanted * processes.count > (os.cpu_count() or wanted):
            watcher.warn(
                f"{wanted * processes.count} threads on {os.cpu_count()} cores are slower than one for each core"
            )
        use_threads(wanted)
        found = check(recipe)
        for remark in found.remarks:
            watcher.say(f"note: {remark}")
    else:
        _require_same(recipe, run_folder, extend, threads)
        if run_folder.finished and not extend:
            steps = run_folder.lock()["steps"]
            watcher.say(f"{folder}: finished at step {steps}, nothing to do; --extend STEPS trains on")
            processes.share({})
            return
        use_threads(int(run_folder.lock()["threads"]))
    processes.share({"threads": str(torch.get_num_threads()).encode()})
    Run(recipe, run_folder, device, watcher, processes).execute(source, found, resume_anyway, extend)


def _require_same(recipe: Recipe, folder: RunFolder, extend: int, threads: int) -> None:
    """Raise RecipeError if the run in `folder` cannot go on as it is asked to."""
    lock = folder.lock()
    if lock["recipe"] != recipe.digest():
        lines = resolved.difference(folder.head()["resolved.yaml"].decode(), recipe)[:20]
        changed = "\n".join(lines)
        longer = len(lines) == 2 and all("steps:" in line for line in lines)
        remedy = "train on with --extend STEPS, or name" if longer else "name"
        raise RecipeError(
            f"{folder.path}: holds a run of another recipe; {remedy} another folder with --out or -s name=…\n{changed}"
        )
    if extend and not lock["steps"]:
        raise RecipeError(f"{folder.path}: has nothing to train, so --extend means nothing")
    if extend and recipe.train.schedule == "cosine":
        raise RecipeError(f"{folder.path}: a cosine schedule ends with its run; start another with more train.steps")
    if threads not in (0, lock["threads"]):
        raise RecipeError(
            f"{folder.path}: runs with {lock['threads']} threads, and another number changes the results; leave --threads "
            "away, or name another folder with --out"
        )
