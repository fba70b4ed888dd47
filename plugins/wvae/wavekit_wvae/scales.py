"""Positive learnable scales: the latent's noise s and the likelihood's sigma."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavekit_core.spaces import Band

FLOOR = 1e-4
Granularity = Literal["global", "approx+detail", "per-level", "per-band"]


def inverse_softplus(value: float) -> float:
    """The number whose softplus is `value` > 0."""
    return value + math.log(-math.expm1(-value))


def positive(raw: Tensor, floor: float = FLOOR) -> Tensor:
    """softplus(raw) + floor. Its slope is bounded, unlike exp's, so one bad batch cannot blow a scale up."""
    return F.softplus(raw) + floor


def level_of(band: str) -> int:
    """The level in a pyramid band's name: 2 for `cH2`; 1 is the finest."""
    return int(band[2:])


class Scale(nn.Module):
    """`count` positive scales s = softplus(rho) + floor, all starting at `init`; `fixed` ones are not trained."""

    def __init__(self, count: int, init: float, fixed: bool = False, floor: float = FLOOR):
        super().__init__()
        self.floor = floor
        rho = torch.full((count,), inverse_softplus(max(init - floor, 1e-6)))
        if fixed:
            self.register_buffer("rho", rho)
        else:
            self.rho = nn.Parameter(rho)

    def forward(self) -> Tensor:
        """(count,)"""
        return positive(self.rho, self.floor)


class BandNoise(nn.Module):
    """The noise scale s of every pyramid band, shared as `granularity` says (S0 Eq. 12: "possibly different for
    approximation vs details")."""

    def __init__(self, bands: Sequence[Band], granularity: Granularity, init: float, fixed: bool):
        super().__init__()
        keys = {band.name: _group(band, granularity) for band in bands}
        groups = list(dict.fromkeys(keys.values()))
        self.index = {name: groups.index(key) for name, key in keys.items()}
        self.scale = Scale(len(groups), init, fixed)

    def forward(self) -> dict[str, Tensor]:
        """(1, 1, 1, 1) by band: broadcasts to (B, C, h, w)."""
        s = self.scale().reshape(-1, 1, 1, 1, 1)  # (groups,) to (groups, 1, 1, 1, 1)
        return {name: s[i] for name, i in self.index.items()}


def _group(band: Band, granularity: Granularity) -> str:
    if granularity == "per-band":
        return band.name
    if granularity == "global":
        return "all"
    if granularity == "approx+detail" or band.role == "approx":
        return band.role
    return f"level {level_of(band.name)}"
