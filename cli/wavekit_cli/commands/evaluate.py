"""wavekit evaluate"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from wavekit_cli.commands.run import DataRoot, Device, use_data_root
from wavekit_core.errors import RecipeError
from wavekit_core.runs.owner import owned

if TYPE_CHECKING:
    from wavekit_core.runs.folder import RunFolder


def command(
    run: Annotated[Path, Argument(help="A run folder.")],
    at: Annotated[
        str | None,
        Option(
            metavar="STEP|all",
            help="A checkpoint's step, or every checkpoint that has no figures yet; they are kept in the run "
            "folder. Without it the newest is measured and nothing is kept.",
        ),
    ] = None,
    json_file: Annotated[Path | None, Option("--json", metavar="FILE", help="Write the figures there.")] = None,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Measure checkpoints of a run again, with the metrics of its recipe."""
    use_data_root(data_root)
    if at is not None and at != "all" and not re.fullmatch(r"-?[0-9]{1,12}", at):
        raise RecipeError(f"--at {at}: is no step; write the number of one, or all")
    with owned(run) if at is not None else contextlib.nullcontext():
        from wavekit_cli.console import out
        from wavekit_cli.figures import print_table
        from wavekit_core.report.cells import figure_cells, step_cells
        from wavekit_core.runs.folder import RunFolder
        from wavekit_core.runs.publish import publish_file

        folder = RunFolder(run)
        if at == "all":
            result = _all(folder, device)
            cells = step_cells(folder.evaluations())
        else:
            measured = _measured(folder, None if at is None else int(at), device, keep=at is not None)
            result = _head(folder) | {"step": measured["step"], "figures": measured["figures"]}
            cells = figure_cells(measured["figures"])
        print_table(out(), cells)
        if json_file:
            publish_file(json_file, json.dumps(result, indent=1).encode() + b"\n")


def _all(folder: RunFolder, device: str) -> dict[str, Any]:
    """Measure every checkpoint that has no figures yet; every figure as a row."""
    from wavekit_cli.console import watcher

    lock = folder.lock()
    known = {one["step"] for one in folder.evaluations()}
    missing = [step for step in folder.steps() if step not in known]
    for index, step in enumerate(missing, 1):
        watcher().say(f"step {step} ({index} of {len(missing)})")
        _measured(folder, step, device, keep=True)
    keys = ("name", "value", "unit", "better", "floor", "subject")
    rows = [
        {"step": one["step"], **{key: row[key] for key in keys}, "N": row["count"]}
        for one in folder.evaluations()
        for row in one["figures"]
    ]
    return {"title": f"{lock['name']}, by step", **_head(folder), "rows": rows}


def _measured(folder: RunFolder, at: int | None, device: str, keep: bool) -> dict[str, Any]:
    """The figures of one checkpoint in the form of evaluation.json."""
    from wavekit_cli.console import watcher
    from wavekit_core.evaluation import measured
    from wavekit_core.opened import load_model, recipe_of
    from wavekit_core.session import choose_device

    recipe = recipe_of(folder)
    session, step = load_model(recipe, folder, choose_device(device), at, watcher())
    found = measured(session, step, session.watcher)
    if keep:
        folder.publish_evaluation(step, json.dumps(found, indent=1, allow_nan=False).encode() + b"\n")
    return found


def _head(folder: RunFolder) -> dict[str, Any]:
    from wavekit_core.runs.facts import machine

    lock = folder.lock()
    return {
        "command": f"wavekit run {lock['name']}; wavekit evaluate {folder.path}",
        "recipe": lock["recipe"],
        "seed": lock["seed"],
        "commit": lock["git"],
        "machine": machine(),
    }
