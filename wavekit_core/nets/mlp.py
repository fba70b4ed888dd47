"""A residual multilayer perceptron for images of a few numbers, where it learns more a second than convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavekit_core.errors import WavekitError
from wavekit_core.nets.embedding import Embedding
from wavekit_core.nets.network import Network


class Block(nn.Module):
    """x + W₂ SiLU(W₁ (LayerNorm(x) · (1 + scale) + shift)), all (B, width). W₂ starts at 0."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.dropout = dropout
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        inner = F.silu(self.first(torch.addcmul(shift, self.norm(x), 1 + scale)))
        return x + self.second(F.dropout(inner, self.dropout, self.training))


class MLP(Network):
    """`depth` residual blocks of `width` over all numbers of an image and its condition, modulated by noise and class.

    Works on images of its `size` only.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        size: tuple[int, int],
        width: int = 256,
        depth: int = 4,
        classes: int = 0,
        condition_channels: int = 0,
        dropout: float = 0.0,
    ):
        super().__init__(channels, out_channels, size, classes, condition_channels)
        pixels = size[0] * size[1]
        embedded = max(width // 4, 32)  # as wide as the blocks, it costs as much as they do and brings nothing
        self.embed = Embedding(64, embedded, classes)
        self.modulate = nn.Linear(embedded, 2 * depth * width)  # of all blocks at once: one product instead of many
        self.first = nn.Linear((channels + condition_channels) * pixels, width)
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, out_channels * pixels)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(
        self, x: Tensor, noise: Tensor, labels: Tensor | None = None, condition: Tensor | None = None
    ) -> Tensor:
        joined = self.joined(x, noise, condition)
        if x.shape[2:] != self.size:
            raise WavekitError(
                f"the input is of {x.shape[2]}×{x.shape[3]} pixels; the network was made for {self.size[0]}×{self.size[1]}, and "
                "knows no other size; give that size, or use a U-Net"
            )
        modulation = self.modulate(self.embed(noise, labels)).chunk(2 * len(self.blocks), 1)
        h = self.first(joined.flatten(1))
        for block, scale, shift in zip(self.blocks, modulation[::2], modulation[1::2], strict=True):
            h = block(h, scale, shift)
        return self.last(F.silu(self.norm(h))).reshape(len(x), self.out_channels, *self.size)
