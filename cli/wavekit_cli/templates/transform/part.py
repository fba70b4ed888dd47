"""The cosine transform of blocks, with frequencies as channels."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Transform
from wavekit_core.spaces import ImageSpace, Space


class MyPart(Transform):
    """The orthonormal DCT-II of every block of `block` × `block` pixels (Ahmed, Natarajan & Rao 1974).

    Images (B, C, H, W) to (B, C·block², H/block, W/block); the first of block² channels is block times the block's mean.
    """

    basis: Tensor

    def __init__(self, block: Annotated[int, Field(ge=2, le=16)] = 2):
        super().__init__()
        self.block = block
        self.register_buffer("basis", dct(block), persistent=False)  # a frequency a row

    def target(self, source: Space) -> ImageSpace:
        b = self.block
        if not isinstance(source, ImageSpace) or source.height % b or source.width % b:
            reason = f"my-part with block: {b} needs images with sides divisible by {b}, not {source}"
            raise SpaceError(self, reason, "choose a block that divides both sides", at="block")
        largest = b * max(abs(source.low), abs(source.high))  # of b² orthonormal coefficients
        return ImageSpace(source.channels * b * b, source.height // b, source.width // b, -largest, largest)

    def forward(self, x: Tensor) -> Tensor:
        D, b = self.basis.to(x.dtype), self.block
        blocks = x.unflatten(3, (-1, b)).unflatten(2, (-1, b))  # (B, C, H/b, b, W/b, b)
        return torch.einsum("ki,lj,nchiwj->ncklhw", D, D, blocks).flatten(1, 3)

    def inverse(self, y: Tensor) -> Tensor:
        D, b = self.basis.to(y.dtype), self.block
        frequencies = y.unflatten(1, (-1, b, b))  # (B, C, b, b, H/b, W/b)
        return torch.einsum("ki,lj,ncklhw->nchiwj", D, D, frequencies).flatten(4, 5).flatten(2, 3)


def dct(size: int) -> Tensor:
    """The rows of the orthonormal DCT-II, (size, size), float64."""
    n = torch.arange(size, dtype=torch.float64)
    rows = torch.cos(math.pi / size * n[:, None] * (n + 0.5)) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    return rows
