"""Transforms map a representation to another one, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from torch import nn

from wavekit_core.component import Component
from wavekit_core.spaces import Space


class Transform(Component, nn.Module, ABC):
    """An invertible map between spaces, of torch operations, so that gradients pass both ways."""

    kind: ClassVar[str] = "transform"

    # what a transform promises, on the class or on an instance; `wavekit_core.testing` holds it to that
    lossless: bool = True  # `inverse` gives back what `forward` was given
    linear: bool = True  # a sum becomes the sum, but for an offset
    differentiable: bool = True  # gradients are right; one that rounds has none

    @abstractmethod
    def target(self, source: Space) -> Space:
        """The space of `forward(x)` for x in `source`. Raises `SpaceError` with reason and remedy if there is none.

        Called before any data exist: it reads sizes only.
        """

    @abstractmethod
    def forward(self, x: Any) -> Any:
        """The representation of a batch."""

    @abstractmethod
    def inverse(self, y: Any) -> Any:
        """The batch that has this representation."""

    def fit(self, batches: Iterable[Any]) -> None:
        """Learn from training data what the transform needs (statistics, thresholds), into buffers. Called once, before
        training. Nothing by default."""
