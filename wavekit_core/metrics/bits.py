"""How many bits a model needs for a number of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from wavekit_core.errors import DivergedError
from wavekit_core.kinds.metric import Evidence, Figure, Metric, Reads


class BitsPerDimension(Metric):
    """`bits-per-dim`: an upper bound of -log₂ of the probability of an 8-bit image, divided by its numbers; the mean over
    held-out images.

    With `nats` the bound of -log of the density over the data's range, low to high, of D numbers each, it is
    nats / (D ln 2) + log₂(256 / (high - low)): uniform noise fills the 8-bit steps, so the density's mean over a step, times
    the step's width, is at most the step's probability (Theis et al. 2016, "A note on the evaluation of generative models",
    section 3.1). A uniform density needs 8 bits. Raises `DivergedError` if a bound is not finite.
    """

    reads: Reads = "nats"

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        nats, space = evidence.nats, evidence.dataset.space
        if nats is None or len(nats) == 0:
            return []
        if not bool(torch.isfinite(nats).all()):
            raise DivergedError(
                "a bound of -log p is not finite; the model is of no use so; train it with a lower rate"
            )
        mean = float(nats.double().mean()) / (space.numbers * math.log(2))
        value = mean + math.log2(256 / (space.high - space.low))
        return [Figure("bits-per-dim", value, "bits a number, upper bound", "lower", len(nats))]
