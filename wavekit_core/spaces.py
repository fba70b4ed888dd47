"""Spaces: the type of the data at one point of a pipeline, without any data.

A transform maps a space to a space or says why it cannot; a generator is built for one space. The whole pipeline is
therefore checked before anything is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wavekit_core.grammar import Free, Grammar


@dataclass(frozen=True)
class Space:
    """Base of all spaces. A batch of a space has one leading axis, `B`."""

    @property
    def numbers(self) -> int:
        """How many numbers one element of the space has."""
        raise TypeError(f"{type(self).__name__} does not say how many numbers it has")

    def holds(self, data: Any, count: int) -> bool:
        """Whether `data` has the form of `count` elements. Values are not looked at."""
        return True

    def flatten(self, data: Any) -> Tensor:
        """Elements as vectors (B, numbers)."""
        raise TypeError(f"{type(self).__name__} has no vectors")

    def unflatten(self, vectors: Tensor) -> Any:
        """The inverse of `flatten`."""
        raise TypeError(f"{type(self).__name__} has no vectors")


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

    def holds(self, data: Any, count: int) -> bool:
        return isinstance(data, Tensor) and tuple(data.shape) == (count, *self.shape)

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
        return f"latent of {self.numbers} numbers: " + ", ".join(parts)


@dataclass(frozen=True)
class TokenSpace(Space):
    """Sequences of tokens: int64 (B, length), each from 0 to `vocabulary` - 1.

    All sequences have the whole length: there is neither padding nor an end. A tokenizer whose sequences may end earlier
    keeps one value of the vocabulary for what comes after. The first k columns, 0 ≤ k ≤ length, are a prefix, and the
    tokenizer's `inverse` takes prefixes of any length. `grammar` says which sequences exist.
    """

    vocabulary: int
    length: int

    @property
    def numbers(self) -> int:
        return self.length

    def holds(self, data: Any, count: int) -> bool:
        return isinstance(data, Tensor) and data.dtype == torch.int64 and tuple(data.shape) == (count, self.length)

    @property
    def grammar(self) -> Grammar:
        return Free(self.vocabulary, self.length)

    def zeros(self, count: int, device: torch.device | str = "cpu") -> Tensor:
        return torch.zeros(count, self.length, dtype=torch.int64, device=device)

    def __str__(self) -> str:
        return f"{self.length} tokens of a vocabulary of {self.vocabulary}"
