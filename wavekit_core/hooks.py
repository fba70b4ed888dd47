"""Behaviour hooks: what a plugin can do beside offering components. This file is the whole surface.

A plugin implements any of these as a module-level function marked with `hookimpl`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("wavekit")
hookimpl = pluggy.HookimplMarker("wavekit")


@hookspec
def run_started(folder: Path, resumed_from: int | None) -> None:
    """A run begins, or goes on from a step. `folder` is the run folder."""


@hookspec
def step_done(folder: Path, step: int, row: dict[str, Any]) -> None:
    """A row of metrics.jsonl was written. Trackers live here: `row` holds losses and terms by name."""


@hookspec
def checkpoint_written(folder: Path, step: int) -> None:
    """`checkpoints/step-N` is complete on disk."""


@hookspec
def report_section(view: Any) -> Any:
    """A section of report.html for this run (`view` is a `wavekit_core.report.sections.View`): a `Section` of that module, or
    None."""


@hookspec
def run_ended(folder: Path, step: int) -> None:
    """The run is finished: the report is written."""


def each(made: pluggy.PluginManager, name: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
    """Call every implementation of a hook: (plugin's name, what it gave, or the Exception that it raised). One that fails keeps
    no other from being called."""
    for implementation in getattr(made.hook, name).get_hookimpls():
        try:
            result = implementation.function(*(arguments[argument] for argument in implementation.argnames))
        except Exception as error:
            result = error
        yield implementation.plugin_name, result


def manager() -> pluggy.PluginManager:
    """A plugin manager that knows these hooks."""
    import wavekit_core.hooks as specification

    made = pluggy.PluginManager("wavekit")
    made.add_hookspecs(specification)
    return made
