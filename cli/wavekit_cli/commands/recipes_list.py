"""wavekit recipes list"""

from __future__ import annotations

from rich.table import Table

from wavekit_cli.console import out
from wavekit_core.recipe.source import first_comment
from wavekit_core.registry import installed


def command() -> None:
    """The recipes that plugins ship: run one by its name, or copy it."""
    table = Table("recipe", "what it shows", box=None, pad_edge=False)
    for name, path in sorted(installed().recipes().items()):
        table.add_row(name, first_comment(path))
    out().print(table)
