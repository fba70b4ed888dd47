"""wavekit check"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument

from wavekit_cli.commands.run import DataRoot, Settings, use_data_root
from wavekit_core.recipe.compose import compose
from wavekit_core.recipe.grid import expand, is_grid

if TYPE_CHECKING:
    from wavekit_core.check import Findings
    from wavekit_core.recipe.grid import Cell


def command(
    recipe: Annotated[Path, Argument(help="A recipe file, or the name of a shipped recipe.")],
    settings: Settings = None,
    data_root: DataRoot = None,
) -> None:
    """Walk a recipe's pipeline without computing anything: spaces, parameters, cost of a step, memory. All cells of a grid."""
    use_data_root(data_root)
    value = compose(recipe, settings or ())
    if is_grid(value):
        from wavekit_core.grid import claims_of, parted

        value, claims = parted(value)
        cells = expand(value)
        claims_of(claims, cells)
        _check_cells(cells)
        return
    from rich.table import Table

    from wavekit_cli.console import out
    from wavekit_core.check import check
    from wavekit_core.recipe.recipe import from_value

    findings = check(from_value(value))
    console = out()
    table = Table("after", "space", box=None, pad_edge=False)
    for name, space in findings.spaces:
        table.add_row(name, space)
    console.print(table)
    for name, count in findings.parameters.items():
        console.print(f"objective {name}: {count:,} parameters")
    if findings.flops is not None and findings.parameters:
        console.print(f"a step: {_cost(findings)} GFLOP, about {findings.memory / 1e6:.0f} MB")
    if findings.evaluations:
        stages = ", ".join(f"{count:,} of the {stage}" for stage, count in findings.evaluations.items())
        console.print(f"evaluations for one image: {stages}")
    for remark in findings.remarks:
        console.print(f"note: {remark}")
    console.print("the recipe fits" + _unread(findings.data_read))


def _check_cells(cells: list[Cell]) -> None:
    """A line a cell, the remarks below, and every fault at the end."""
    from rich.table import Table

    from wavekit_cli.console import out
    from wavekit_core.grid import examine, require_whole

    console = out()
    table = Table("cell", "parameters", "GFLOP a step", "MB", "", box=None, pad_edge=False)
    remarks: dict[str, list[str]] = {}
    examined = examine(cells)
    for one in examined:
        found = one.findings
        state = f"{len(one.faults)} fault{'s' * (len(one.faults) > 1)}" if one.faults else "fits"
        size = [f"{sum(found.parameters.values()):,}", _cost(found), f"{found.memory / 1e6:.0f}"] if found else [""] * 3
        table.add_row(one.cell.name, *size, state)
        for remark in found.remarks if found else ():
            remarks.setdefault(remark, []).append(one.cell.name)
    console.print(table)
    for remark, names in remarks.items():
        where = "" if len(names) == len(cells) else f"{', '.join(names[:3])}{', …' * (len(names) > 3)}: "
        console.print(f"note: {where}{remark}")
    require_whole(examined)
    read = all(one.findings.data_read for one in examined if one.findings)
    console.print(f"all {len(cells)} cells fit{_unread(read)}")


def _unread(data_read: bool) -> str:
    return "" if data_read else "; the data could not be read"


def _cost(findings: Findings) -> str:
    """GFLOP of a step, as far as they are known."""
    return "" if findings.flops is None else f"{findings.flops / 1e9:.3g}"
