"""wavekit show"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, echo

from wavekit_cli.commands.run import Settings


def command(
    target: Annotated[Path, Argument(help="A recipe (file or shipped name), or a run folder.")],
    settings: Settings = None,
) -> None:
    """A recipe with every default filled in and the origin of each value, or the state of a run."""
    if target.is_dir():
        _show_run(target)
        return
    from wavekit_core.recipe.recipe import load
    from wavekit_core.recipe.resolved import text

    echo(text(load(target, settings or ())), nl=False)


def _show_run(path: Path) -> None:
    from wavekit_cli.console import out
    from wavekit_cli.figures import figures_table
    from wavekit_core.runs.folder import RunFolder, json_of

    folder = RunFolder(path)
    head, lock, steps = folder.head(), folder.lock(), folder.steps()
    console = out()
    state = "finished" if folder.finished else "not finished"
    console.print(f"{lock['name']}: {state}, step {steps[-1] if steps else 0} of {lock['steps']}")
    if "evaluation.json" in head:
        console.print(figures_table(json_of(head["evaluation.json"], path / "evaluation.json")["figures"]))
    if "report.html" in head:
        console.print(f"report: {path / 'report.html'}")
