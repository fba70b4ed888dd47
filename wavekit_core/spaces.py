"""Spaces: the type of the data at one point of a pipeline, without any data.

A transform maps a space to a space or says why it cannot; a generator is built for one space. The whole pipeline is
therefore checked before anything is computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from wavekit_core.pyramid import Pyramid


@dataclass(frozen=True)
class Space:
    """Base of all spaces. A batch of a space has one leading axis, `B`."""

    @property
    def numbers(self) -> int:
        """How many numbers one element of the space has."""
        raise TypeError(f"{type(self).__name__} does not say how many numbers it has")


@dataclass(frozen=True)
class ImageSpace(Space):
    """Images (B, channels, height, width) with values from `low` to `high`."""

    channels: int
    height: int
    width: int
    low: float = 0.0
    high: float = 1.0

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, self.height, self.width)

    @property
    def numbers(self) -> int:
        return self.channels * self.height * self.width

    def flatten(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, numbers)."""
        return images.flatten(1)

    def unflatten(self, vectors: Tensor) -> Tensor:
        """(B, numbers) to (B, C, H, W)."""
        return vectors.reshape(len(vectors), *self.shape)

    def zeros(self, count: int, device: torch.device | str = "cpu") -> Tensor:
        return torch.zeros(count, *self.shape, device=device)

    def __str__(self) -> str:
        return f"images {self.channels}×{self.height}×{self.width} in [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True)
class PyramidSpace(Space):
    """Pyramids of a multi-level wavelet transform of `image`.

    `sizes` holds (height, width) of the details, coarse to fine; the approximation has the size of the coarsest.
    `norm` is one of the normalisations in `wavekit_core.pyramid`. `orthonormal` says whether coefficient energy is pixel
    energy in the native filters, whatever the norm: orthonormal wavelets, critically sampled, at even sizes.
    """

    image: ImageSpace
    wavelet: str
    mode: str
    norm: str
    sizes: tuple[tuple[int, int], ...]
    orthonormal: bool = field(default=False)

    @property
    def levels(self) -> int:
        return len(self.sizes)

    @property
    def channels(self) -> int:
        return self.image.channels

    @property
    def band_shapes(self) -> dict[str, tuple[int, int, int]]:
        """(C, h, w) of every band by name, coarse to fine: `cA2`, `cH2`, `cV2`, `cD2`, `cH1`, …"""
        shapes = {f"cA{self.levels}": (self.channels, *self.sizes[0])}
        for level, size in zip(range(self.levels, 0, -1), self.sizes, strict=True):
            shapes |= {f"c{orientation}{level}": (self.channels, *size) for orientation in "HVD"}
        return shapes

    @property
    def numbers(self) -> int:
        return sum(c * h * w for c, h, w in self.band_shapes.values())

    def flatten(self, pyramid: Pyramid) -> Tensor:
        """A pyramid of batch size B to (B, numbers), coarse to fine."""
        return torch.cat([band.flatten(1) for band in pyramid.bands().values()], dim=1)

    def unflatten(self, vectors: Tensor) -> Pyramid:
        """(B, numbers) to a pyramid."""
        from wavekit_core.pyramid import Pyramid

        shapes = self.band_shapes
        pieces = vectors.split([c * h * w for c, h, w in shapes.values()], dim=1)
        bands = {
            name: piece.reshape(len(piece), *shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
        }
        return Pyramid.from_bands(bands, self)

    def zeros(self, count: int, device: torch.device | str = "cpu") -> Pyramid:
        return self.unflatten(torch.zeros(count, self.numbers, device=device))

    def __str__(self) -> str:
        approx = "×".join(map(str, self.sizes[0]))
        details = ", ".join("×".join(map(str, size)) for size in self.sizes)
        return (
            f"pyramid {self.wavelet}, {self.levels} level{'s' * (self.levels > 1)} ({self.mode}, {self.norm}): "
            f"{self.channels} × (approximation {approx}; 3 details of {details})"
        )


@dataclass(frozen=True)
class Band:
    """One named part of an autoencoder's latent.

    `role` is `code` (what a bottleneck leaves), `approx` or `detail`. `drawn` is false for bands that follow from others:
    a decoder takes the drawn ones.
    """

    name: str
    shape: tuple[int, ...]
    role: str
    drawn: bool = True

    @property
    def numbers(self) -> int:
        return int(torch.Size(self.shape).numel())


@dataclass(frozen=True)
class LatentSpace(Space):
    """The latent of an autoencoder as named bands (B, *band.shape)."""

    bands: tuple[Band, ...]

    def names(self, *roles: str, drawn: bool | None = None) -> list[str]:
        """Names of the bands with one of `roles` (all, if none is given), by `drawn` if given."""
        return [
            band.name
            for band in self.bands
            if (not roles or band.role in roles) and (drawn is None or band.drawn == drawn)
        ]

    @property
    def numbers(self) -> int:
        """How many numbers are drawn for one image."""
        return sum(band.numbers for band in self.bands if band.drawn)

    def __str__(self) -> str:
        parts = (
            f"{band.name} {'×'.join(map(str, band.shape))}{'' if band.drawn else ' (follows)'}" for band in self.bands
        )
        return "latent of " + ", ".join(parts)
