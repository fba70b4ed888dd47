"""How far the pixel values of samples are from those of real images."""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from wavekit_core.kinds import Evidence, Figure, Metric
from wavekit_core.kinds.metric import Reads


class MyPart(Metric):
    """`my-part`: the Wasserstein-1 distance between the pixel values of samples and of held-out images, in the data's range.

    It sees brightness and contrast, and nothing of shape. The floor is that of training images. All three sets have the size
    of the smallest.
    """

    reads: Reads = "samples"

    def __init__(self, seed: Annotated[int, Field(ge=0)] = 0):
        self._seed = seed  # of the choice among the images

    @torch.no_grad()
    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        from wavekit_core.metrics.real_images import load, subset  # not before something is measured

        if evidence.samples is None:
            return []
        dataset, samples = evidence.dataset, evidence.samples
        count = min(len(samples), len(dataset.held_out), len(dataset.train))
        if count == 0:
            return []
        held_out, training = (
            load(split, subset(len(split), count, self._seed), dataset.space)
            for split in (dataset.held_out, dataset.train)
        )
        value = wasserstein(samples[subset(len(samples), count, self._seed)].cpu(), held_out)
        floor = wasserstein(training, held_out)
        return [Figure("my-part", value, "W1 of pixel values, against held-out", "lower", count, floor)]


def wasserstein(a: Tensor, b: Tensor) -> float:
    """The distance of two sets of equally many numbers, of any shape: they are paired in rising order."""
    return float((a.double().flatten().sort().values - b.double().flatten().sort().values).abs().mean())
