"""Wavelet packets: every band is split again, so an image becomes 4^levels bands of one size.

The bands are in PyWavelets' natural order: that of the words over a, h, v, d (cA, cH, cV, cD), the first split first.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.borders import Mode
from wavekit_core.wavelets.operator import analysis, synthesis
from wavekit_core.wavelets.plan import Size, level_sizes
from wavekit_core.wavelets.slices import split


def packet_analysis(x: Tensor, bank: FilterBank, mode: Mode, levels: int) -> Tensor:
    """Images (..., H, W) to their packets (..., 4^levels, h, w)."""
    bands = x.unsqueeze(-3)
    for _ in range(levels):
        approx, (details,) = analysis(bands, bank, mode)
        bands = torch.cat([approx.unsqueeze(-3), details], -3).flatten(-4, -3)
    return bands


def packet_synthesis(bands: Tensor, bank: FilterBank, mode: Mode, levels: int, size: Size) -> Tensor:
    """The inverse, to images (..., *size). Raises ValueError if the bands are not those of an image of `size`."""
    for n in level_sizes(bank, mode, levels, size)[-2::-1]:
        bands = bands.unflatten(-3, (-1, 4))
        bands = synthesis(bands[..., 0, :, :], [bands[..., 1:, :, :]], bank, mode, n)
    return bands.squeeze(-3)


@lru_cache(maxsize=64)
def largest_packets(
    bank: FilterBank, mode: Mode, levels: int, size: Size, low: float, high: float
) -> tuple[float, ...]:
    """The largest absolute value of each band over all images of `size` with values from `low` to `high`. They are
    attained; a band that is always 0 gets 1."""
    rows, columns = (_weights(bank, mode, levels, n) for n in size)
    bounds = []
    for word in range(4**levels):
        letters = [word >> 2 * k & 3 for k in range(levels - 1, -1, -1)]
        down = sum((letter & 1) << k for k, letter in enumerate(reversed(letters)))
        along = sum((letter >> 1) << k for k, letter in enumerate(reversed(letters)))
        (a, b), (c, d) = rows[down], columns[along]
        plus, minus = a.outer(c) + b.outer(d), a.outer(d) + b.outer(c)
        most = torch.maximum((high * plus + low * minus).abs(), (low * plus + high * minus).abs())
        bounds.append(float(most.max()) or 1.0)
    return tuple(bounds)


def _weights(bank: FilterBank, mode: Mode, levels: int, size: int) -> list[Tensor]:
    """Of each of the 2^levels bands of an axis, low-pass first: the sums of the positive and of the negative weights of its
    coefficients, (2, n)."""
    bands = [torch.eye(size, dtype=torch.float64, device="cpu")]  # (size, n): a row is a pixel
    for _ in range(levels):
        bands = [half for band in bands for half in split(band, -1, bank, mode)]
    return [torch.stack([band.clamp(min=0).sum(0), band.clamp(max=0).sum(0)]) for band in bands]
