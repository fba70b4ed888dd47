"""Are samples copies of training images?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavekit_core.kinds.dataset import Split
from wavekit_core.kinds.metric import Evidence, Figure, Metric, Reads
from wavekit_core.metrics.real_images import CHUNK, batches, load, subset
from wavekit_core.spaces import ImageSpace


class NearestTraining(Metric):
    """`nearest`: the median over samples of the L2 distance, over all pixels, to the nearest training image.

    The floor is the same median of held-out images, as many of them as there are samples if there are so many.
    `nearest-ratio` is value / floor: copies give values far below 1, new images of the same kind about 1, and noise or wrong
    images more, which this metric does not punish. The whole training part is searched.
    """

    reads: Reads = "samples"

    @torch.no_grad()
    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        dataset, samples = evidence.dataset, evidence.samples
        if samples is None or min(len(samples), len(dataset.held_out), len(dataset.train)) == 0:
            return []
        held_out = load(dataset.held_out, subset(len(dataset.held_out), len(samples), seed=0), dataset.space)
        queries = torch.cat([samples.float().cpu(), held_out]).flatten(1)
        distances = nearest_distances(queries, dataset.train, dataset.space)
        count = len(samples)
        value, floor = float(np.median(distances[:count])), float(np.median(distances[count:]))
        figures = [Figure("nearest", value, "L2 over all pixels", "real", count, floor)]
        if floor > 0:
            figures.append(Figure("nearest-ratio", value / floor, "share of the floor", "real", count, 1.0))
        return figures


def nearest_distances(queries: Tensor, split: Split, space: ImageSpace) -> NDArray[np.float64]:
    """L2 distance (N,) from each query (N, d) to the nearest image of `split`, which is of `space`.

    The search uses |q|² + |t|² - 2 q·t, which loses digits where q and t nearly agree; so the distance to the one that it
    finds is computed again from the difference. That makes a copy's distance exactly 0.
    """
    best = torch.full((len(queries),), torch.inf)
    nearest = queries.clone()
    squares = queries.square().sum(1, keepdim=True)
    for batch in batches(split, np.arange(len(split)), space):
        training = batch.data.flatten(1)
        for start in range(0, len(queries), CHUNK):
            rows = slice(start, start + CHUNK)
            distances = squares[rows] + training.square().sum(1) - 2 * queries[rows] @ training.T
            closest = distances.min(dim=1)
            better = closest.values < best[rows]
            best[rows] = torch.where(better, closest.values, best[rows])
            nearest[rows][better] = training[closest.indices[better]]
    return (queries - nearest).double().square().sum(1).sqrt().numpy()
