"""Detail generators: p(details of a level | its approximation), the second factor of a cascade."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wavekit_core.kinds.generator import Generator
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.spaces import Space

if TYPE_CHECKING:
    from wavekit_core.kinds.sampler import Sampler


@dataclass(frozen=True)
class DetailSpace(Space):
    """The details of some levels of a pyramid, coarse to fine, each given the approximation of its level; elements are
    `Scales`."""

    pyramid: PyramidSpace
    levels: tuple[int, ...]

    @property
    def channels(self) -> int:
        return self.pyramid.channels

    def size(self, level: int) -> tuple[int, int]:
        """(h, w) of the approximation and of the details of a level."""
        return self.pyramid.sizes[self.pyramid.levels - level]

    @property
    def numbers(self) -> int:
        return sum(4 * self.channels * h * w for h, w in map(self.size, self.levels))

    def holds(self, data: object, count: int) -> bool:
        forms = [(count, self.channels, *self.size(level)) for level in self.levels]
        return (
            isinstance(data, Scales)
            and [tuple(a.shape) for a in data.approximations] == forms
            and [tuple(d.shape) for d in data.details] == [(b, c, 3, h, w) for b, c, h, w in forms]
        )

    def flatten(self, scales: Scales) -> Tensor:
        """Approximations and details of a batch of B to (B, numbers)."""
        return torch.cat([part.flatten(1) for pair in scales for part in pair], 1)

    def unflatten(self, vectors: Tensor) -> Scales:
        """(B, numbers) to approximations and details."""
        count, c = len(vectors), self.channels
        sizes = [self.size(level) for level in self.levels]
        parts = iter(vectors.split([n for h, w in sizes for n in (c * h * w, 3 * c * h * w)], 1))
        pairs = [(next(parts).reshape(count, c, h, w), next(parts).reshape(count, c, 3, h, w)) for h, w in sizes]
        return Scales(tuple(a for a, _ in pairs), tuple(d for _, d in pairs), self)

    def __str__(self) -> str:
        sizes = ", ".join("×".join(map(str, self.size(level))) for level in self.levels)
        numbers = " and ".join(map(str, self.levels))
        return f"details of level {numbers} given the approximation: {self.channels} × 3 of {sizes}"


@dataclass(frozen=True)
class Scales:
    """Approximations (B, C, h, w) and details (B, C, 3, h, w) of the levels of `space`, in its order. Iterates over the pairs.

    `given` are the approximations as the generator is to see them: with noise, where conditioning augmentation adds some, and
    otherwise the same. What a detail generator learns to give are the details for the true ones.
    """

    approximations: tuple[Tensor, ...]
    details: tuple[Tensor, ...]
    space: DetailSpace
    augmented: tuple[Tensor, ...] | None = None

    @property
    def given(self) -> tuple[Tensor, ...]:
        return self.augmented or self.approximations

    def __len__(self) -> int:
        """The batch size."""
        return len(self.approximations[0])

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(zip(self.approximations, self.details, strict=True))

    def bands(self) -> dict[str, Tensor]:
        """Every tensor by name."""
        named: dict[str, Tensor] = {}
        for level, (approx, details) in zip(self.space.levels, self, strict=True):
            named |= {f"approximation {level}": approx, f"details {level}": details}
        return named

    def map(self, function: Callable[[Tensor], Tensor]) -> Scales:
        """`function` applied to every tensor."""
        augmented = self.augmented and tuple(map(function, self.augmented))
        return Scales(
            tuple(map(function, self.approximations)), tuple(map(function, self.details)), self.space, augmented
        )


class DetailGenerator(Generator):
    """A generator of details. Built for the levels of a `DetailSpace`: one for all of them, which then shares its weights
    between scales, or one for each.

    Its data are `Scales` in the filters' own scale (norm `ortho`); amplitudes double from level to level, and
    `wavekit_core.wavelets.scales` tells the range of each.
    """

    space: DetailSpace

    @abstractmethod
    def draw(self, approx: Tensor, level: int, labels: Tensor | None = None, sampler: Sampler | None = None) -> Tensor:
        """Details (B, C, 3, h, w) of a level, drawn given its approximation (B, C, h, w) and labels (B,), with `sampler` where
        `refuses` lets it."""

    draws: bool = True  # whether `draw` needs no sampler

    def evaluations_with(self, sampler: Sampler | None) -> dict[str, int]:
        """Of one level's details: one where it draws by itself, else the sampler's."""
        chosen = getattr(self, "sampler", None) or sampler
        known = 1 if chosen is None and self.draws else None if chosen is None else chosen.evaluations
        return {} if known is None else {"network": known}

    def refuses(self, sampler: Sampler) -> str | None:
        return "it draws by itself, and takes no sampler; leave the sampler out"
