"""Transforms as sums of slices: plain torch operations on any device and dtype.

A slice's gradient is exact by construction, so there is no backward here to keep right.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.borders import (
    NON_EXPANSIVE,
    Mode,
    beyond,
    beyond_bands,
    coefficient_count,
    extend,
    high_count,
)
from wavekit_core.wavelets.plan import level_sizes

HALVES = (torch.float16, torch.bfloat16)  # computed in float32, and rounded once


def split(x: Tensor, axis: int, bank: FilterBank, mode: Mode) -> tuple[Tensor, Tensor]:
    """Low- and high-pass coefficients along `axis`: c[i] = sum over j of dec[j] · x[2i + shift - j]."""
    size, half = x.shape[axis], bank.length // 2
    count = coefficient_count(size, bank.length, mode)
    before = half - 1 if mode in NON_EXPANSIVE else bank.length - 2
    pairs = count + half - 1
    padded = extend(x, axis, before, 2 * pairs - before - size, beyond(mode, bank.length))
    phases = padded.unflatten(axis, (pairs, 2)).unbind(padded.ndim + axis + 1)
    offsets = range(bank.length - 1, -1, -1)  # of tap j in the padded axis
    pieces = [_narrow(phases[o % 2], axis, o // 2, count) for o in offsets]
    low, high = _weighted_sum(pieces, bank.dec_lo), _weighted_sum(pieces, bank.dec_hi)
    if (real := high_count(size, bank.length, mode)) < count:
        high = extend(_narrow(high, axis, 0, real), axis, 0, 1, "zero")
    return low, high


def join(low: Tensor, high: Tensor, axis: int, bank: FilterBank, mode: Mode, size: int) -> Tensor:
    """The `size` samples along `axis` of which `low` and `high` are the coefficients.

    Samples of even and of odd index use every second tap each: x[2m + phase] = sum over t of
    rec[2t + parity] · c[m + shift - t]; in periodization c is a circle, in whole-symmetric it is mirrored.
    """
    half = bank.length // 2
    delay = half - 1 if mode in NON_EXPANSIVE else 0
    if mode in NON_EXPANSIVE:
        count, before, after = low.shape[axis], half - 1 - delay // 2, half // 2
        low, high = _extended(low, high, axis, before, after, size, beyond_bands(mode, bank.length))
    else:
        count, before = low.shape[axis] - half + 1, half - 1
    samples = []
    for phase in (0, 1):
        parity, shift = (phase + delay) % 2, (phase + delay) // 2 + before
        pieces = [_narrow(c, axis, shift - t, count) for c in (low, high) for t in range(half)]
        samples.append(_weighted_sum(pieces, bank.rec_lo[parity::2] + bank.rec_hi[parity::2]))
    at = low.ndim + axis
    return _narrow(torch.stack(samples, at + 1).flatten(at, at + 1), axis, 0, size)


def _extended(
    low: Tensor, high: Tensor, axis: int, before: int, after: int, size: int, mode: Mode
) -> tuple[Tensor, Tensor]:
    """Both bands with more coefficients before and after."""
    if mode == "periodic":
        return extend(low, axis, before, after, mode), extend(high, axis, before, after, mode)
    at, count = low.ndim + axis, low.shape[axis]
    row = _narrow(torch.stack([low, high], at + 1).flatten(at, at + 1), axis, 0, size)
    row = extend(row, axis, 2 * before, 2 * (count + after) - size, mode)
    bands = row.unflatten(axis, (count + before + after, 2)).unbind(at + 1)
    return bands[0], bands[1] if size > 1 else torch.zeros_like(bands[1])  # one sample has no high-pass coefficient


def _narrow(x: Tensor, axis: int, start: int, count: int) -> Tensor:
    return x if count == x.shape[axis] else x.narrow(axis, start, count)


def _weighted_sum(pieces: Sequence[Tensor], taps: Sequence[float]) -> Tensor:
    """Sum of pieces times taps. Pieces whose taps have one magnitude are added before they are multiplied: symmetric
    filters then need half the multiplications, and Haar's details of a constant image are exactly zero."""
    groups: dict[float, Tensor] = {}
    signs: dict[float, int] = {}
    for piece, tap in zip(pieces, taps, strict=True):
        size, sign = abs(tap), 1 if tap > 0 else -1
        if not size:
            continue
        if size not in groups:
            groups[size], signs[size] = piece, sign
        else:
            groups[size] = groups[size] + piece if sign == signs[size] else groups[size] - piece
    terms = [group * (signs[size] * size) for size, group in groups.items()]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def split_levels(x: Tensor, bank: FilterBank, mode: Mode, levels: int, axes: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """`analysis`: the approximation, and the details coarse to fine."""
    details: list[Tensor] = []
    dtype, x = x.dtype, x.float() if x.dtype in HALVES else x
    for _ in range(levels):
        low, high = split(x, -1, bank, mode)
        if axes == 2:
            low, horizontal = split(low, -2, bank, mode)
            high = torch.stack([horizontal, *split(high, -2, bank, mode)], -3)
        details.insert(0, high.to(dtype))
        x = low
    return x.to(dtype), tuple(details)


def join_levels(bands: Sequence[Tensor], bank: FilterBank, mode: Mode, size: tuple[int, ...]) -> Tensor:
    """`synthesis` of the approximation and the details, coarse to fine."""
    dtype, x = bands[0].dtype, bands[0]
    x = x.float() if dtype in HALVES else x
    for details, n in zip(bands[1:], level_sizes(bank, mode, len(bands) - 1, size)[-2::-1], strict=True):
        high = details.float() if dtype in HALVES else details
        if len(size) == 2:
            horizontal, vertical, diagonal = high.unbind(-3)
            x = join(x, horizontal, -2, bank, mode, n[0])
            high = join(vertical, diagonal, -2, bank, mode, n[0])
        x = join(x, high, -1, bank, mode, n[-1])
    return x.to(dtype)
