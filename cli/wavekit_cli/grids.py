"""`wavekit run` on a grid: its cells one after the other, each in this process or in several of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from typer import echo

from wavekit_cli.launch import is_first, launch
from wavekit_core.errors import Interrupted, RecipeError
from wavekit_core.recipe.grid import Cell, expand
from wavekit_core.recipe.source import Value


def run_cells(
    value: Value,
    source: bytes,
    folder: Path,
    run_one: Callable[[Value, bytes, Path], None],
    cell: str | None,
    processes: int,
    argv: Sequence[str],
) -> None:
    """Run a grid, or the one cell that is named. `run_one(recipe, source, folder)` runs a recipe in this process; with several
    processes, `wavekit argv` is started for every cell."""
    from wavekit_core.grid import CellsFailed, claims_of, parted, recipe_text, run_grid

    value, claimed = parted(value)
    cells = expand(value)
    claims = claims_of(claimed, cells)
    if "WORLD_SIZE" in os.environ and cell is None:
        raise RecipeError("several processes train one cell; name it with --cell, or start a grid with --processes")
    if not is_first() and cell is not None:  # the first process keeps the grid's folder
        one = next((one for one in cells if one.name == cell), None)
        if one is not None:
            run_one(one.value, b"", folder / "cells" / one.name)
        return

    from wavekit_cli.console import watcher

    def run_cell(one: Cell, place: Path) -> None:
        if processes == 1 or cell is not None:
            run_one(one.value, recipe_text(one), place)
            return
        code = launch(processes, [*argv, "--cell", one.name])
        if code in (130, 143):
            raise Interrupted(signal.SIGINT if code == 130 else signal.SIGTERM)
        if code:
            raise CellsFailed("its processes failed, as said above", code)

    try:
        run_grid(cells, source, folder, run_cell, watcher(), cell, claims)
    except CellsFailed:
        _show_table(folder)
        raise
    if cell is None:
        _show_table(folder)


def show_grid(folder: Path) -> None:
    """How far a grid is, and its table."""
    from wavekit_core.grid import GridFolder
    from wavekit_core.runs.folder import RunFolder

    grid = GridFolder(folder)
    runs = {cell.name: RunFolder(grid.cell(cell.name)) for cell in grid.facts().cells}
    states = {
        name: "not begun" if not run.exists else "" if run.finished else "not finished" for name, run in runs.items()
    }
    echo(f"{folder}: a grid of {len(runs)} cells, {sum(not state for state in states.values())} finished")
    for name, state in states.items():
        if state:
            echo(f"{name}: {state}")
    _show_table(folder)


def verify_grid(folder: Path) -> None:
    """Check every digest of a grid and its cells, and print the fingerprint of each cell's results."""
    from wavekit_core.grid import GridFolder

    cells = GridFolder(folder).verify()
    for name, found in cells.items():
        echo(f"{name}: {found.files} files, fingerprint {found.fingerprint}")
    echo(f"{folder}: {len(cells)} cells, every digest as written")


def _show_table(folder: Path) -> None:
    """Means over seeds where there are any, else the figures of every cell."""
    from wavekit_cli.console import out
    from wavekit_cli.figures import print_table
    from wavekit_core.compare.rows import legend_of
    from wavekit_core.grid import GridFolder
    from wavekit_core.report.cells import Cells
    from wavekit_core.runs.folder import json_of

    if table := GridFolder(folder).file("table.json"):
        found = json_of(table, folder / "table.json")
        place = 1 if found["means"] and found["rows"] else 0  # figures are first, if there are any
        cells, console = Cells(**found["tables"][place]), out()
        print_table(console, cells)
        for line in legend_of(cells):
            console.print(line, style="dim")
        if "claims" in found:
            console.print()
            print_table(console, Cells(**found["claims"]["table"]))
