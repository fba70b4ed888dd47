"""Colour transforms: YCbCr for pictures that may lose something, YCoCg-R for those that may not."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavekit_core.errors import SpaceError
from wavekit_core.kinds.transform import Transform
from wavekit_core.spaces import ImageSpace, Space

Whole = TypeVar("Whole", Tensor, NDArray[np.signedinteger])

RED, BLUE = 0.299, 0.114  # of luma, ITU-R BT.601
FORWARD = torch.tensor(
    [
        [RED, 1 - RED - BLUE, BLUE],
        [-RED / (2 - 2 * BLUE), -(1 - RED - BLUE) / (2 - 2 * BLUE), 0.5],
        [0.5, -(1 - RED - BLUE) / (2 - 2 * RED), -BLUE / (2 - 2 * RED)],
    ],
    dtype=torch.float64,
    device="cpu",
)
INVERSE = torch.linalg.inv(FORWARD)


class YCbCr(Transform):
    """Images (..., 3, H, W) of R, G, B in [0, 1] to Y, Cb, Cr in [0, 1], grey at Cb = Cr = ½ (full range, as in JFIF), and back.
    The dtype is kept."""

    def target(self, source: Space) -> ImageSpace:
        """The space itself. Raises SpaceError unless it is that of images of three channels in [0, 1]."""
        if not isinstance(source, ImageSpace) or source.channels != 3 or (source.low, source.high) != (0, 1):
            reason = f"YCbCr takes images of three channels, red, green and blue, in [0, 1], and is given {source}"
            raise SpaceError(self, reason, "leave it out, or put it where the colour images are")
        return source

    def forward(self, x: Tensor) -> Tensor:
        return _mixed(x, FORWARD) + _offset(x)

    def inverse(self, y: Tensor) -> Tensor:
        return _mixed(y - _offset(y), INVERSE)


def _mixed(x: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("ij,...jhw->...ihw", matrix.to(x), x)


def _offset(x: Tensor) -> Tensor:
    return x.new_tensor([0.0, 0.5, 0.5])[:, None, None]


def ycocg(rgb: Whole) -> Whole:
    """R, G, B (..., 3, H, W), whole numbers of n bits in a signed dtype of n + 2 at least, to Y, Co, Cg (Y of n bits, the others
    of n and a sign): YCoCg-R, which `rgb` undoes exactly (Malvar & Sullivan 2003). Tensors or arrays."""
    red, green, blue = rgb[..., 0, :, :], rgb[..., 1, :, :], rgb[..., 2, :, :]
    orange = red - blue
    middle = blue + (orange >> 1)
    greenness = green - middle
    return _stacked(middle + (greenness >> 1), orange, greenness)


def rgb(ycocg: Whole) -> Whole:
    """Y, Co, Cg (..., 3, H, W) of `ycocg` to R, G, B."""
    luma, orange, greenness = ycocg[..., 0, :, :], ycocg[..., 1, :, :], ycocg[..., 2, :, :]
    middle = luma - (greenness >> 1)
    blue = middle - (orange >> 1)
    return _stacked(blue + orange, greenness + middle, blue)


def _stacked(*channels: Whole) -> Whole:
    return torch.stack(channels, -3) if isinstance(channels[0], Tensor) else np.stack(channels, -3)
