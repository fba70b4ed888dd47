"""Holding components to their contract: what they give is of the space that they were built for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavekit_core.errors import DivergedError, PluginError
from wavekit_core.spaces import Space


def require_form(space: Space, data: Any, count: int, component: object, doing: str) -> Any:
    """`data`, if it has the form of `count` elements of `space`. Raises PluginError, naming the component, if not."""
    if not space.holds(data, count):
        shape = tuple(data.shape) if hasattr(data, "shape") else type(data).__name__
        raise PluginError(f"{name_of(component)} gave {shape} while {doing}; {count} of {space} were expected")
    return data


def require(space: Space, data: Any, count: int, component: object, doing: str) -> Any:
    """As `require_form`; numbers must be finite too, or DivergedError is raised."""
    require_form(space, data, count, component, doing)
    if isinstance(data, Tensor) and not data.is_meta and not bool(torch.isfinite(data).all()):
        raise DivergedError(
            f"{name_of(component)} gave numbers that are not finite while {doing}; train it with a lower rate"
        )
    return data


def name_of(component: object) -> str:
    """A component as a recipe and pip know it."""
    checked = getattr(component, "_checked", None)
    return str(checked.entry) if checked and checked.entry else type(component).__name__
