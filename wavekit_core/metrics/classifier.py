"""Do samples show the class that was asked for?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from wavekit_core.kinds.metric import Evidence, Figure, Metric, Reads
from wavekit_core.metrics.class_cnn import judge_of
from wavekit_core.metrics.real_images import Seed, subset


class ClassAgreement(Metric):
    """A small network is trained on the data set's classes (see `class_cnn.Judge`), then judges the samples.

    `class-agreement`: the share of samples that it takes for the class asked for; the floor is its accuracy on all held-out
    images. `class-agreement/worst`: the same of the class with the smallest share; the floor is that of as many held-out
    images, because the smallest of several shares falls with their number.

    It needs a data set with classes, and gives no figure for a model that takes none.
    """

    reads: Reads = "samples"
    needs_classes = True

    def __init__(self, seed: Seed = 0):
        self._seed = seed

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        dataset, samples, wanted = evidence.dataset, evidence.samples, evidence.sample_labels
        if samples is None or wanted is None or not dataset.classes or len(samples) == 0 or len(dataset.held_out) == 0:
            return []
        judge = judge_of(dataset, self._seed)
        held_out, held_out_labels = judge.prepared(dataset.held_out, np.arange(len(dataset.held_out)))
        right = judge.classes(judge.features(judge.shrunk(samples.float().cpu()))) == wanted.cpu()
        known = judge.classes(judge.features(held_out)) == held_out_labels
        count, unit = len(samples), "share of samples"
        thinned = torch.from_numpy(subset(len(known), count, self._seed))
        worst, worst_known = _of_worst(right, wanted.cpu()), _of_worst(known[thinned], held_out_labels[thinned])
        return [
            Figure("class-agreement", _share(right), unit, "higher", count, _share(known)),
            Figure("class-agreement/worst", worst, f"{unit} of the worst class", "higher", count, worst_known),
        ]


def _share(agree: Tensor) -> float:
    return float(agree.double().mean())


def _of_worst(agree: Tensor, labels: Tensor) -> float:
    return min(_share(agree[labels == label]) for label in labels.unique())
