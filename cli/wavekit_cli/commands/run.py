"""wavekit run"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Exit, Option, echo

from wavekit_cli.grids import run_cells
from wavekit_core.errors import RecipeError
from wavekit_core.recipe.compose import compose, locate
from wavekit_core.recipe.grid import is_grid
from wavekit_core.recipe.source import Value
from wavekit_core.runs.owner import owned

Settings = Annotated[list[str] | None, Option("--set", "-s", metavar="KEY=VALUE", help="Set a value of the recipe.")]
DataRoot = Annotated[Path | None, Option(help="Folder of the named data sets (or WAVEKIT_DATA_ROOT).")]
Device = Annotated[str, Option(help="auto, cpu, cuda or cuda:N.")]


def command(
    recipe: Annotated[Path, Argument(help="A recipe file, or the name of a shipped recipe.")],
    context: Context,
    settings: Settings = None,
    out: Annotated[Path | None, Option(help="The run folder (default: runs/NAME).")] = None,
    device: Device = "auto",
    threads: Annotated[int, Option(min=0, max=4096, help="CPU threads of a process (0: as the recipe says).")] = 0,
    processes: Annotated[int, Option(min=1, max=1024, help="Train with so many processes on this machine.")] = 1,
    data_root: DataRoot = None,
    extend: Annotated[int, Option(min=0, metavar="STEPS", help="Train a run further by so many steps.")] = 0,
    resume_anyway: Annotated[bool, Option("--resume-anyway", help="Go on although the environment changed.")] = False,
    cell: Annotated[str | None, Option(metavar="NAME", help="Of a grid, run this cell alone.")] = None,
) -> None:
    """Train, sample, measure and report. On an interrupted run, go on; on a finished one, change nothing."""
    from wavekit_cli.console import watcher
    from wavekit_cli.launch import end_with_parent, is_first, launch

    value, argv = compose(recipe, settings or ()), context.find_root().obj
    if cell is not None and not is_grid(value):
        raise RecipeError(f"--cell {cell}: the recipe is no grid; leave --cell away")
    if is_grid(value) and extend and cell is None:
        raise RecipeError("--extend trains one run on; name the cell with --cell, or set train.steps of the grid")
    if processes > 1 and "WORLD_SIZE" not in os.environ and (cell is not None or not is_grid(value)):
        raise Exit(launch(processes, argv))
    end_with_parent()
    use_data_root(data_root)
    name = value.get("name")
    legal = name and isinstance(name.data, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name.data)
    folder = out or Path("runs") / (str(name.data) if name and legal else "run")
    first = is_first()

    def run_one(value: Value, source: bytes, place: Path) -> None:
        with (
            owned(place) if first else contextlib.nullcontext()
        ):  # before torch is imported: a second writer is told at once
            from wavekit_core.engine.processes import environment, joined
            from wavekit_core.recipe.recipe import from_value
            from wavekit_core.run import start
            from wavekit_core.session import choose_device
            from wavekit_core.watch import Watcher

            ours = environment()
            with joined(ours):
                start(
                    from_value(value),
                    source=source,
                    folder=place,
                    device=choose_device(device, ours.local),
                    watcher=watcher() if first else Watcher(),
                    extend=extend,
                    resume_anyway=resume_anyway,
                    threads=threads,
                    processes=ours,
                )

    source = locate(recipe).read_bytes()
    if is_grid(value):
        run_cells(value, source, folder, run_one, cell, processes, argv)
    else:
        run_one(value, source, folder)
    if first:
        echo((folder / "cells" / cell if cell else folder) / "report.html")


def use_data_root(path: Path | None) -> None:
    """Let data sets look there."""
    if path is not None:
        os.environ["WAVEKIT_DATA_ROOT"] = str(path)
