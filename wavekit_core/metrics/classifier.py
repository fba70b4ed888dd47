"""Do samples show the class that was asked for, and do they look like the training images to a classifier?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch

from wavekit_core.kinds.dataset import Dataset
from wavekit_core.kinds.metric import Evidence, Figure, Metric
from wavekit_core.metrics.class_cnn import Judge
from wavekit_core.metrics.frechet import frechet_distance
from wavekit_core.metrics.real_images import Seed, subset


class ClassAgreement(Metric):
    """A small network is trained on the data set's classes (see `class_cnn.Judge`), then judges the samples.

    `class-agreement`: the share of samples that it takes for the class asked for; the floor is its accuracy on all held-out
    images. `fd[class-cnn]`: the Fréchet distance of its 64 features between samples and the training images it knows; the
    floor is held-out against training images. Both use the same number of images, the smaller of samples and held-out, since
    the distance falls with the number; it is no FID and compares only within one data set and seed.

    No figure without labels: neither for a data set without classes nor for a model that takes none.
    """

    reads: ClassVar[Literal["reconstructions", "samples"]] = "samples"

    def __init__(self, seed: Seed = 0):
        self._seed = seed
        self._judge: tuple[Dataset, Judge] | None = None

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        dataset, samples, wanted = evidence.dataset, evidence.samples, evidence.sample_labels
        if samples is None or wanted is None or not dataset.classes or len(samples) == 0 or len(dataset.held_out) == 0:
            return []
        judge = self._judge_of(dataset)
        held_out, held_out_labels = judge.prepared(dataset.held_out, np.arange(len(dataset.held_out)))
        real = judge.features(held_out)
        shown = judge.features(judge.shrunk(samples.float().cpu()))
        accuracy = _share(judge.classes(real) == held_out_labels)
        agreement = _share(judge.classes(shown) == wanted.cpu())
        figures = [Figure("class-agreement", agreement, "share of samples", "higher", len(samples), accuracy)]
        count = min(len(shown), len(real))
        if count >= 2:
            training = judge.features(judge.training_images).numpy()
            value, floor = (
                frechet_distance(features.numpy()[subset(len(features), count, self._seed)], training)
                for features in (shown, real)
            )
            figures.append(Figure("fd[class-cnn]", value, "squared feature", "lower", count, floor))
        return figures

    def _judge_of(self, dataset: Dataset) -> Judge:
        """Trained once for a data set, for all the models that are evaluated on it."""
        if self._judge is None or self._judge[0] is not dataset:
            self._judge = (dataset, Judge(dataset, self._seed))
        return self._judge[1]


def _share(agree: torch.Tensor) -> float:
    return float(agree.double().mean())
