"""What metrics of features share: three sets of feature vectors of equal size."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wavekit_core.kinds.dataset import Dataset, Split
from wavekit_core.kinds.metric import Evidence, Figure, Metric
from wavekit_core.metrics.extractors import Features, extractor
from wavekit_core.metrics.real_images import Remembered, Seed, batches, for_floors, subset
from wavekit_core.spaces import ImageSpace

Of = Literal["samples", "reconstructions"]
Vectors = NDArray[np.float64]

_real = Remembered()


class FeatureMetric(Metric):
    """Compares features of samples with those of held-out images, or of reconstructions with those of their originals.

    `features` names the network, see `extractors`; `weights` is its file where the package has none. All sets have the size
    of the smallest, larger ones are thinned out. Floors compare training images that no judge of the package was trained on
    (`real_images.for_floors`) with the same reference. No figure without images; `class-cnn` needs a data set with
    classes.
    """

    least = 2  # images in a set

    def __init__(self, features: Features, of: Of = "samples", weights: str | None = None, seed: Seed = 0):
        self.reads = of
        self.needs_classes = features == "class-cnn"
        self._features, self._seed = features, seed
        self._extractor = extractor(features, weights, seed)

    def require(self, space: ImageSpace) -> None:
        self._extractor.require(self, space)

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        dataset = evidence.dataset
        shown = evidence.samples if self.reads == "samples" else evidence.reconstructions
        if shown is None or (self.needs_classes and not dataset.classes):
            return []
        known = for_floors(len(dataset.train))
        reference = len(dataset.held_out) if self.reads == "samples" else len(evidence.originals)
        count = min(len(shown), reference, len(known))
        if count < self.least:
            return []
        chosen = subset(reference, count, self._seed)
        if self.reads == "samples":
            real = self._remembered(dataset, "held-out", dataset.held_out, chosen)
        else:
            real = self._extractor.features(evidence.originals[chosen], dataset)
        training = self._remembered(dataset, "training", dataset.train, known[subset(len(known), count, self._seed)])
        made = self._extractor.features(shown[subset(len(shown), count, self._seed)], dataset)
        return self.compare(made, real, training)

    @abstractmethod
    def compare(self, made: Vectors, real: Vectors, training: Vectors) -> Sequence[Figure]:
        """The figures for features (N, d) of what the model made, of the reference and of the training images."""

    def named(self, distance: str) -> str:
        """`fd` as a figure's name: gfd[network] of samples, rfd[network] of reconstructions; gfid and rfid of inception."""
        letter = "g" if self.reads == "samples" else "r"
        if self._features == "inception":
            return f"{letter}{distance[0]}i{distance[1:]}"
        return f"{letter}{distance}[{self._features}]"

    def unit(self, what: str) -> str:
        """The unit with the reference, and the weights if they came from outside."""
        return f"{what}, against {'held-out' if self.reads == 'samples' else 'originals'}{self._extractor.note}"

    def _remembered(self, dataset: Dataset, part: str, split: Split, chosen: NDArray[np.int64]) -> Vectors:
        """Features of real images, computed once for all subjects and metrics of an evaluation."""

        def make() -> Vectors:
            parts = batches(split, chosen, dataset.space)
            return np.concatenate([self._extractor.features(batch.data, dataset) for batch in parts])

        return _real.get(dataset, (self._extractor.key, part, len(chosen), self._seed), make)
