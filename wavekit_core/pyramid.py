"""The pyramid: the coefficients of a multi-level two-dimensional wavelet transform.

Conventions, decided here once for every plugin:

* details are held coarse to fine, the order in which they are generated;
* a level's details stand on an axis of three before the last two: cH (high-pass along the height: answers to horizontal
  edges), cV (high-pass along the width: vertical edges), cD (both: diagonals);
* where an axis is odd in the mode `whole-symmetric`, its high-pass bands are one shorter: in `details` the last place holds 0
  and is not read, in `bands()` and as vectors it is left out;
* the names LH and HL are used both ways in papers, so bands are called cA, cH, cV, cD and their level, `cH1` the finest;
* the filters are PyWavelets' (a constant image grows by 2 at each level), and a normalisation is a factor or an affine map
  a band:

  ============  ================================================================================================
  `ortho`       the filters as they are; orthonormal wavelets keep the energy
  `mean`        level k divided by 2^k, so that Haar's approximation is the mean of a block
  `unit-range`  every band divided by the largest value that an image of the source's range can give it; Haar on [0, 1]:
                approximation / 2^k in [0, 1], details / 2^(k-1) in [-1, 1]
  `whiten`      (c - mean) / standard deviation, a band and channel, fitted to the training data
  `integer`     whole numbers, from 8-bit images and back without loss (Haar and bior2.2, by rounded lifting)
  ============  ================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from wavekit_core.filters import FilterBank
from wavekit_core.spaces import ImageSpace, Space

Norm = Literal["ortho", "mean", "whiten", "unit-range", "integer"]
ORIENTATIONS = ("H", "V", "D")


@dataclass(frozen=True)
class Pyramid:
    """`approx` (..., C, h, w) and `details`, coarse to fine, each (..., C, 3, h, w), of the given space."""

    approx: Tensor
    details: tuple[Tensor, ...]
    space: PyramidSpace

    def __len__(self) -> int:
        """The batch size."""
        return len(self.approx)

    @property
    def levels(self) -> int:
        return len(self.details)

    def bands(self) -> dict[str, Tensor]:
        """Every band (..., C, h, w) by name, coarse to fine."""
        named = {f"cA{self.levels}": self.approx}
        for level, details, ends in zip(
            range(self.levels, 0, -1), self.details, self.space.detail_shapes(), strict=True
        ):
            named |= {
                f"c{o}{level}": details[..., i, :h, :w]
                for i, (o, (h, w)) in enumerate(zip(ORIENTATIONS, ends, strict=True))
            }
        return named

    @classmethod
    def from_bands(cls, bands: Mapping[str, Tensor], space: PyramidSpace) -> Pyramid:
        """The inverse of `bands()`."""
        details = tuple(
            torch.stack([_filled(bands[f"c{o}{level}"], size) for o in ORIENTATIONS], dim=-3)
            for level, size in zip(range(space.levels, 0, -1), space.sizes, strict=True)
        )
        return cls(bands[f"cA{space.levels}"], details, space)

    def map(self, function: Callable[[Tensor], Tensor]) -> Pyramid:
        """`function` applied to the approximation and to each level's details."""
        return Pyramid(function(self.approx), tuple(function(d) for d in self.details), self.space)

    def mallat(self) -> Tensor:
        """The pyramid as one picture (..., C, H', W'): approximation top left, finest details outermost."""
        picture, bands = self.approx, self.bands()
        for level, details in zip(range(self.levels, 0, -1), self.details, strict=True):
            cH, cV, cD = (bands[f"c{o}{level}"] for o in ORIENTATIONS)
            height, width = details.shape[-2:]
            corner = picture[..., :height, :width]
            picture = torch.cat([torch.cat([corner, cV], -1), torch.cat([cH, cD], -1)], -2)
        return picture


def _filled(band: Tensor, size: tuple[int, int]) -> Tensor:
    """The band with zeros in the places that it does not have."""
    missing = size[1] - band.shape[-1], size[0] - band.shape[-2]
    return F.pad(band, (0, missing[0], 0, missing[1])) if any(missing) else band


@dataclass(frozen=True)
class PyramidSpace(Space):
    """Pyramids of a multi-level wavelet transform of `image`.

    `sizes` holds (height, width) of the details, coarse to fine; the approximation has the size of the coarsest.
    `norm` is one of the normalisations above. `orthonormal` says whether coefficient energy is pixel
    energy in the native filters, whatever the norm: orthonormal wavelets, critically sampled, at even sizes. `bank` are the
    filters, if the transform is one of filter banks: what goes from scale to scale (`wavekit_core.wavelets.scales`) needs
    them.
    """

    image: ImageSpace
    wavelet: str
    mode: str
    norm: str
    sizes: tuple[tuple[int, int], ...]
    orthonormal: bool = field(default=False)
    bank: FilterBank | None = None

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
        for level, ends in zip(range(self.levels, 0, -1), self.detail_shapes(), strict=True):
            shapes |= {f"c{o}{level}": (self.channels, *size) for o, size in zip(ORIENTATIONS, ends, strict=True)}
        return shapes

    def detail_shapes(self) -> list[tuple[tuple[int, int], ...]]:
        """(h, w) of cH, cV and cD, coarse to fine: that of `sizes`, but for odd axes in the mode `whole-symmetric`."""
        if self.mode != "whole-symmetric":
            return [(size, size, size) for size in self.sizes]
        finer = [*self.sizes[1:], (self.image.height, self.image.width)]
        return [((H // 2, w), (h, W // 2), (H // 2, W // 2)) for (h, w), (H, W) in zip(self.sizes, finer, strict=True)]

    @property
    def numbers(self) -> int:
        return sum(c * h * w for c, h, w in self.band_shapes.values())

    def holds(self, data: Any, count: int) -> bool:
        shapes = {name: (count, *shape) for name, shape in self.band_shapes.items()}
        return isinstance(data, Pyramid) and {name: tuple(band.shape) for name, band in data.bands().items()} == shapes

    def flatten(self, pyramid: Pyramid) -> Tensor:
        """A pyramid of batch size B to (B, numbers), coarse to fine."""
        return torch.cat([band.flatten(1) for band in pyramid.bands().values()], dim=1)

    def unflatten(self, vectors: Tensor) -> Pyramid:
        """(B, numbers) to a pyramid."""
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
