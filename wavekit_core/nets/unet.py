"""The U-Net of denoisers: residual blocks modulated by noise and class, self-attention at chosen sizes.

The topology is that of Nichol and Dhariwal, "Improved denoising diffusion probabilistic models" (arXiv 2102.09672), whose
CIFAR network is the preset `paper`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavekit_core.nets.embedding import Embedding
from wavekit_core.nets.network import Network

Resample = Literal["conv", "pool"]


def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of `number` that is at most `most`; 1 if `most` is below 1."""
    return next(d for d in range(max(min(most, number), 1), 0, -1) if number % d == 0)


def zeroed(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """The layer, giving 0."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Norm(nn.GroupNorm):
    """Group normalisation with at most 32 groups of at least 4 channels."""

    def __init__(self, channels: int):
        super().__init__(largest_divisor(channels, min(32, channels // 4)), channels)

    def modulated(self, x: Tensor, modulation: Tensor) -> Tensor:
        """norm(x) · (1 + scale) + shift, where `modulation` (B, 2C) is scale and shift.

        As group normalisation of one image of B·C channels with weights of its own each: one pass over x instead of two.
        """
        batch, channels = x.shape[:2]
        scale, shift = modulation.chunk(2, 1)
        weight = torch.addcmul(self.weight, self.weight, scale)  # γ (1 + scale)
        bias = torch.addcmul(shift, self.bias, 1 + scale)
        merged = x.reshape(1, batch * channels, *x.shape[2:])
        y = F.group_norm(merged, batch * self.num_groups, weight.flatten(), bias.flatten(), self.eps)
        return y.reshape(x.shape)


class ResBlock(nn.Module):
    """Two 3×3 convolutions with group norm and SiLU and a skip: (B, in, h, w) to (B, out, h, w), modulated before the second.
    The second starts at 0."""

    def __init__(self, channels_in: int, channels_out: int, dropout: float):
        super().__init__()
        self.norm = Norm(channels_in)
        self.first = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.modulated = Norm(channels_out)
        self.second = zeroed(nn.Conv2d(channels_out, channels_out, 3, padding=1))
        self.skip = nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1)
        self.dropout = dropout
        self.modulations = 2 * channels_out

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        h = self.first(F.silu(self.norm(x)))
        h = F.silu(self.modulated.modulated(h, modulation))
        return self.skip(x) + self.second(F.dropout(h, self.dropout, self.training))


class Attention(nn.Module):
    """Self-attention over the pixels of (B, C, h, w), in heads of about `head_width` channels; its last product starts at 0."""

    def __init__(self, channels: int, head_width: int):
        super().__init__()
        self.heads = largest_divisor(channels, channels // head_width)
        self.norm = Norm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.last = zeroed(nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.norm(x).flatten(2).transpose(1, 2)  # (B, C, h, w) to (B, h·w, C)
        qkv = self.qkv(pixels).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (3, B, heads, h·w, C/heads)
        mixed = F.scaled_dot_product_attention(*qkv.unbind())
        y = self.last(mixed.transpose(1, 2).flatten(2))  # (B, h·w, C)
        return x + y.transpose(1, 2).reshape(x.shape)


class Stage(nn.Module):
    """A residual block, and attention behind it if asked for."""

    def __init__(self, channels_in: int, channels_out: int, dropout: float, head_width: int | None):
        super().__init__()
        self.block = ResBlock(channels_in, channels_out, dropout)
        self.attention = Attention(channels_out, head_width) if head_width else nn.Identity()

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        return self.attention(self.block(x, modulation))


class Down(nn.Module):
    """(B, C, h, w) to (B, C, ⌈h/2⌉, ⌈w/2⌉), by a strided convolution or by averages of 2×2 pixels."""

    def __init__(self, channels: int, resample: Resample):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1) if resample == "conv" else None

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2, ceil_mode=True) if self.conv is None else self.conv(x)


class Up(nn.Module):
    """(B, C, h, w) to (B, C, *size): nearest neighbours, and a convolution behind them if asked for."""

    def __init__(self, channels: int, resample: Resample):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if resample == "conv" else nn.Identity()

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        return self.conv(F.interpolate(x, size=size, mode="nearest"))


class UNet(Network):
    """A U-Net of `width · multipliers[i]` channels at level i, whose size is that of level i - 1 halved and rounded up.

    A level has `blocks` residual blocks on the way down and one more on the way up; between the two ways are two more at the
    coarsest size. `attention` holds the heights at which a block is followed by self-attention; if it holds any, the middle has
    it too. Heads have `head_width` channels, or the next number above it that divides a level's. `resample` says how sizes
    change: with a convolution, as in the paper, or without, which saves a fifth of a small network's arithmetic.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        size: tuple[int, int],
        width: int,
        multipliers: Sequence[int],
        blocks: int,
        attention: Collection[int] = (),
        classes: int = 0,
        condition_channels: int = 0,
        head_width: int = 64,
        dropout: float = 0.0,
        resample: Resample = "conv",
    ):
        super().__init__(channels, out_channels, size, classes, condition_channels)
        widths = [width * multiplier for multiplier in multipliers]
        heights = [-(-size[0] // 2**level) for level in range(len(widths))]
        heads = [head_width if height in attention else None for height in heights]
        self.embed = Embedding(max(width, 32), 4 * width, classes)
        self.first = nn.Conv2d(channels + condition_channels, width, 3, padding=1)

        passed, now = [width], width  # channels of what the way down leaves for the way up
        self.down = nn.ModuleList()
        for level, wide in enumerate(widths):
            for _ in range(blocks):
                self.down.append(Stage(now, wide, dropout, heads[level]))
                now = wide
                passed.append(now)
            if level < len(widths) - 1:
                self.down.append(Down(now, resample))
                passed.append(now)
        middle = head_width if attention else None
        self.middle = nn.ModuleList([Stage(now, now, dropout, middle), Stage(now, now, dropout, None)])
        self.up = nn.ModuleList()
        for level, wide in reversed(list(enumerate(widths))):
            for _ in range(blocks + 1):
                self.up.append(Stage(now + passed.pop(), wide, dropout, heads[level]))
                now = wide
            if level:
                self.up.append(Up(now, resample))
        self.norm = Norm(now)
        self.last = zeroed(nn.Conv2d(now, out_channels, 3, padding=1))

        stages = [layer for layer in (*self.down, *self.middle, *self.up) if isinstance(layer, Stage)]
        self.modulations = [stage.block.modulations for stage in stages]
        self.modulate = nn.Linear(
            4 * width, sum(self.modulations)
        )  # of all blocks at once: one product instead of many

    def forward(
        self, x: Tensor, noise: Tensor, labels: Tensor | None = None, condition: Tensor | None = None
    ) -> Tensor:
        joined = self.joined(x, noise, condition)
        if not len(x):
            return x.new_zeros(0, self.out_channels, *x.shape[2:])
        modulation = iter(self.modulate(self.embed(noise, labels)).split(self.modulations, 1))
        h = self.first(joined)
        passed = [h]
        for layer in self.down:
            h = layer(h, next(modulation)) if isinstance(layer, Stage) else layer(h)
            passed.append(h)
        for layer in self.middle:
            h = layer(h, next(modulation))
        for layer in self.up:
            if isinstance(layer, Stage):
                h = layer(torch.cat([h, passed.pop()], 1), next(modulation))
            else:
                h = layer(h, passed[-1].shape[2:])
        return self.last(F.silu(self.norm(h)))
