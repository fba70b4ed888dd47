"""Convolutional pieces shared by the Wavelet-VAE and the plain VAE, so that the two differ in nothing but the wavelet.

All of them work on the sizes of a wavelet pyramid: `sizes` holds (height, width) of the levels, coarse to fine. The
papers publish no architecture; these are small residual networks that train on one CPU core at 16 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Sizes = Sequence[tuple[int, int]]
Layout = Literal["flat", "spatial"]


def norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with at most 8 groups."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


def widths(width: int, levels: int) -> list[int]:
    """Channels of the levels, coarse to fine: `width` at the finest, doubled per level up to four times it."""
    return [min(2**i, 4) * width for i in range(levels - 1, -1, -1)]


class ResBlock(nn.Module):
    """Two 3×3 convolutions with GroupNorm and SiLU, and a skip: (B, in, h, w) to (B, out, h, w)."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.body = nn.Sequential(
            norm(channels_in),
            nn.SiLU(),
            nn.Conv2d(channels_in, channels_out, 3, padding=1),
            norm(channels_out),
            nn.SiLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1),
        )
        self.skip = nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.body(x)


class Down(nn.Module):
    """A strided convolution to `size`. Transforms that pad have sizes that halving does not give: those are pooled."""

    def __init__(self, channels_in: int, channels_out: int, size: tuple[int, int]):
        super().__init__()
        self.size = size
        self.conv = nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = self.conv(F.pad(x, (0, width % 2, 0, height % 2)))
        return x if tuple(x.shape[-2:]) == self.size else F.adaptive_avg_pool2d(x, self.size)


class Head(nn.Sequential):
    """GroupNorm, SiLU and a 3×3 convolution: features to coefficients. `zero` starts it at `bias` everywhere."""

    def __init__(self, channels_in: int, channels_out: int, zero: bool = False, bias: float = 0.0):
        conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        super().__init__(norm(channels_in), nn.SiLU(), conv)
        if zero:
            nn.init.zeros_(conv.weight)
            nn.init.constant_(conv.bias, bias)  # type: ignore[arg-type]


class ImageHead(nn.Module):
    """Features (B, width, h, w) to (B, C, height, width): four maps a channel at half resolution, interleaved."""

    def __init__(self, width: int, shape: tuple[int, int, int]):
        super().__init__()
        self.shape = shape
        self.head = Head(width, 4 * shape[0])

    def forward(self, features: Tensor) -> Tensor:
        x = F.pixel_shuffle(self.head(features), 2)  # (B, 4C, h, w) to (B, C, 2h, 2w)
        return x[..., : self.shape[1], : self.shape[2]]


def code_shape(code: int, layout: Layout, sizes: Sizes) -> tuple[int, ...]:
    """Of a code: (code,), or `code` maps of the coarsest level's size."""
    return (code,) if layout == "flat" else (code, *sizes[0])


class CodeHead(nn.Module):
    """Features (B, channels, h, w) to a mean and a raw scale, each (B, *shape), flat or maps of the same size."""

    def __init__(self, channels: int, size: tuple[int, int], shape: Sequence[int]):
        super().__init__()
        flat = len(shape) == 1
        last = (
            nn.Sequential(nn.Flatten(), nn.Linear(channels * size[0] * size[1], 2 * shape[0]))
            if flat
            else nn.Conv2d(channels, 2 * shape[0], 3, padding=1)
        )
        self.body = nn.Sequential(norm(channels), nn.SiLU(), last)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = self.body(features).chunk(2, dim=1)  # (B, 2·code, …) to two (B, code, …)
        return mean, raw


class CodeEncoder(nn.Module):
    """Images (B, C, H, W), scaled to [-1, 1], to a mean and a raw scale, each (B, *shape)."""

    def __init__(self, channels: int, sizes: Sizes, width: int, shape: Sequence[int]):
        super().__init__()
        fine_to_coarse = list(zip(widths(width, len(sizes)), sizes, strict=True))[::-1]
        layers: list[nn.Module] = []
        before = channels
        for channels_out, size in fine_to_coarse:
            layers += [Down(before, channels_out, size), ResBlock(channels_out, channels_out)]
            before = channels_out
        self.trunk = nn.Sequential(*layers)
        self.to_code = CodeHead(before, sizes[0], shape)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.to_code(self.trunk(images))


class CodeDecoder(nn.Module):
    """A code (B, *shape), flat or maps, to features (B, width_j, h_j, w_j) of every level, coarse to fine."""

    def __init__(self, shape: Sequence[int], sizes: Sizes, width: int):
        super().__init__()
        self.sizes = list(sizes)
        self.widths = widths(width, len(sizes))
        height, wide = self.sizes[0]
        self.from_code: nn.Module = (
            nn.Linear(shape[0], self.widths[0] * height * wide)
            if len(shape) == 1
            else nn.Conv2d(shape[0], self.widths[0], 3, padding=1)
        )
        before = [self.widths[0], *self.widths[:-1]]
        self.first = ResBlock(self.widths[0], self.widths[0])  # or the coarsest head would see one block only
        self.blocks = nn.ModuleList(ResBlock(i, o) for i, o in zip(before, self.widths, strict=True))

    def forward(self, code: Tensor) -> list[Tensor]:
        features = []
        x = self.from_code(code).reshape(len(code), self.widths[0], *self.sizes[0])  # (B, n) to (B, width, h, w)
        x = self.first(x)
        for size, block in zip(self.sizes, self.blocks, strict=True):
            if tuple(x.shape[-2:]) != size:
                x = F.interpolate(x, size=size, mode="nearest")
            x = block(x)
            features.append(x)
        return features


class UNetEncoder(nn.Module):
    """Images (B, C, H, W), scaled to [-1, 1], to features (B, width_j, h_j, w_j) of every level, coarse to fine.

    A way down to the coarsest level and a way up again, so that the finest details are predicted with the context of
    the coarse ones (S0 §3.2.2 asks for one head a level and says no more).
    """

    def __init__(self, channels: int, sizes: Sizes, width: int):
        super().__init__()
        self.sizes = list(sizes)
        self.widths = widths(width, len(sizes))
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        fine_to_coarse = list(zip(self.widths, self.sizes, strict=True))[::-1]
        before = [width, *(w for w, _ in fine_to_coarse[:-1])]
        self.down = nn.ModuleList(
            nn.Sequential(Down(i, o, size), ResBlock(o, o), ResBlock(o, o))
            for i, (o, size) in zip(before, fine_to_coarse, strict=True)
        )
        self.up = nn.ModuleList(
            ResBlock(coarse + fine, fine) for coarse, fine in zip(self.widths, self.widths[1:], strict=False)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.stem(images)
        passed = []
        for block in self.down:
            x = block(x)
            passed.append(x)
        features = [passed.pop()]
        for size, block in zip(self.sizes[1:], self.up, strict=True):
            wide = F.interpolate(features[-1], size=size, mode="nearest")
            features.append(block(torch.cat([wide, passed.pop()], dim=1)))
        return features


class Refine(nn.Module):
    """The convolutional refinement behind the inverse transform (S2): x + f(x), where f starts at 0."""

    def __init__(self, channels: int, width: int, blocks: int = 2):
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResBlock(width, width) for _ in range(blocks)))
        self.head = Head(width, channels, zero=True)

    def forward(self, images: Tensor) -> Tensor:
        return images + self.head(self.blocks(self.stem(images)))
