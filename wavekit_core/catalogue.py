"""The catalogue: plugins that are known, installed or not. It is `registry.yaml` at the root of the repository."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML


@dataclass(frozen=True)
class KnownComponent:
    """A name of the catalogue and the distribution that brings it."""

    kind: str
    name: str
    summary: str
    distribution: str
    planned: bool


@dataclass(frozen=True)
class KnownPlugin:
    """A plugin of the catalogue. `status` is `available` or `planned`; `api` the major version it is made for."""

    name: str
    distribution: str
    summary: str
    publisher: str
    api: int
    status: str
    documentation: str
    components: tuple[KnownComponent, ...]


@functools.cache
def plugins() -> tuple[KnownPlugin, ...]:
    """Every plugin of the catalogue."""
    data = YAML(typ="safe", pure=True).load(Path(__file__).with_name("registry.yaml"))
    return tuple(
        KnownPlugin(
            **{key: entry[key] for key in ("name", "distribution", "summary", "publisher", "api", "status")},
            documentation=entry["documentation"],
            components=tuple(
                KnownComponent(**component, distribution=entry["distribution"], planned=entry["status"] == "planned")
                for component in entry["components"]
            ),
        )
        for entry in data["plugins"]
    )


def find(kind: str, name: str) -> KnownComponent | None:
    """The catalogue's entry for a component, if there is one."""
    for plugin in plugins():
        for component in plugin.components:
            if (component.kind, component.name) == (kind, name):
                return component
    return None
