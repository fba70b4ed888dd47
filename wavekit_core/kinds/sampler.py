"""Samplers draw from trained generators."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from torch import Tensor, nn

from wavekit_core.component import Component
from wavekit_core.kinds.dataset import Batch
from wavekit_core.kinds.generator import Generator


class Sampler(Component, nn.Module, ABC):
    """Draws data from a generator of the class `draws_from`. Randomness comes from torch's global generators, which the
    caller has seeded by the samples' index."""

    kind: ClassVar[str] = "sampler"

    draws_from: ClassVar[type[Generator]]
    conditional: bool = False  # whether it can ask for classes of its own accord

    def refuses(self, model: Generator) -> str | None:
        """Why this sampler cannot draw from `model` (reason; remedy), or None if it can. Called before training."""
        if isinstance(model, self.draws_from):
            return None
        return (
            f"draws from {self.draws_from.__name__}s, and {type(model).__name__} is none; "
            "use another sampler, or a generator of that class"
        )

    def fit(self, model: Generator, batches: Callable[[], Iterable[Batch]]) -> None:
        """Learn from the trained model and the training data what drawing needs, into buffers. Nothing by default."""

    def sample(self, model: Generator, count: int, labels: Tensor | None = None) -> Any:
        """`count` new elements of `model.space`."""
        raise TypeError(f"{type(self).__name__} draws nothing new")

    def reconstruct(self, model: Generator, data: Any) -> Any:
        """What remains of `data` after it went through the model: by default as the model says."""
        return model.reconstruct(data)

    @property
    def evaluations(self) -> int | None:
        """Evaluations of the model's network for one image; None where that is no measure of the work."""
        return None

    @property
    def samples(self) -> bool:
        """Whether it draws new elements. One that only reconstructs does not, and its figures are never called generation."""
        return type(self).sample is not Sampler.sample
