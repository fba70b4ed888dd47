"""wavekit plugins test"""

from __future__ import annotations

import json
import os
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from wavekit_cli.commands.run import Settings
from wavekit_cli.console import out, watcher
from wavekit_core import catalogue
from wavekit_core.errors import PluginError, RecipeError, WavekitError
from wavekit_core.registry import API, Entry, installed, nearest
from wavekit_core.testing import Law, NotApplicable, laws_of

HOLDS, BROKEN, NOT = "holds", "broken", "does not apply"
COLOURS = {HOLDS: "green", BROKEN: "bold red", NOT: "dim"}


@dataclass(frozen=True)
class Verdict:
    """What one law says of one component, for one case. `note` is the figure, the fault, or why the law has no meaning."""

    law: Law
    result: str
    note: str


def command(
    name: Annotated[str, Argument(help="A component, `distribution:component`, or a plugin's distribution.")],
    settings: Settings = None,
    json_file: Annotated[Path | None, Option("--json", metavar="FILE", help="Write every verdict there.")] = None,
) -> None:
    """Hold an installed plugin to the laws of its kind. -s gives arguments that a component cannot do without. Exit code 3 if
    a law is broken."""
    entries = _entries(name)
    arguments = _arguments(settings, entries, name)
    verdicts: dict[Entry, list[Verdict]] = {}
    refused: list[WavekitError] = []
    for entry in entries:
        try:
            verdicts[entry] = _tested(entry, arguments)
        except WavekitError as error:
            if len(entries) == 1:
                raise
            refused.append(error)
            out().print(f"not tested: {error}\n")
        else:
            _tell(entry, verdicts[entry])
    if json_file:
        from wavekit_core.runs.publish import publish_file

        rows = [_row(entry, verdict) for entry, found in verdicts.items() for verdict in found]
        publish_file(json_file, json.dumps(rows, indent=1, ensure_ascii=False).encode() + b"\n")
    broken = [
        (entry, verdict.law.name) for entry, found in verdicts.items() for verdict in found if verdict.result == BROKEN
    ]
    if broken:
        named = ", ".join(dict.fromkeys(f"{law} ({entry.name})" if len(entries) > 1 else law for entry, law in broken))
        raise PluginError(f"{name}: broken: {named}; mend the plugin, and run the same command again")
    if refused:
        kind = RecipeError if any(isinstance(error, RecipeError) for error in refused) else PluginError
        raise kind(
            f"{name}: {len(refused)} of {len(entries)} components could not be tested; name each alone, with what it needs"
        )


def _entries(name: str) -> list[Entry]:
    """The components that a name stands for. Raises RecipeError or PluginError if there is none."""
    registry = installed()
    components = [entry for entry in registry.all() if entry.kind not in ("hooks", "recipes")]
    distribution, _, short = name.rpartition(":")
    if kinds := sorted({entry.kind for entry in components if entry.name == short}):
        return [registry.find(kind, name) for kind in kinds]
    if not distribution and (of_plugin := [entry for entry in components if entry.distribution == name.lower()]):
        if others := [entry for entry in of_plugin if entry.api != API]:
            raise PluginError(f"{name} is made for API version {others[0].api}, this is version {API}")
        return of_plugin
    for plugin in catalogue.plugins():
        if name in (plugin.name, plugin.distribution, *(component.name for component in plugin.components)):
            state = "planned and not yet written" if plugin.status == "planned" else "not installed"
            more = "" if plugin.status == "planned" else f"; `wavekit plugins install {plugin.name}` installs it"
            raise PluginError(f"{name!r}: {plugin.distribution} is {state}{more}")
    near = nearest(short, [entry.name for entry in components] + [entry.distribution for entry in components])
    hint = f"did you mean {near!r}?" if near else "see `wavekit plugins list`"
    raise RecipeError(f"no installed component or plugin is called {name!r:.60}; {hint}")


def _arguments(settings: Sequence[str] | None, entries: list[Entry], name: str) -> Mapping[str, Any]:
    """`-s key=value` as a component takes it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if settings and len(entries) > 1:
        raise RecipeError(f"{name} stands for {len(entries)} components; -s needs one: name it alone")
    given = {}
    for setting in settings or ():
        key, equals, text = setting.partition("=")
        if not (key and equals):
            raise RecipeError(f"-s {setting!r:.60} sets nothing; write -s KEY=VALUE")
        try:
            given[key] = YAML(typ="safe", pure=True).load(text)
        except YAMLError:
            raise RecipeError(f"-s {setting!r:.60}: the value is no YAML; write for example -s levels=2") from None
    return given


def _tested(entry: Entry, arguments: Mapping[str, Any]) -> list[Verdict]:
    component = installed().load(entry)
    try:
        laws = laws_of(component, arguments)
    except (KeyboardInterrupt, PluginError):
        raise
    except RecipeError as error:
        raise RecipeError(f"{entry}: {error}; with this command: -s KEY=VALUE") from error
    except BaseException as error:
        _debug()
        raise PluginError(f"{entry} cannot be tested: {_sentence(error)}") from error
    verdicts = []
    with watcher().phase(f"laws of {entry.name}", total=len(laws)) as advance:
        for done, law in enumerate(laws):
            advance(done, law.name)
            verdicts.append(_verdict(law))
        advance(len(laws), "")
    return verdicts


def _verdict(law: Law) -> Verdict:
    """Whatever a plugin's code does in a check, it is a verdict."""
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's remarks on derivatives are nobody's fault
            return Verdict(law, HOLDS, law.check() or "")
    except NotApplicable as reason:
        return Verdict(law, NOT, str(reason))
    except KeyboardInterrupt:
        raise
    except AssertionError as error:
        _debug()
        return Verdict(law, BROKEN, str(error) or "an assertion failed and does not say what it found")
    except BaseException as error:
        _debug()
        return Verdict(law, BROKEN, _sentence(error))


def _debug() -> None:
    if os.environ.get("WAVEKIT_DEBUG"):
        traceback.print_exc()


def _sentence(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}{f': {lines[0][:300]}' if lines else ''}"


def _tell(entry: Entry, verdicts: list[Verdict]) -> None:
    """A row a law: it holds if it holds in every case in which it has a meaning."""
    from rich.table import Table
    from rich.text import Text

    console = out()
    console.print(f"{entry.kind} {entry.name}: {entry.distribution} {entry.version}, {entry.value}")
    if not verdicts:
        console.print(f"a {entry.kind} has no laws; its package has tests of its own\n")
        return
    table = Table("law", "statement", "result", "figure or reason", box=None, pad_edge=False)
    table.columns[1].overflow = table.columns[3].overflow = "fold"
    faults = []
    for law in dict.fromkeys(verdict.law.name for verdict in verdicts):
        own = [verdict for verdict in verdicts if verdict.law.name == law]
        broken = [verdict for verdict in own if verdict.result == BROKEN]
        held = [verdict for verdict in own if verdict.result == HOLDS]
        notes = list(dict.fromkeys(verdict.note for verdict in held if verdict.note))
        if broken:
            result, figure = BROKEN, f"in {len(broken)} of {len(own)} cases" if len(own) > 1 else ""
            faults += [f"{law}: {verdict.note}" for verdict in broken]
        elif held:
            result, figure = HOLDS, "\n".join(notes)
        else:
            result, figure = NOT, own[0].note
        table.add_row(law, own[0].law.statement, Text(result, COLOURS[result]), figure)
    console.print(table, soft_wrap=False)
    for fault in faults:
        console.print(f"broken: {fault}")
    console.print()


def _row(entry: Entry, verdict: Verdict) -> dict[str, str]:
    return {
        "component": entry.qualified,
        "kind": entry.kind,
        "version": entry.version,
        "law": verdict.law.name,
        "statement": verdict.law.statement,
        "case": verdict.law.case,
        "result": verdict.result,
        "note": verdict.note,
    }
