"""What a filter sees beyond the border: PyWavelets' extension modes, for any size and any filter length.

=================  ===================================================================================================
`periodization`    the axis is a circle, after the last sample of an odd axis is doubled; ceil(n / 2) coefficients
`zero`             zeros
`symmetric`        mirrored at the edge between two samples: … b a | a b c | c b …
`reflect`          mirrored at the last sample: … c b | a b c | b a …
`periodic`         the axis is a circle
=================  ===================================================================================================

All but `periodization` give floor((n + F - 1) / 2) coefficients, F being the length of the filter.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

Mode = Literal["periodization", "zero", "symmetric", "reflect", "periodic"]
MODES: tuple[Mode, ...] = get_args(Mode)


def coefficient_count(size: int, length: int, mode: Mode) -> int:
    """How many low-pass (and as many high-pass) coefficients an axis of `size` gives with filters of `length`."""
    return (size + 1) // 2 if mode == "periodization" else (size + length - 1) // 2


def extend(x: Tensor, axis: int, before: int, after: int, mode: Mode) -> Tensor:
    """`x` with `before` and `after` more samples along `axis` (-1 or -2)."""
    if not before and not after:
        return x
    if mode == "zero":
        return F.pad(x, (0, 0) * (-axis - 1) + (before, after))
    size = x.shape[axis]
    left = [_piece(x, axis, *run) for run in _runs(range(-before, 0), size, mode)]
    right = [_piece(x, axis, *run) for run in _runs(range(size, size + after), size, mode)]
    return torch.cat([*left, x, *right], axis)


def _piece(x: Tensor, axis: int, start: int, count: int, step: int) -> Tensor:
    if step == 0:
        return x.narrow(axis, start, 1).expand(*(count if d == x.ndim + axis else -1 for d in range(x.ndim)))
    piece = x.narrow(axis, min(start, start + step * (count - 1)), count)
    return piece.flip(axis) if step < 0 else piece


def _runs(positions: range, size: int, mode: Mode) -> list[tuple[int, int, int]]:
    """What stands at `positions`, as runs (start, count, step) of samples.

    Runs instead of an index tensor: nothing has to be kept on the right device, and slices can be traced, batched and
    differentiated twice.
    """
    source = [_source(k, size, mode) for k in positions]
    runs: list[tuple[int, int, int]] = []
    start = 0
    while start < len(source):
        stop, step = start + 1, 1
        if stop < len(source) and abs(source[stop] - source[start]) <= 1:
            step = source[stop] - source[start]
            while stop < len(source) and source[stop] - source[stop - 1] == step:
                stop += 1
        runs.append((source[start], stop - start, step))
        start = stop
    return runs


def _source(k: int, size: int, mode: Mode) -> int:
    """The sample that stands at position `k`, which may lie outside of 0 to size - 1."""
    if mode == "periodization":
        return min(k % (size + size % 2), size - 1)
    if mode == "periodic":
        return k % size
    if mode == "symmetric":
        k %= 2 * size
        return min(k, 2 * size - 1 - k)
    k %= max(2 * size - 2, 1)  # reflect; a single sample is its own mirror image
    return min(k, 2 * size - 2 - k)
