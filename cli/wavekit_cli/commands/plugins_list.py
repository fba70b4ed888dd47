"""wavekit plugins list"""

from __future__ import annotations

from rich.table import Table

from wavekit_cli.console import out
from wavekit_core.registry import API, installed


def command() -> None:
    """Installed components by kind, and a line for everything that cannot be used. Imports no plugin."""
    registry = installed()
    table = Table("kind", "name", "plugin", "version", "", box=None, pad_edge=False)
    for entry in registry.all():
        if entry.kind in ("hooks", "recipes"):
            continue
        owners = registry.entries[(entry.kind, entry.name)]
        remark = ""
        if entry.api != API:
            remark = f"made for API version {entry.api}, this is {API}"
        elif len(owners) > 1:
            remark = f"offered {len(owners)} times: write {entry.qualified}"
        table.add_row(entry.kind, entry.name, entry.distribution, entry.version, remark)
    console = out()
    console.print(table)
    for fault in registry.faults:
        console.print(f"broken: {fault}")
