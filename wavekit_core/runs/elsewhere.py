"""Cells of a grid that train the same weights: one trains them, the others take them over."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from wavekit_core.errors import WavekitError
from wavekit_core.runs.folder import RunFolder

# facts of lock.json on which the bytes of a training depend; plugins are compared one by one
_ALIKE = (
    "training",
    "data",
    "steps",
    "seed",
    "python",
    "torch",
    "numpy",
    "transforms",
    "device",
    "threads",
    "processes",
)


def trained_elsewhere(run: RunFolder, facts: Mapping[str, Any]) -> RunFolder | None:
    """A finished cell of the grid in which `run` stands that trained what `run`, with these facts of lock.json, would train, to
    the same bytes; None if there is none. One that trained by itself comes first."""
    return next(_trained(run, facts), None)


def _trained(run: RunFolder, facts: Mapping[str, Any]) -> Iterator[RunFolder]:
    cells = run.path.parent
    if not (cells.parent / "grid.json").exists():
        return
    others = []
    for path in sorted(cells.glob("*/lock.json")):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            lock = json.loads(path.read_bytes())  # unchecked: it says which are worth checking
            if path.parent.name != run.path.name and lock.get("training") == facts["training"]:
                others.append((lock.get("trained_in") is not None, path.parent))
    for _, path in sorted(others):
        other = RunFolder(path)
        with contextlib.suppress(WavekitError):  # what cannot be read gives nothing
            if _same(other.lock(), facts) and other.finished:
                yield other


def _same(lock: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    plugins = set(lock["plugins"]) & set(facts["plugins"])  # that of a sampler may be in use in one of them alone
    alike = all(lock.get(key) == facts.get(key) for key in _ALIKE)
    return alike and not lock["inexact"] and all(lock["plugins"][name] == facts["plugins"][name] for name in plugins)
