"""The registry: which components are installed, and loading one by name.

A component is one entry point in the group `wavekit.v1.KIND`. Listing reads metadata only; code is imported when a recipe
uses the component, and its module is then known to the plugin manager, through which behaviour hooks are called.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pluggy

from wavekit_core import catalogue, hooks
from wavekit_core.component import Child, Node, signature_of
from wavekit_core.errors import PluginError, RecipeError

API = 1
BUILT_IN = "wavekit-core"
_GROUP = re.compile(r"wavekit\.v(\d+)\.([a-z]+)")
_NAME = re.compile(r"[a-z0-9][a-z0-9+_-]*")


@dataclass(frozen=True)
class Entry:
    """One registered name: what a distribution declares, before anything of it is imported."""

    kind: str
    name: str
    value: str
    distribution: str
    version: str
    api: int

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.distribution} {self.version}"

    @property
    def qualified(self) -> str:
        return f"{self.distribution}:{self.name}"


class UnknownComponent(RecipeError):
    """No installed component has the name; the message says what to do about it."""


@dataclass
class Registry:
    """Installed components by kind and name, and the faults of distributions that cannot be read."""

    entries: dict[tuple[str, str], list[Entry]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=hooks.manager)
    _loaded: dict[Entry, type] = field(default_factory=dict)

    @classmethod
    def scan(cls) -> Registry:
        """Read the metadata of every installed distribution; a malformed one costs a line in `faults`, never more."""
        registry = cls()
        seen: set[str] = set()
        for distribution in importlib.metadata.distributions():
            try:
                name = str(distribution.metadata["Name"]).lower()
                if name in seen:  # the first on the path is the one that Python imports
                    continue
                seen.add(name)
                for point in distribution.entry_points:
                    if match := _GROUP.fullmatch(point.group):
                        registry._add(
                            Entry(match[2], point.name, point.value, name, distribution.version, int(match[1]))
                        )
            except Exception as error:
                where = getattr(distribution, "_path", "an installed distribution")
                registry.faults.append(f"{Path(str(where)).name}: its entry points cannot be read: {error}"[:200])
        return registry

    def _add(self, entry: Entry) -> None:
        if not _NAME.fullmatch(entry.name):
            self.faults.append(
                f"{entry.distribution}: {entry.name!a} is no legal component name (lower-case ASCII letters, digits, -)"
            )
            return
        self.entries.setdefault((entry.kind, entry.name), []).append(entry)

    def names(self, kind: str) -> list[str]:
        return sorted(name for k, name in self.entries if k == kind)

    def all(self, kind: str | None = None) -> Iterator[Entry]:
        for (entry_kind, _), owners in sorted(self.entries.items()):
            if kind in (None, entry_kind):
                yield from owners

    def find(self, kind: str, name: str) -> Entry:
        """The entry of a name, or of `distribution:name`. The core's own names win over anyone's.

        Raises UnknownComponent (a typo) or PluginError (not installed, another API, two owners).
        """
        distribution, _, short = name.rpartition(":")
        owners = self.entries.get((kind, short), [])
        if distribution:
            owners = [entry for entry in owners if entry.distribution == distribution]
        elif any(entry.distribution == BUILT_IN for entry in owners):
            owners = [entry for entry in owners if entry.distribution == BUILT_IN]
        usable = [entry for entry in owners if entry.api == API]
        if len(usable) == 1:
            return usable[0]
        if usable:
            choices = " or ".join(repr(entry.qualified) for entry in usable)
            raise PluginError(f"{kind} {name!r} is offered by {len(usable)} plugins; write {choices}")
        if owners:
            raise PluginError(
                f"{kind} {name!r} of {owners[0].distribution} {owners[0].version} is made for API version "
                f"{owners[0].api}, this is version {API}; install a release for version {API}"
            )
        raise self._unknown(kind, name)

    def _unknown(self, kind: str, name: str) -> RecipeError | PluginError:
        elsewhere = [entry.kind for entry in self.all() if entry.name == name]
        if elsewhere:
            return UnknownComponent(f"{name!r} is a {elsewhere[0]}, and a {kind} is wanted; {self._choices(kind)}")
        if known := catalogue.find(kind, name):
            if known.planned:
                return PluginError(f"{kind} {name!r} is planned in {known.distribution} and not yet written")
            return PluginError(f"{kind} {name!r} is not installed; it comes with: pip install {known.distribution}")
        near = nearest(name, self.names(kind))
        hint = f"did you mean {near!r}?" if near else self._choices(kind)
        return UnknownComponent(f"no {kind} is called {name!r:.60}; {hint}")

    def _choices(self, kind: str) -> str:
        return f"there are: {', '.join(self.names(kind)) or 'none installed'}"

    def load(self, entry: Entry) -> type:
        """Import a component's class. Raises PluginError, whatever the plugin's code does."""
        from wavekit_core.kinds import KINDS

        if entry in self._loaded:
            return self._loaded[entry]
        who = str(entry)
        module_name, _, attribute = entry.value.partition(":")
        try:
            module = importlib.import_module(module_name)
            component = functools.reduce(getattr, attribute.split("."), module)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(
                f"{who} cannot be loaded: {_first_line(error)}; reinstall or remove the plugin"
            ) from error
        base = KINDS[entry.kind]
        if not (isinstance(component, type) and issubclass(component, base)):
            raise PluginError(f"{who} is no {base.__name__}: {entry.value} must be a subclass of it")
        try:
            signature = signature_of(component)
        except Exception as error:
            raise PluginError(f"{who} has a constructor that is no schema: {_first_line(error)}") from error
        if entry.kind == "generator" and signature.port is None:
            raise PluginError(
                f"{who} has no space port: a generator's first parameter is annotated with the space it models"
            )
        self._register_hooks(module, entry)
        self._loaded[entry] = component
        return component

    def load_hooks(self) -> list[str]:
        """Import the modules that have only hooks, of distributions whose components are in use. Returns faults."""
        used = {entry.distribution for entry in self._loaded}
        faults = []
        for entry in self.all("hooks"):
            if entry.distribution in used and entry.api == API:
                try:
                    self._register_hooks(importlib.import_module(entry.value), entry)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:
                    faults.append(f"hooks of {entry.distribution} {entry.version}: {_first_line(error)}")
        return faults

    def _register_hooks(self, module: object, entry: Entry) -> None:
        if not self.manager.is_registered(module):
            self.manager.register(module, name=f"{entry.distribution}:{entry.value.partition(':')[0]}")

    def name_of(self, component: type) -> str:
        """The name that a loaded class is used by."""
        return next((entry.name for entry, loaded in self._loaded.items() if loaded is component), component.__name__)

    def recipes(self) -> dict[str, Path]:
        """Shipped recipes by name: `*.yaml` in the folders that plugins name, found without importing them."""
        found: dict[str, Path] = {}
        for entry in self.all("recipes"):
            package, *below = entry.value.split(".")
            spec = importlib.util.find_spec(package)
            for location in (spec.submodule_search_locations or []) if spec else []:
                for path in sorted(Path(location, *below).glob("*.yaml")):
                    found.setdefault(path.stem, path)
        return found


class _InstalledNode(Node):
    """A component to be looked up in the registry when it is needed."""

    def build(self, child: Child) -> Any:
        owner = installed().load(installed().find(child.kind.kind, self["use"]))
        parameters = {key: value for key, value in self.items() if key != "use"}
        if not child.slot:
            return owner(**parameters)
        has_port = signature_of(owner).port is not None
        return lambda space: owner(space, **parameters) if has_port else owner(**parameters)


def node(use: str, **parameters: Any) -> Any:
    """A default that is a component: `def __init__(self, transform: Transform = node("haar", levels=2))`."""
    return _InstalledNode(use=use, **parameters)


def nearest(word: str, choices: list[str]) -> str | None:
    """The choice that a mistyped word most likely means."""
    near = difflib.get_close_matches(word.lower()[:60], choices, n=1, cutoff=0.6)
    return near[0] if near else None


def _first_line(error: BaseException) -> str:
    text = (str(error).splitlines() or [""])[0][:160]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@functools.cache
def installed() -> Registry:
    """The registry of this environment, read once a process."""
    return Registry.scan()
