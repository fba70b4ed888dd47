"""Networks between features and wavelet coefficients: heads that predict them, an encoder and a decoder that read them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavekit_core.pyramid import Pyramid, PyramidSpace
from wavekit_core.spaces import Band
from wavekit_wvae.networks import CodeHead, Head, ResBlock, widths


def level_of(band: str) -> int:
    """The level in a pyramid band's name: 2 for `cH2`; 1 is the finest."""
    return int(band[2:])


def pyramid_bands(space: PyramidSpace, drawn: bool) -> tuple[Band, ...]:
    """The bands of a pyramid as parts of a latent, coarse to fine."""
    return tuple(
        Band(name, shape, "approx" if name[1] == "A" else "detail", drawn) for name, shape in space.band_shapes.items()
    )


def keeps_energy(space: PyramidSpace) -> bool:
    """Whether ‖x − y‖² = ‖DWT(x) − DWT(y)‖², and every pyramid is one of an image (Parseval)."""
    return space.orthonormal and space.norm == "ortho" and space.numbers == space.image.numbers


def growth(space: PyramidSpace) -> float:
    """By how much coefficients grow a level."""
    return 2.0 if space.norm == "ortho" else 1.0


def band_names(level: int, levels: int) -> list[str]:
    """The bands of one level: the details, and the approximation at the coarsest."""
    return [f"c{o}{level}" for o in ("AHVD" if level == levels else "HVD")]


def stacked(pyramid: Pyramid) -> list[Tensor]:
    """The bands of every level side by side as channels (B, 4C or 3C, h, w), coarse to fine, divided by their growth."""
    bands, grow = pyramid.bands(), growth(pyramid.space)
    levels = range(pyramid.levels, 0, -1)
    return [torch.cat([bands[name] for name in band_names(j, pyramid.levels)], 1) / grow**j for j in levels]


def channel_counts(space: PyramidSpace) -> list[int]:
    """The channels of `stacked`."""
    return [4 * space.channels] + [3 * space.channels] * (space.levels - 1)


class CoefficientHeads(nn.Module):
    """One head a level: features (B, width_j, h_j, w_j), coarse to fine, to pyramid bands (B, C, h_j, w_j) by name.

    The heads' outputs are multiplied by `grow` a level, by default the growth of the native filters, so that every head
    works at the scale of pixels. `zero` starts them at `bias`.
    """

    def __init__(
        self, space: PyramidSpace, widths: Sequence[int], zero: bool, grow: float | None = None, bias: float = 0.0
    ):
        super().__init__()
        self.levels, self.channels = space.levels, space.channels
        self.grow = growth(space) if grow is None else grow
        counts = channel_counts(space)
        self.heads = nn.ModuleList(Head(w, n, zero, bias) for w, n in zip(widths, counts, strict=True))

    def forward(self, features: Sequence[Tensor]) -> dict[str, Tensor]:
        bands: dict[str, Tensor] = {}
        for level, x, head in zip(range(self.levels, 0, -1), features, self.heads, strict=True):
            names = band_names(level, self.levels)
            pieces = head(x).split(self.channels, dim=1)  # (B, 4C or 3C, h, w) to (B, C, h, w) each
            for name, piece in zip(names, pieces, strict=True):
                bands[name] = piece * self.grow ** (level if name[1] == "A" else level - 1)
        return bands


class LevelUNet(nn.Module):
    """A U-Net of two depths without resampling: (B, channels, h, w) to (B, width, h, w)."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.first, self.second = ResBlock(width, width), ResBlock(width, width)
        self.up = ResBlock(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(self.stem(x))
        return self.up(torch.cat([self.second(first), first], 1))


class CoefficientEncoder(nn.Module):
    """A pyramid to a code's mean and raw scale (LiteVAE, arXiv 2405.14477, §4.1).

    Each level's coefficients go through a U-Net without resampling; the features are pooled to the coarsest grid,
    joined, and aggregated there. (LiteVAE gives every level its approximation too; it follows from the coarser bands.)
    """

    def __init__(self, space: PyramidSpace, width: int, shape: Sequence[int]):
        super().__init__()
        self.size = space.sizes[0]
        self.levels = nn.ModuleList(LevelUNet(channels, width) for channels in channel_counts(space))
        wide = widths(width, space.levels)[0]
        self.aggregator = nn.Sequential(ResBlock(space.levels * width, wide), ResBlock(wide, wide))
        self.to_code = CodeHead(wide, self.size, shape)

    def forward(self, pyramid: Pyramid) -> tuple[Tensor, Tensor]:
        features = [net(x) for net, x in zip(self.levels, stacked(pyramid), strict=True)]
        pooled = [F.adaptive_avg_pool2d(f, self.size) for f in features]
        return self.to_code(self.aggregator(torch.cat(pooled, 1)))


class CoefficientDecoder(nn.Module):
    """A pyramid to features (B, width, h, w) of its finest level by convolutions, without an inverse transform."""

    def __init__(self, space: PyramidSpace, width: int):
        super().__init__()
        self.widths = widths(width, space.levels)
        self.stems = nn.ModuleList(
            nn.Conv2d(n, w, 3, padding=1) for n, w in zip(channel_counts(space), self.widths, strict=True)
        )
        before = [0, *self.widths[:-1]]
        self.blocks = nn.ModuleList(ResBlock(i + o, o) for i, o in zip(before, self.widths, strict=True))

    def forward(self, pyramid: Pyramid) -> Tensor:
        x: Tensor | None = None
        for bands, stem, block in zip(stacked(pyramid), self.stems, self.blocks, strict=True):
            given = stem(bands)
            if x is not None:
                given = torch.cat([F.interpolate(x, size=given.shape[-2:], mode="nearest"), given], 1)
            x = block(given)
        assert x is not None
        return x
