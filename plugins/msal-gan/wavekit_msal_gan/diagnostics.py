"""What drawn details are like: how much they differ, how sparse they are, whether they follow their approximation.

A large weight of the squared error rewards the mean of all possible details, which is always the same and too weak. The
functions take `draw`, approximations (B, C, h, w) to details (B, C, 3, h, w).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Draw = Callable[[Tensor], Tensor]


def diversity(draw: Draw, approx: Tensor, details: Tensor, draws: int = 8) -> float:
    """The spread of details drawn for one approximation, as a share of the spread of the true details (B, C, 3, h, w).

    The square root of the mean variance over `draws` (at least 2) draws, by the standard deviation of the true ones: 0 for a
    deterministic model. The true conditional spread is not known; below 1, and not 0.
    """
    drawn = torch.stack([draw(approx).double() for _ in range(draws)])
    return float(drawn.var(0).mean().sqrt() / details.double().std().clamp(min=1e-30))


def kurtosis(details: Tensor) -> Tensor:
    """(3,): E(x − μ)⁴ / σ⁴ of each band (cH, cV, cD) of details (B, C, 3, h, w): 3 for a normal distribution, 6 for Laplace's,
    more for sparser ones; 0 for a band without variance."""
    bands = details.double().movedim(2, 0).flatten(1)
    squares = (bands - bands.mean(1, keepdim=True)).square()
    return squares.square().mean(1) / squares.mean(1).square().clamp(min=1e-30)


def energies(details: Tensor) -> Tensor:
    """(3,): the mean square of each band (cH, cV, cD) of details (B, C, 3, h, w)."""
    return details.double().square().mean((0, 1, 3, 4))


def parent_swap(draw: Draw, approx: Tensor, details: Tensor) -> float:
    """The squared error of details drawn for another image's approximation, by that of those drawn for their own: 1 for a
    model that does not look at the approximation. Needs two images at least."""
    true = details.double()
    own, other = (float((draw(given).double() - true).square().mean()) for given in (approx, approx.roll(1, 0)))
    return other / max(own, 1e-30)
