"""wavekit plugins info"""

from __future__ import annotations

import inspect
import json
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
    from wavekit_core.component import signature_of, words

    owner = installed().load(entry)
    console.print(f"{entry.kind} {entry.name}: {entry.distribution} {entry.version}, {entry.value}")
    console.print(inspect.getdoc(owner) or "")
    signature = signature_of(owner)
    table = Table(box=None, pad_edge=False)
    for column in ("parameter", "takes", "default"):
        table.add_column(column, overflow="fold", max_width=80)
    for key, child in signature.children.items():
        takes = ("list of " if child.many else "") + words(child.kind, many=child.many)
        takes += ", or nothing" if child.optional else ""
        table.add_row(key, takes, "required" if child.required else _written(child.default))
    for key, field in signature.values.model_fields.items():
        default = "required" if field.is_required() else _written(field.default)
        table.add_row(key, words(field.annotation, *field.metadata), default)
    if signature.keys:
        console.print(table, soft_wrap=False)


def _written(default: Any) -> str:
    """A default as a recipe would have it."""
    if isinstance(default, dict):
        pairs = [f"{key}: {value if key == 'use' else _written(value)}" for key, value in default.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(default, (list, tuple)):
        return f"[{', '.join(map(_written, default))}]"
    if default is None or default is inspect.Parameter.empty:
        return "nothing"
    return json.dumps(default, ensure_ascii=False) if isinstance(default, (str, bool)) else str(default)
