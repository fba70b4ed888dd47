"""The core of wavekit: interfaces, registry, recipes, training and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wavekit_core.opened import open_run as open_run

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "open_run":  # on demand: the core imports no torch by itself
        from wavekit_core.opened import open_run

        return open_run
    raise AttributeError(f"module 'wavekit_core' has no attribute {name!r}")
