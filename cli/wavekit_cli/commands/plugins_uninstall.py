"""wavekit plugins uninstall"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from importlib import metadata
from typing import Annotated, Any

from rich.table import Table
from typer import Argument, Option, echo

from wavekit_cli import pip
from wavekit_cli.console import out
from wavekit_core import catalogue
from wavekit_core.errors import RecipeError, ResourceError, WavekitError
from wavekit_core.recipe.compose import compose
from wavekit_core.recipe.source import Value
from wavekit_core.registry import Entry, installed, nearest

HOUSE = ("wavekit-core", "wavekit-cli")


def command(
    names: Annotated[
        list[str], Argument(metavar="NAME...", help="A plugin's distribution, or its name in the catalogue.")
    ],
    yes: Annotated[bool, Option("--yes", "-y", help="Agree beforehand.")] = False,
) -> None:
    """Remove plugins with pip, after showing what goes with them."""
    distributions = list(dict.fromkeys(_distribution(name) for name in names))
    table = Table("plugin", "version", "offers", "needed by", box=None, pad_edge=False)
    for distribution in distributions:
        offers = ", ".join(f"{entry.kind} {entry.name}" for entry in _components(distribution))
        needed = ", ".join([*_requiring(distribution, distributions), *_recipes_using(distribution, distributions)])
        table.add_row(distribution, pip.version_of(distribution), offers, needed)
    out().print(table)
    if not pip.agreed(yes, "remove?"):
        echo("nothing is changed")
        return
    pip.uninstall(distributions)
    left = {pip.canonical(entry[2]) for entry in pip.components()[0]}
    if still := [distribution for distribution in distributions if distribution in left]:
        raise ResourceError(f"pip has removed {', '.join(still)}, and another copy is on Python's path; see PYTHONPATH")
    for distribution in distributions:
        echo(f"removed: {distribution}")


def _distribution(name: str) -> str:
    """The installed plugin of a name. Raises RecipeError for what is none, and for wavekit itself."""
    wanted = pip.canonical(name)
    known = {plugin.name: plugin.distribution for plugin in catalogue.plugins()}
    for one in dict.fromkeys((wanted, known.get(wanted, wanted), f"wavekit-{wanted}")):
        if one in HOUSE:
            raise RecipeError(f"{one} is wavekit itself, and no plugin; `python -m pip uninstall {one}` removes it")
        if pip.version_of(one) is not None and _is_plugin(one):
            return one
    entries = [entry for entry in installed().all() if entry.kind not in ("hooks", "recipes")]
    for entry in entries:
        if entry.name == wanted:
            owned = len(_components(pip.canonical(entry.distribution)))
            raise RecipeError(
                f"{name!r} is {'the' if owned == 1 else 'one of the'} component{'s' * (owned > 1)} of {entry.distribution}; "
                f"to remove that: wavekit plugins uninstall {entry.distribution}"
            )
    if pip.version_of(wanted) is not None:
        raise RecipeError(
            f"{wanted} is no plugin of wavekit: it registers nothing; `python -m pip uninstall {wanted}` removes it"
        )
    near = nearest(wanted, [name for entry in entries for name in (entry.distribution, entry.name)])
    raise RecipeError(
        f"no plugin called {name!r:.60} is installed; "
        + (f"did you mean {near!r}?" if near else "see `wavekit plugins list`")
    )


def _is_plugin(distribution: str) -> bool:
    """Whether it registers anything, or would if its metadata were whole."""
    found = metadata.distribution(distribution)
    return "[wavekit.v" in (found.read_text("entry_points.txt") or "")


def _components(distribution: str) -> list[Entry]:
    return [
        entry
        for entry in installed().all()
        if entry.kind not in ("hooks", "recipes") and pip.canonical(entry.distribution) == distribution
    ]


def _requiring(distribution: str, leaving: Collection[str]) -> list[str]:
    """Installed distributions that require it and stay."""
    found = set()
    for other in metadata.distributions():
        name = pip.canonical(other.metadata["Name"] or "")
        for line in other.requires or ():
            required = re.match(r"[A-Za-z0-9._-]+", line)
            if required and pip.canonical(required[0]) == distribution and "extra ==" not in line:
                found.add(name)
    return sorted(found - set(leaving))


def _recipes_using(distribution: str, leaving: Collection[str]) -> list[str]:
    """Shipped recipes of plugins that stay which use a component that nobody else offers."""
    registry = installed()
    goes = {
        entry.name for entry in _components(distribution) if len(registry.entries[(entry.kind, entry.name)]) == 1
    } | {entry.qualified for entry in _components(distribution)}
    own = {
        entry.value.partition(".")[0]
        for entry in registry.all("recipes")
        if pip.canonical(entry.distribution) in leaving
    }
    using = []
    for name, path in sorted(registry.recipes().items()):
        if own & set(path.parts):
            continue
        try:
            used = set(_uses(compose(path)))
        except WavekitError:
            continue
        if used & goes:
            using.append(name)
    return [f"{len(using)} recipe{'s' * (len(using) > 1)}: {', '.join(using)}"] if using else []


def _uses(value: Value) -> Iterator[Any]:
    """Every `use:` of a recipe."""
    if isinstance(value.data, dict):
        for key, one in value.data.items():
            if key == "use":
                yield one.data
            yield from _uses(one)
    elif isinstance(value.data, list):
        for one in value.data:
            yield from _uses(one)
