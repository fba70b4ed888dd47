"""A transform as its laws see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wavekit_core.kinds import Transform
from wavekit_core.spaces import Space, TokenSpace
from wavekit_core.testing.cases import Case
from wavekit_core.testing.elements import elements, name_of, tensors, vectors
from wavekit_core.testing.laws import NotApplicable


class TransformCase(Case):
    """A transform and its source."""

    space: Space

    def prepare(self, instance: Transform) -> None:
        instance.target(self.space)

    def fit(self, instance: Transform) -> None:
        instance.fit(elements(self.space, 6, seed=seed) for seed in (1, 2))
        instance.eval()

    def observe(self, instance: Transform) -> list[Tensor]:
        made = instance(elements(self.space, 3))
        return [*tensors(made), *tensors(instance.inverse(made))]

    def at(self, dtype: torch.dtype) -> Transform:
        return self.ready().to(dtype)

    def batch(self, dtype: torch.dtype = torch.float32, count: int = 3) -> Any:
        return elements(self.space, count, dtype)

    def target(self) -> Space:
        return self.ready().target(self.space)

    def on_vectors(self, transform: Transform) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """`forward` and `inverse` as functions of vectors. Raises NotApplicable where elements are none."""
        source, target = self.space, transform.target(self.space)
        vectors(source, elements(source, 1))
        if isinstance(target, TokenSpace) or isinstance(source, TokenSpace):
            raise NotApplicable("tokens have no gradients and no sums")

        def forward(x: Tensor) -> Tensor:
            return vectors(target, transform(source.unflatten(x)))

        def inverse(y: Tensor) -> Tensor:
            return vectors(source, transform.inverse(target.unflatten(y)))

        return forward, inverse

    def pairs(self, transform: Transform) -> list[tuple[str, Callable[[Tensor], Tensor], Tensor, Tensor]]:
        """(name, function of vectors, two batches of vectors (3, n)) for `forward` and for `inverse`."""
        forward, inverse = self.on_vectors(transform)
        x, y = (vectors(self.space, elements(self.space, 3, torch.float64, seed)) for seed in (3, 4))
        made = forward(x)
        if not made.is_floating_point():
            raise NotApplicable(f"it gives whole numbers ({name_of(made.dtype)})")
        return [("forward", forward, x, y), ("inverse", inverse, torch.randn_like(made), torch.randn_like(made))]
