"""Verifying a run: every digest, the newest restorable step, one fingerprint of all results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wavekit_core.errors import DamagedError, RecipeError
from wavekit_core.runs import manifest
from wavekit_core.runs.folder import RunFolder, step_of


@dataclass(frozen=True)
class Verified:
    """`files` were checked; `step` is the newest that can be restored (-1: none yet)."""

    files: int
    step: int
    fingerprint: str


def verify(path: Path) -> Verified:
    """Check a run folder, or one checkpoint. Reads only. Raises DamagedError that names the first bad file."""
    folder = RunFolder(path)
    if not path.is_dir():
        raise RecipeError(f"{path}: there is no such run")
    if not folder.exists:
        contents = manifest.read_checked(path)
        return Verified(len(contents) + 1, step_of(path), "")
    count = len(folder.head())
    newest = -1
    for step, files in folder.restorable():
        if isinstance(files, DamagedError):
            raise files
        newest = max(newest, step)
        count += len(files) + 1
    for step in folder.sample_steps():
        count += len(folder.sample_files(step)) + 1
    for step in folder.evaluation_steps():
        folder.evaluation(step)
        count += 2
    return Verified(count, newest, folder.fingerprint())
