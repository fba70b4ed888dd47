"""How many bits a model of tokens needs for an image's code."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from wavekit_core.errors import DivergedError
from wavekit_core.kinds.metric import Evidence, Figure, Metric, Reads


class CodeLength(Metric):
    """`bits-per-pixel`: -log₂ of the probability of the code of an image, given its class where the model knows classes, divided
    by the image's pixels; `nats` an image; and what of the bits goes to each plane and each kind of token (`bits-per-pixel/…`);
    means over held-out images.

    The model is normalised over the codes that exist, so an ideal entropy coder needs this many bits. Codes of different
    fidelity (T_f) are of different things: their lengths are not to be compared. Raises `DivergedError` if one is not finite.
    """

    reads: Reads = "code"

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        code, space = evidence.code, evidence.dataset.space
        if code is None or len(code.nats) == 0:
            return []
        if not bool(torch.isfinite(code.nats).all()):
            raise DivergedError("a code has no probability; the model is of no use so; train it with a lower rate")
        count, pixels = len(code.nats), space.height * space.width
        mean = float(code.nats.double().mean())
        parts = [
            ("bits-per-pixel", mean),
            *((f"bits-per-pixel/{name}", value) for name, (value, _) in code.parts.items()),
        ]
        bits = [Figure(name, value / (pixels * math.log(2)), "bits a pixel", "lower", count) for name, value in parts]
        return [*bits, Figure("nats", mean, "nats an image", "lower", count)]
