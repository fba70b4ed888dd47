"""wavekit run"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, echo

from wavekit_core.recipe.compose import compose, locate
from wavekit_core.runs.owner import owned

Settings = Annotated[list[str] | None, Option("--set", "-s", metavar="KEY=VALUE", help="Set a value of the recipe.")]
DataRoot = Annotated[Path | None, Option(help="Folder of the named data sets (or WAVEKIT_DATA_ROOT).")]
Device = Annotated[str, Option(help="auto, cpu, cuda or cuda:N.")]


def command(
    recipe: Annotated[Path, Argument(help="A recipe file, or the name of a shipped recipe.")],
    settings: Settings = None,
    out: Annotated[Path | None, Option(help="The run folder (default: runs/NAME).")] = None,
    device: Device = "auto",
    threads: Annotated[int, Option(min=0, max=4096, help="CPU threads (0: as the recipe says).")] = 0,
    data_root: DataRoot = None,
    extend: Annotated[int, Option(min=0, metavar="STEPS", help="Train a run further by so many steps.")] = 0,
    resume_anyway: Annotated[bool, Option("--resume-anyway", help="Go on although the environment changed.")] = False,
) -> None:
    """Train, sample, measure and report. On an interrupted run, go on; on a finished one, change nothing."""
    from wavekit_cli.console import watcher

    use_data_root(data_root)
    value = compose(recipe, settings or ())
    name = value.get("name")
    legal = name and isinstance(name.data, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name.data)
    folder = out or Path("runs") / (str(name.data) if name and legal else "run")
    with owned(folder):  # before torch is imported: a second writer is told at once
        from wavekit_core.recipe.recipe import from_value
        from wavekit_core.run import start
        from wavekit_core.session import choose_device

        start(
            from_value(value),
            source=locate(recipe).read_bytes(),
            folder=folder,
            device=choose_device(device),
            watcher=watcher(),
            extend=extend,
            resume_anyway=resume_anyway,
            threads=threads,
        )
    echo(folder / "report.html")


def use_data_root(path: Path | None) -> None:
    """Let data sets look there."""
    if path is not None:
        os.environ["WAVEKIT_DATA_ROOT"] = str(path)
