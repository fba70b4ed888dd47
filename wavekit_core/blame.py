"""Whose fault an exception is: a component's code that fails unexpectedly is named with its plugin."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from wavekit_core.errors import PluginError, WavekitError
from wavekit_core.spaces import Space


@contextlib.contextmanager
def blamed(component: object, doing: str) -> Iterator[None]:
    """Raise PluginError, naming the component, for what its code raises in the block. Faults that are already told, of the
    machine, or of its memory pass."""
    try:
        yield
    except (WavekitError, OSError, MemoryError):
        raise
    except Exception as error:
        text = str(error)
        if "out of memory" in text or "can't allocate memory" in text:
            raise
        reason = f"{type(error).__name__}: {text.strip()[:200]}"
        raise PluginError(f"{name_of(component)} failed while {doing}: {reason}") from error


def require(space: Space, data: Any, count: int, component: object, doing: str) -> Any:
    """`data`, if it is `count` elements of `space`. Raises PluginError, naming the component, if not."""
    if not space.holds(data, count):
        shape = tuple(data.shape) if hasattr(data, "shape") else type(data).__name__
        raise PluginError(f"{name_of(component)} gave {shape} while {doing}; {count} of {space} were expected")
    return data


def name_of(component: object) -> str:
    """A component as a recipe and pip know it."""
    checked = getattr(component, "_checked", None)
    entry = checked.entry if checked else None
    if entry is None:
        return type(component).__name__
    return f"{entry.kind} {entry.name!r} of {entry.distribution} {entry.version}"
