"""Is each sample clearly of one class, and are all classes there?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wavekit_core.kinds.metric import Evidence, Figure, Metric, Reads
from wavekit_core.metrics.class_cnn import judge_of
from wavekit_core.metrics.real_images import Seed, subset


class InceptionScore(Metric):
    """`is[class-cnn]`: the `inception_score` of the samples, from 1 to the number of classes, by a small network trained on the
    data set's classes (see `class_cnn.Judge`) instead of Inception; it does not compare with scores of other networks.

    All samples at once, in float64: no mean over ten parts. Few images score too low. The floor is the score of as many
    held-out images, or of all if there are fewer. The network is trained with smoothed labels and so never quite sure: digits
    that it knows score about 7.5 of 10.

    The score says nothing of how samples compare with the data, and a set of one perfect image a class has the most. It needs
    a data set with classes, not the classes that were asked for.
    """

    reads: Reads = "samples"
    needs_classes = True

    def __init__(self, seed: Seed = 0):
        self._seed = seed

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        dataset, samples = evidence.dataset, evidence.samples
        if samples is None or not dataset.classes or len(samples) == 0 or len(dataset.held_out) == 0:
            return []
        judge, count = judge_of(dataset, self._seed), len(samples)
        held_out, _ = judge.prepared(dataset.held_out, subset(len(dataset.held_out), count, self._seed))
        score, floor = (
            inception_score(judge.probabilities(judge.features(images)))
            for images in (judge.shrunk(samples.float().cpu()), held_out)
        )
        return [Figure("is[class-cnn]", score, f"of {len(dataset.classes)} classes", "higher", count, floor)]


def inception_score(probabilities: Tensor) -> float:
    """exp of the mean of KL(p(y|x) ‖ p(y)) over N images x, N at least 1, for p(y|x) as rows (N, K) that sum to 1, p(y) their
    mean; in float64, from 1 to K.

    Salimans et al. 2016, "Improved techniques for training GANs", section 4.
    """
    if len(probabilities) == 0:
        raise ValueError("no images; a score needs one")
    of_each = probabilities.double()
    of_all = of_each.mean(0)
    divergence = torch.xlogy(of_each, of_each).sum(1).mean() - torch.xlogy(of_all, of_all).sum()
    return float(divergence.exp())
