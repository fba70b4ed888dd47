"""The largest coefficients that an image of a given range can have, for the norm `unit-range`."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.borders import Mode
from wavekit_core.wavelets.slices import split

# of the approximation, and coarse to fine of the details (cH, cV, cD)
Divisors = tuple[float, tuple[tuple[float, ...], ...]]


@lru_cache(maxsize=64)
def largest_coefficients(
    bank: FilterBank, mode: Mode, levels: int, size: tuple[int, int], low: float, high: float
) -> Divisors:
    """Largest absolute values over all images of `size` with values from `low` to `high`.

    Returns the approximation's and, coarse to fine, those of (cH, cV, cD). They are attained: by the image that is
    `high` where a coefficient's weights are positive and `low` elsewhere, or by its opposite. A band that is always 0
    gets 1.
    """
    rows, columns = (_row_sums(bank, mode, levels, n) for n in size)
    details = [
        tuple(_largest(rows[i][level], columns[j][level], low, high) for i, j in ((1, 0), (0, 1), (1, 1)))
        for level in range(levels - 1, -1, -1)
    ]
    return _largest(rows[0][-1], columns[0][-1], low, high), tuple(details)


@lru_cache(maxsize=64)
def approximation_range(
    bank: FilterBank, mode: Mode, level: int, size: tuple[int, int], low: float, high: float
) -> tuple[float, float]:
    """The smallest and the largest value of the approximation of `level` over all images of `size` with values from `low` to
    `high`. Both are attained."""
    (row_plus, row_minus), (column_plus, column_minus) = (_row_sums(bank, mode, level, n)[0][-1] for n in size)
    plus = row_plus.outer(column_plus) + row_minus.outer(column_minus)
    minus = row_plus.outer(column_minus) + row_minus.outer(column_plus)
    return float((low * plus + high * minus).min()), float((high * plus + low * minus).max())


def _row_sums(bank: FilterBank, mode: Mode, levels: int, size: int) -> tuple[list[Tensor], list[Tensor]]:
    """Of an axis of `size`: the sums of the positive and of the negative weights, (2, n), of the low-pass coefficients,
    and of the high-pass ones; each fine to coarse."""
    matrix = torch.eye(size, dtype=torch.float64, device="cpu")
    lows: list[Tensor] = []
    highs: list[Tensor] = []
    for _ in range(levels):
        matrix, high = split(matrix, -1, bank, mode)  # (size, n): a row is a pixel
        for weights, sums in ((matrix, lows), (high, highs)):
            sums.append(torch.stack([weights.clamp(min=0).sum(0), weights.clamp(max=0).sum(0)]))
    return lows, highs


def _largest(rows: Tensor, columns: Tensor, low: float, high: float) -> float:
    (row_plus, row_minus), (column_plus, column_minus) = rows, columns
    plus = row_plus.outer(column_plus) + row_minus.outer(column_minus)
    minus = row_plus.outer(column_minus) + row_minus.outer(column_plus)
    largest, smallest = high * plus + low * minus, low * plus + high * minus
    return float(torch.maximum(largest.abs(), smallest.abs()).max()) or 1.0
