"""wavekit plugins search"""

from __future__ import annotations

from typing import Annotated

from rich.table import Table
from typer import Argument

from wavekit_cli.console import out
from wavekit_core import catalogue
from wavekit_core.registry import installed


def command(words: Annotated[str, Argument(help="What to look for (nothing: everything).")] = "") -> None:
    """Search the catalogue of known plugins, installed or not."""
    have = {entry.distribution for entry in installed().all()}
    table = Table("plugin", "", "summary", "offers", box=None, pad_edge=False)
    for plugin in catalogue.plugins():
        offers = ", ".join(component.name for component in plugin.components)
        text = f"{plugin.name} {plugin.summary} {offers} {' '.join(c.summary for c in plugin.components)}".lower()
        if words.lower() in text:
            state = "installed" if plugin.distribution in have else plugin.status
            table.add_row(plugin.distribution, state, plugin.summary, offers)
    out().print(table)
