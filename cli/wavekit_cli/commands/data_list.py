"""wavekit data list"""

from __future__ import annotations

from rich.table import Table

from wavekit_cli.commands.run import DataRoot, use_data_root
from wavekit_cli.console import out
from wavekit_core.errors import DataError
from wavekit_core.recipe.faults import RecipeFaults
from wavekit_core.registry import installed


def command(data_root: DataRoot = None) -> None:
    """The data sets that recipes can name, and which are here."""
    use_data_root(data_root)
    table = Table("name", "plugin", "state", box=None, pad_edge=False)
    for name in installed().names("dataset"):
        entry = installed().find("dataset", name)
        table.add_row(name, entry.distribution, _state(name))
    out().print(table)


def _state(name: str) -> str:
    from wavekit_core.recipe.nodes import build_named

    try:
        dataset = build_named("dataset", {"use": name})
    except RecipeFaults:
        return "needs parameters: see `wavekit plugins info " + name + "`"
    except DataError as error:
        return str(error)[:200]
    return f"{dataset.space}, {len(dataset.train):,} + {len(dataset.held_out):,} held out"
