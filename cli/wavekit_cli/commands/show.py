"""wavekit show"""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

from typer import Argument, echo

from wavekit_cli.commands.run import Settings

if TYPE_CHECKING:
    from wavekit_core.compare.collect import Run


def command(
    target: Annotated[Path, Argument(help="A recipe (file or shipped name), or a run folder.")],
    settings: Settings = None,
) -> None:
    """A recipe with every default filled in and the origin of each value, or the state of a run."""
    if (target / "grid.json").exists():
        from wavekit_cli.grids import show_grid

        show_grid(target)
        return
    if target.is_dir():
        _show_run(target)
        return
    from wavekit_core.recipe.recipe import load
    from wavekit_core.recipe.resolved import text

    echo(text(load(target, settings or ())), nl=False)


def _show_run(path: Path) -> None:
    from wavekit_cli.console import out
    from wavekit_cli.figures import print_table
    from wavekit_core.compare.collect import collect
    from wavekit_core.report.cells import figure_cells, step_cells
    from wavekit_core.runs.folder import RunFolder

    folder = RunFolder(path)
    run = collect(folder, path.name)
    console = out()
    state = "finished" if folder.finished else "not finished"
    console.print(f"{run.lock['name']}: {state}, step {run.step} of {run.lock['steps']}, seed {run.seed}")
    for line in _training(run):
        console.print(line)
    if run.newest:
        averaged = "averaged weights" if run.newest["averaged"] else "the last weights"
        console.print(f"figures of step {run.newest['step']}, {averaged}:")
        print_table(console, figure_cells(run.newest["figures"]))
    if len(run.evaluations) > 1:
        console.print("figures by step:")
        print_table(console, step_cells(run.evaluations))
    if "report.html" in folder.head():
        console.print(f"report: {path / 'report.html'}")
    if not folder.finished:
        several = f" --processes {run.lock['processes']}" if run.lock["processes"] > 1 else ""
        console.print(f"go on: wavekit run {quote(str(path / 'resolved.yaml'))} --out {quote(str(path))}{several}")


def _training(run: Run) -> list[str]:
    """What is known of the training: time, last losses, where the checkpoints are."""
    lines = []
    if run.step:
        line = f"training: {run.step * run.batch:,} images"
        if run.seconds:
            step, seconds = run.seconds[-1]
            timed = "" if step == run.step else f", the first {step * run.batch:,}"
            rate = f", {step * run.batch / seconds:,.0f} images/s" if seconds else ""
            line += f"{timed} in {seconds:,.0f} s{rate}"
        lines.append(line)
    if run.terms:
        last = max(points[-1][0] for points in run.terms.values())
        values = [f"{name} {points[-1][1]:.4g}" for name, points in run.terms.items() if points[-1][0] == last]
        lines.append(f"losses at step {last}: {', '.join(values)}")
    steps = run.folder.steps()
    if steps:
        lines.append(f"checkpoints: {run.folder.checkpoints}, steps {', '.join(map(str, steps))}")
    elif run.step < run.lock["steps"]:
        lines.append("checkpoints: none yet; a run that is ended now begins again")
    return lines
