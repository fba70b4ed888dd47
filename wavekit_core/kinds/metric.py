"""Metrics compare what a model gives with real images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from wavekit_core.component import Component
from wavekit_core.kinds.dataset import Dataset
from wavekit_core.spaces import ImageSpace

Reads = Literal["reconstructions", "samples", "nats", "code"]


@dataclass(frozen=True)
class Code:
    """What a model of tokens makes of images' codes: `nats` (N,), -log p of each, and `parts`: by name (planes, kinds of places,
    tokens), the nats an image that go to each, and how many tokens."""

    nats: Tensor
    parts: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Figure:
    """One measured value. `better` says which direction is good; `real` is best near the floor. `floor` is the same measure
    between real images at the same number; `count` is the number of images that it was measured on."""

    name: str
    value: float
    unit: str
    better: Literal["lower", "higher", "real"]
    count: int
    floor: float | None = None


@dataclass(frozen=True)
class Evidence:
    """What metrics look at, images (N, C, H, W) in the data's range, already quantised to 8 bits.

    `originals` are held-out images and `reconstructions` what the model makes of them; `samples` are new images, with the
    classes that were asked for in `sample_labels`. `nats` (N,) bounds -log p of each original from above, as a density over
    the data's range, the 8-bit steps filled with uniform noise; `code` is that of models of tokens. What a model cannot give is
    None.
    """

    dataset: Dataset
    originals: Tensor
    reconstructions: Tensor | None
    samples: Tensor | None
    sample_labels: Tensor | None
    nats: Tensor | None = None
    code: Code | None = None


class Metric(Component, ABC):
    """Measures figures from the evidence. `reads` names the field that must be there for it to apply; one that `needs_classes`
    is not called for a data set without."""

    kind: ClassVar[str] = "metric"

    reads: Reads
    needs_classes: bool = False

    def require(self, space: ImageSpace) -> None:
        """Raise `SpaceError`, with reason and remedy, if images of `space` cannot be measured. Called before training."""

    @abstractmethod
    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        """The figures; deterministic for the same evidence."""
