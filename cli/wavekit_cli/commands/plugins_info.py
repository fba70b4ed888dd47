"""wavekit plugins info"""

from __future__ import annotations

import inspect
from typing import Annotated, Any

from rich.console import Console
from rich.table import Table
from typer import Argument

from wavekit_cli.console import out
from wavekit_core import catalogue
from wavekit_core.errors import RecipeError
from wavekit_core.registry import Entry, installed, nearest


def command(name: Annotated[str, Argument(help="A component, `distribution:component`, or a plugin's name.")]) -> None:
    """A component: where it comes from, what it does and what it takes. Imports the plugin that is named."""
    registry = installed()
    short = name.rpartition(":")[2]
    kinds = sorted(
        {kind for kind, entry_name in registry.entries if entry_name == short and kind not in ("hooks", "recipes")}
    )
    console = out()
    for kind in kinds:
        _show(console, registry.find(kind, name))
    if kinds:
        return
    for plugin in catalogue.plugins():
        if name in (plugin.name, plugin.distribution):
            console.print(
                f"{plugin.distribution}: {plugin.summary} ({plugin.status}); documentation: {plugin.documentation}"
            )
            for component in plugin.components:
                console.print(f"  {component.kind} {component.name}: {component.summary}")
            return
    near = nearest(name, [entry.name for entry in registry.all()])
    raise RecipeError(
        f"no component is called {name!r:.60}; " + (f"did you mean {near!r}?" if near else "see `wavekit plugins list`")
    )


def _show(console: Console, entry: Entry) -> None:
    from wavekit_core.component import signature_of

    owner = installed().load(entry)
    console.print(f"{entry.kind} {entry.name}: {entry.distribution} {entry.version}, {entry.value}")
    console.print(inspect.getdoc(owner) or "")
    signature = signature_of(owner)
    table = Table("parameter", "takes", "default", box=None, pad_edge=False)
    for key, child in signature.children.items():
        takes = child.kind.kind + ("s, a list" if child.many else "")
        default = "required" if child.required else "none" if not child.default else str(dict(child.default))
        table.add_row(key, takes, default)
    for key, field in signature.values.model_fields.items():
        default = "required" if field.is_required() else repr(field.default)
        table.add_row(key, _takes(field), default)
    if signature.keys:
        console.print(table)


def _takes(field: Any) -> str:
    name = inspect.formatannotation(field.annotation).replace("typing.", "")
    bounds = [str(bound) for bound in field.metadata]
    return ", ".join([name[:80], *bounds])
