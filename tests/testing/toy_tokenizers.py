"""A tokenizer that keeps every law, and for each law one that breaks it."""

from __future__ import annotations

import torch
from torch import Tensor

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Transform
from wavekit_core.spaces import ImageSpace, TokenSpace

PLANES = 3


class BitPlanes(Transform):
    """Images of 2^3 levels as bits: the highest bits of all pixels first. Bits that are missing are guessed half-way."""

    low = middle = 0.5  # where in its interval a value is put

    def target(self, source):
        if not isinstance(source, ImageSpace):
            raise SpaceError(self, f"takes images, and is given {source}", "put it where the images are")
        self.source = source
        return TokenSpace(2, PLANES * source.numbers)

    def forward(self, x: Tensor) -> Tensor:
        share = (x - self.source.low) / (self.source.high - self.source.low)
        return self.bits(self.level(share * 2**PLANES).long().clamp(0, 2**PLANES - 1).flatten(1))

    def level(self, share: Tensor) -> Tensor:
        return share.floor()

    def bits(self, level: Tensor) -> Tensor:
        """(B, n) to (B, PLANES n)"""
        return torch.cat([level >> plane & 1 for plane in self.planes()], 1)

    def planes(self) -> list[int]:
        return list(range(PLANES - 1, -1, -1))

    def inverse(self, y: Tensor) -> Tensor:
        n = self.source.numbers
        level, width = torch.zeros(len(y), n), torch.full((n,), 2.0**PLANES)
        for place, plane in enumerate(self.planes()):
            known = y[:, place * n : (place + 1) * n]
            level[:, : known.shape[1]] += known * 2**plane
            width[: known.shape[1]] /= 2
        share = (level + self.middle * width) / 2**PLANES
        return self.source.unflatten(self.source.low + share * (self.source.high - self.source.low))


class FromOne(BitPlanes):
    def forward(self, x):
        return super().forward(x) + 1

    def inverse(self, y):
        return super().inverse(y - 1)


class Short(BitPlanes):
    def forward(self, x):
        return super().forward(x).int()


class NoEmptyPrefix(BitPlanes):
    def inverse(self, y):
        return super().inverse(y) if y.shape[1] else super().inverse(y).flatten(1)


class LowestFirst(BitPlanes):
    def planes(self):
        return list(range(PLANES))


class Dumb(BitPlanes):
    """Says nothing."""

    lossless = False

    def forward(self, x):
        return super().forward(x) * 0

    def inverse(self, y):
        return super().inverse(y[:, :0])


class Unsteady(BitPlanes):
    """What is on a level's lower end comes back from below."""

    middle = 0.0

    def level(self, share):
        return share.ceil() - 1


class Neighbourly(BitPlanes):
    def forward(self, x):
        return super().forward(x) ^ (len(x) == 3)

    def inverse(self, y):
        return super().inverse(y ^ (len(y) == 3))


BROKEN = [
    (FromOne, ["tokens"], "tokens from 1 to 2; a vocabulary of 2 has 0 to 1"),
    (Short, ["tokens", "declared-space", "refusals"], r"torch.int32 \(8, 390\), and .* is declared \(int64\)"),
    (NoEmptyPrefix, ["prefixes"], "the first 0 of 390 tokens decode to no images"),
    (LowestFirst, ["distortion"], "the mean squared error grows from .* at .* tokens to"),
    (Dumb, ["distortion"], "they tell nothing"),
    (Unsteady, ["projection"], r"encode\(decode\(tokens\)\) differs from tokens = encode\(x\) in .* of 1170 places"),
    (Neighbourly, ["batches"], "element 0 of a batch of 3 is off"),
]
