"""Normalisation that mixes no scales, and how deep a network can be for a size."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavekit_core.errors import RecipeError

NormKind = Literal["group", "batch-per-scale"]
GROUPS, SMALLEST_GROUP = 8, 4


class Norm(nn.Module):
    """Normalised channels with a learned gain and offset each.

    `group`: groups of at least 4 channels of each image, so that neither images nor scales see each other.
    `batch-per-scale`: batch normalisation with statistics of their own for each of `scales` scales, whose amplitudes and contents
    differ; gain and offset are common.
    """

    def __init__(self, channels: int, kind: NormKind = "group", scales: int = 1):
        super().__init__()
        most = max(1, min(GROUPS, channels // SMALLEST_GROUP))
        self.groups = next(count for count in range(most, 0, -1) if channels % count == 0)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        batch = range(scales if kind == "batch-per-scale" else 0)
        self.statistics = nn.ModuleList(nn.BatchNorm2d(channels, affine=False) for _ in batch)

    def forward(self, x: Tensor, scale: int = 0) -> Tensor:
        """Raises RecipeError where a channel's batch is one number."""
        if not len(self.statistics):
            return F.group_norm(x, self.groups, self.weight, self.bias)
        if self.training and x[:, 0].numel() == 1:
            raise RecipeError(
                "batch normalisation of one image whose features are 1×1; one number has no variance; set norm: group, or make "
                "train.batch_size larger"
            )
        return torch.addcmul(self.bias[:, None, None], self.statistics[scale](x), self.weight[:, None, None])


def halvings(height: int, width: int, most: int) -> int:
    """How often a size can be halved, rounding up, and keep 2 pixels of its shorter side; at most `most`."""
    side, count = min(height, width), 0
    while count < most and -(-side // 2) >= 2:
        side, count = -(-side // 2), count + 1
    return count
