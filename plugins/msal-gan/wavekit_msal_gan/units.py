"""Unit ranges: every scale of a pyramid brought to the same values, so that one network serves all of them and a tanh clips
nothing."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor

from wavekit_core.kinds import DetailSpace
from wavekit_core.wavelets.scales import finer, largest_detail, range_of


class Units:
    """The scale of each level of a detail space. The bounds are those of any image in the space's range, for any filters."""

    def __init__(self, space: DetailSpace):
        self.space = space
        pyramid = space.pyramid
        self.ranges = {n: range_of(pyramid, n) for level in space.levels for n in (level, level - 1)}
        self.largest = {level: largest_detail(pyramid, level) for level in space.levels}

    def approx(self, approx: Tensor, level: int) -> Tensor:
        """The approximation (B, C, h, w) of a level in [-1, 1]."""
        return 2 * self._share(approx, level) - 1

    def packed(self, details: Tensor, level: int) -> Tensor:
        """Details (B, C, 3, h, w) of a level as (B, 3C, h, w) in [-1, 1]; the bands follow each other, each with its colours."""
        return details.transpose(1, 2).flatten(1, 2) / self.largest[level]

    def details(self, packed: Tensor, level: int) -> Tensor:
        """The inverse of `packed`."""
        return packed.unflatten(1, (3, self.space.channels)).transpose(1, 2) * self.largest[level]

    def image(self, approx: Tensor, packed: Tensor, level: int) -> Tensor:
        """The next finer approximation (B, C, h', w'), of level - 1, from that of `level` and packed details; a true one is in
        [0, 1]."""
        return self._share(finer(self.space.pyramid, level, approx, self.details(packed, level)), level - 1)

    def detail_unit(self, level: int) -> float:
        """What 1 of packed details is, as a share of the range of the next finer approximation."""
        low, high = self.ranges[level - 1]
        return self.largest[level] / (high - low)

    def _share(self, approx: Tensor, level: int) -> Tensor:
        low, high = self.ranges[level]
        return (approx - low) / (high - low)


def full_precision(tensor: Tensor) -> contextlib.AbstractContextManager[None]:
    """No autocast for what is computed inside, on the device of `tensor`."""
    return contextlib.nullcontext() if tensor.is_meta else torch.autocast(tensor.device.type, enabled=False)
