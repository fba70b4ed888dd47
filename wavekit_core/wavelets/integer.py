"""Reversible transforms of whole numbers: the S-transform (Haar) and the 5/3 wavelet of JPEG 2000.

Lifting steps whose results are rounded down, so that the inverse takes away exactly what was added. Columns are split
first, then rows, as in JPEG 2000 (ITU-T T.800, Annex F); the order matters, for rounding does not commute. Details have the
sign of PyWavelets' filters, which for the 5/3 wavelet is the opposite of the standard's. Non-expansive at every size: bands
have the form of the mode `whole-symmetric`. There are no gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wavekit_core.filters import FilterBank

Halves = tuple[Tensor, Tensor]


def integer_analysis(x: Tensor, bank: FilterBank, levels: int = 1) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Whole numbers x (..., H, W), of an integer dtype, to the approximation and the details, coarse to fine, (..., 3, h, w).

    They have the dtype of x, int16 at least; it must hold twice the range of x a level for 5/3, and the range and a sign
    for Haar. Raises ValueError for a bank that is neither Haar nor bior2.2, TypeError for other dtypes.
    """
    split, _ = _steps(bank)
    _check(x)
    x = x.to(torch.promote_types(x.dtype, torch.int16))
    details: list[Tensor] = []
    for _ in range(levels):
        low, high = split(x.transpose(-1, -2))
        (x, vertical), (horizontal, diagonal) = (split(band.transpose(-1, -2)) for band in (low, high))
        details.insert(0, torch.stack([_to(band, x.shape[-2:]) for band in (horizontal, vertical, diagonal)], -3))
    return x, tuple(details)


def integer_synthesis(approx: Tensor, details: Sequence[Tensor], bank: FilterBank, size: Sequence[int]) -> Tensor:
    """The inverse of `integer_analysis`, to (..., *size): exactly, for all coefficients that an image gave."""
    _, join = _steps(bank)
    _check(approx, *details)
    sizes = [tuple(size)]
    for _ in details[1:]:
        sizes.insert(0, ((sizes[0][0] + 1) // 2, (sizes[0][1] + 1) // 2))
    x = approx
    for level, (height, width) in zip(details, sizes, strict=True):
        h, w = x.shape[-2:]
        if (h, w) != ((height + 1) // 2, (width + 1) // 2) or level.shape[-3:] != (3, h, w):
            raise ValueError(f"bands of {h}×{w} and {tuple(level.shape)} are not those of an image of {height}×{width}")
        horizontal, vertical, diagonal = level.unbind(-3)
        low = join(x, vertical[..., : width // 2])
        high = join(horizontal[..., : height // 2, :], diagonal[..., : height // 2, : width // 2])
        x = join(low.transpose(-1, -2), high.transpose(-1, -2)).transpose(-1, -2)
    return x


def _steps(bank: FilterBank) -> tuple[Callable[[Tensor], Halves], Callable[[Tensor, Tensor], Tensor]]:
    """Split and join of the last axis."""
    if bank.length == 2 and bank.whole_symmetric:
        return _split_haar, _join_haar
    if bank.dec_lo == FilterBank.from_pywt("bior2.2").dec_lo:
        return _split_53, _join_53
    raise ValueError(f"{bank.name} has no reversible transform of whole numbers; haar and bior2.2 have one")


def _check(*tensors: Tensor) -> None:
    for x in tensors:
        if x.is_floating_point() or x.is_complex() or x.dtype == torch.bool:
            raise TypeError(f"a reversible transform takes whole numbers, not {x.dtype}")


def _split_haar(x: Tensor) -> Halves:
    """high = a - b, low = ⌊(a + b) / 2⌋; the last sample of an odd axis is low (Said & Pearlman 1996)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    high = even[..., : odd.shape[-1]] - odd
    low = odd + (high >> 1)
    return torch.cat([low, even[..., odd.shape[-1] :]], -1), high


def _join_haar(low: Tensor, high: Tensor) -> Tensor:
    odd = low[..., : high.shape[-1]] - (high >> 1)
    even = torch.cat([odd + high, low[..., high.shape[-1] :]], -1)
    return _by_turns(even, odd)


def _split_53(x: Tensor) -> Halves:
    """T.800 (F-9) and (F-10): d = odd - ⌊(s + s₊) / 2⌋, s = even + ⌊(d₋ + d + 2) / 4⌋, mirrored at the ends; high = -d."""
    even, odd = x[..., 0::2], x[..., 1::2]
    d = odd - _between_evens(even, odd.shape[-1])
    return even + _between_odds(d, even.shape[-1]), -d


def _join_53(low: Tensor, high: Tensor) -> Tensor:
    d = -high
    even = low - _between_odds(d, low.shape[-1])
    return _by_turns(even, d + _between_evens(even, d.shape[-1]))


def _between_evens(even: Tensor, count: int) -> Tensor:
    after = torch.cat([even[..., 1:], even[..., -1:]], -1)
    return (even[..., :count] + after[..., :count]) >> 1


def _between_odds(d: Tensor, count: int) -> Tensor:
    if not d.shape[-1]:
        return torch.zeros_like(d.new_zeros(*d.shape[:-1], count))
    before = torch.cat([d[..., :1], d], -1)[..., :count]
    after = torch.cat([d, d[..., -1:]], -1)[..., :count]
    return (before + after + 2) >> 2


def _by_turns(even: Tensor, odd: Tensor) -> Tensor:
    x = even.new_empty(*even.shape[:-1], even.shape[-1] + odd.shape[-1])
    x[..., 0::2], x[..., 1::2] = even, odd
    return x


def _to(band: Tensor, size: Sequence[int]) -> Tensor:
    """The band with zeros in the places that it does not have."""
    return torch.nn.functional.pad(band, (0, size[1] - band.shape[-1], 0, size[0] - band.shape[-2]))
