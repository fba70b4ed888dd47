"""wavekit report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, echo

from wavekit_cli.commands.run import DataRoot, Device, use_data_root
from wavekit_core.runs.owner import owned


def command(
    run: Annotated[Path, Argument(help="A finished run folder.")],
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Write a run's report again, for example after a plugin has brought a new section."""
    use_data_root(data_root)
    with owned(run):
        from wavekit_core.errors import RecipeError
        from wavekit_core.opened import load_model, recipe_of
        from wavekit_core.report.page import render
        from wavekit_core.runs.folder import RunFolder
        from wavekit_core.session import choose_device

        folder = RunFolder(run)
        step = folder.evaluated_step()
        if step is None:
            raise RecipeError(f"{run}: is not finished; `wavekit run` goes on with it")
        session, _ = load_model(recipe_of(folder), folder, choose_device(device), step)
        folder.put("report.html", render(session, folder, step))
    echo(run / "report.html")
