"""wavekit evaluate"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from wavekit_cli.commands.run import DataRoot, Device, use_data_root


def command(
    run: Annotated[Path, Argument(help="A run folder.")],
    at: Annotated[int | None, Option(metavar="STEP", help="A checkpoint's step (default: the newest).")] = None,
    json_file: Annotated[Path | None, Option("--json", metavar="FILE", help="Write the figures there.")] = None,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Measure a run's checkpoint again, with the metrics of its recipe."""
    use_data_root(data_root)
    from wavekit_cli.console import out, watcher
    from wavekit_cli.figures import figures_table
    from wavekit_core.evaluation import evaluate
    from wavekit_core.run import load_model, recipe_of
    from wavekit_core.runs.facts import machine
    from wavekit_core.runs.folder import RunFolder
    from wavekit_core.runs.publish import publish_file
    from wavekit_core.session import choose_device

    folder = RunFolder(run)
    session, step = load_model(recipe_of(folder), folder, choose_device(device), at, watcher())
    rows = evaluate(session, session.watcher)
    out().print(figures_table(rows))
    if json_file:
        lock = folder.lock()
        result = {
            "command": f"wavekit run {lock['name']}; wavekit evaluate {run}",
            "recipe": lock["recipe"],
            "step": step,
            "seed": lock["seed"],
            "commit": lock["git"],
            "machine": machine(),
            "figures": rows,
        }
        publish_file(json_file, json.dumps(result, indent=1).encode() + b"\n")
