"""What a filter sees beyond the border: PyWavelets' extension modes, for any size and any filter length.

=================  ===================================================================================================
`periodization`    the axis is a circle, after the last sample of an odd axis is doubled; ceil(n / 2) coefficients
`zero`             zeros
`symmetric`        mirrored at the edge between two samples: … b a | a b c | c b …
`reflect`          mirrored at the last sample: … c b | a b c | b a …
`periodic`         the axis is a circle
`constant`         the last sample goes on
`whole-symmetric`  mirrored at the last sample, and so are the coefficients: the mode of JPEG 2000, for symmetric filters of odd
                   length (bior2.2 is its 5/3, bior4.4 its 9/7) and for Haar. Non-expansive at every size: ceil(n / 2)
                   low-pass and floor(n / 2) high-pass coefficients. An odd axis has one high-pass coefficient fewer, and
                   where bands are stacked, its place holds 0 and is not read
=================  ===================================================================================================

`periodization` and `whole-symmetric` give ceil(n / 2) coefficients, the others floor((n + F - 1) / 2), F being the length of
the filter.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

Mode = Literal["periodization", "zero", "symmetric", "reflect", "periodic", "constant", "whole-symmetric"]
MODES: tuple[Mode, ...] = get_args(Mode)
NON_EXPANSIVE: tuple[Mode, ...] = ("periodization", "whole-symmetric")


def coefficient_count(size: int, length: int, mode: Mode) -> int:
    """How many low-pass (and as many high-pass) coefficients an axis of `size` gives with filters of `length`."""
    return (size + 1) // 2 if mode in NON_EXPANSIVE else (size + length - 1) // 2


def high_count(size: int, length: int, mode: Mode) -> int:
    """How many of the high-pass coefficients of an axis there are, without the empty place of `whole-symmetric`."""
    return size // 2 if mode == "whole-symmetric" else coefficient_count(size, length, mode)


def beyond(mode: Mode, length: int) -> Mode:
    """What filters of `length` see beyond the border of an image in `mode`."""
    if mode != "whole-symmetric":
        return mode
    return (
        "reflect" if length > 2 else "symmetric"
    )  # Haar codes the last sample of an odd axis alone, as √2 times itself


def beyond_bands(mode: Mode, length: int) -> Mode:
    """What the synthesis sees beyond the ends of the coefficients, both bands of an axis taken as one row by turns."""
    if mode == "periodization":
        return "periodic"
    return "reflect" if mode == "whole-symmetric" and length > 2 else "zero"


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
    at = [source(k, size, mode) for k in positions]
    runs: list[tuple[int, int, int]] = []
    start = 0
    while start < len(at):
        stop, step = start + 1, 1
        if stop < len(at) and abs(at[stop] - at[start]) <= 1:
            step = at[stop] - at[start]
            while stop < len(at) and at[stop] - at[stop - 1] == step:
                stop += 1
        runs.append((at[start], stop - start, step))
        start = stop
    return runs


def source(k: int, size: int, mode: Mode) -> int:
    """The sample that stands at position `k`, which may lie outside of 0 to size - 1. Not for `zero` and `whole-symmetric`."""
    if mode == "periodization":
        return min(k % (size + size % 2), size - 1)
    if mode == "periodic":
        return k % size
    if mode == "constant":
        return min(max(k, 0), size - 1)
    if mode == "symmetric":
        k %= 2 * size
        return min(k, 2 * size - 1 - k)
    k %= max(2 * size - 2, 1)  # reflect; a single sample is its own mirror image
    return min(k, 2 * size - 2 - k)
