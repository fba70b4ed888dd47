"""wavekit plugins install"""

from __future__ import annotations

import os
import re
from typing import Annotated

from rich.table import Table
from typer import Argument, Option, echo

from wavekit_cli import pip
from wavekit_cli.console import out
from wavekit_core import catalogue
from wavekit_core.errors import PluginError, RecipeError
from wavekit_core.registry import installed

FILES = (".whl", ".tar.gz", ".zip")


def command(
    specs: Annotated[
        list[str],
        Argument(metavar="SPEC...", help="A name of the catalogue, or what pip takes: name==1.0, a wheel, ./folder."),
    ],
    yes: Annotated[bool, Option("--yes", "-y", help="Agree beforehand, even to moving torch or numpy.")] = False,
) -> None:
    """Install plugins with pip: resolve first, show what would change, ask, and do exactly that."""
    requirements = [requirement(spec) for spec in specs]
    try:
        changes = pip.resolve(requirements)
    except RecipeError as error:
        raise _explained(error, requirements) from error
    if not changes:
        echo("nothing to do: all of it is installed")
        return
    table = Table("package", "from", "to", box=None, pad_edge=False)
    for change in changes:
        table.add_row(change.name, change.before or "", change.after)
    out().print(table)
    moved = [one for one in changes if one.name in pip.KEPT and one.before not in (None, one.after)]
    if moved and not yes:
        moves = ", ".join(f"{one.name} from {one.before} to {one.after}" for one in moved)
        raise RecipeError(
            f"this would move {moves}, with which your runs were made and resume exactly; agree with --yes, "
            "or make an environment of its own for this plugin"
        )
    if not pip.agreed(yes, "install?"):
        echo("nothing is changed")
        return
    before = {(entry.kind, entry.name, entry.distribution) for entry in installed().all()}
    pip.install(requirements, changes)
    entries, faults = pip.components()
    new = [entry for entry in entries if entry[:3] not in before]
    for kind, name, distribution, version in new:
        if kind not in ("hooks", "recipes"):
            echo(f"new: {kind} {name}, of {distribution} {version}")
    if not new:
        echo("no component is new")
    for fault in faults:
        if fault not in installed().faults:
            echo(f"broken: {fault}")


def requirement(spec: str) -> str:
    """A SPEC as pip takes it: a name of the catalogue stands for its distribution. Raises RecipeError, PluginError."""
    if spec.startswith("-"):
        raise RecipeError(
            f"{spec!r:.60} is an option; pip takes its options from its configuration and from PIP_… variables"
        )
    if os.sep in spec or "://" in spec or spec in (".", "..") or spec.endswith(FILES):
        return spec
    match = re.match(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", spec)
    name = pip.canonical(match[0]) if match else ""
    if name == "wavekit":
        raise RecipeError(
            "the project `wavekit` of the public index is another one; the plugins are called wavekit-NAME: see "
            "`wavekit plugins search`"
        )
    for plugin in catalogue.plugins():
        if name in (plugin.name, plugin.distribution, *(component.name for component in plugin.components)):
            if plugin.status == "planned":
                raise PluginError(f"{name!r}: {plugin.distribution} is planned and not yet written")
            return plugin.distribution + spec[len(match[0]) if match else 0 :]
    return spec


def _explained(error: RecipeError, requirements: list[str]) -> RecipeError:
    """A distribution of the catalogue that no index has: where it is."""
    ours = {plugin.distribution: plugin for plugin in catalogue.plugins() if plugin.publisher == "wavekit"}
    for one in requirements:
        if one in ours and f"satisfies the requirement {one} " in str(error):
            return RecipeError(
                f"{error}; in a clone of the repository: wavekit plugins install ./plugins/{ours[one].name}"
            )
    return error
