"""wavekit check"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument

from wavekit_cli.commands.run import DataRoot, Settings, use_data_root


def command(
    recipe: Annotated[Path, Argument(help="A recipe file, or the name of a shipped recipe.")],
    settings: Settings = None,
    data_root: DataRoot = None,
) -> None:
    """Walk a recipe's pipeline without computing anything: spaces, parameters, cost of a step, memory."""
    use_data_root(data_root)
    from rich.table import Table

    from wavekit_cli.console import out
    from wavekit_core.check import check
    from wavekit_core.recipe.recipe import load

    findings = check(load(recipe, settings or ()))
    console = out()
    table = Table("after", "space", box=None, pad_edge=False)
    for name, space in findings.spaces:
        table.add_row(name, space)
    console.print(table)
    for name, count in findings.parameters.items():
        console.print(f"objective {name}: {count:,} parameters")
    if findings.flops is not None and findings.parameters:
        console.print(f"a step: {findings.flops / 1e9:.3g} GFLOP, about {findings.memory / 1e6:.0f} MB")
    for remark in findings.remarks:
        console.print(f"note: {remark}")
    console.print("the recipe fits")
