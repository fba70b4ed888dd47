"""What is drawn: elements of the space, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wavekit_core.spaces import ImageSpace, Space, TokenSpace
from wavekit_core.testing.components import same
from wavekit_core.testing.elements import tensors


def require_elements(space: Space, data: Any, count: int, what: str, bounded: bool = True) -> None:
    """Raise AssertionError unless `data` are `count` finite elements of `space`, within its range if `bounded`."""
    form = ", ".join(str(tuple(t.shape)) for t in tensors(data)) or type(data).__name__
    assert space.holds(data, count), f"{what} gives {form}, and {count} of {space} were expected"
    assert all(bool(torch.isfinite(t).all()) for t in tensors(data)), f"{what} gives numbers that are not finite"
    if bounded and isinstance(space, ImageSpace):
        low, high = float(data.min()), float(data.max())
        slack = 1e-5 * (space.high - space.low)
        assert space.low - slack <= low <= high <= space.high + slack, (
            f"{what} gives values from {low:.4g} to {high:.4g}, and the space ends at {space.low:g} and {space.high:g}"
        )
    if isinstance(space, TokenSpace) and count:
        low, high = int(data.min()), int(data.max())
        assert 0 <= low <= high < space.vocabulary, (
            f"{what} gives tokens from {low} to {high} of a vocabulary of {space.vocabulary}"
        )


def require_seeds(drawn: Callable[[int], list[Tensor]]) -> None:
    """Raise AssertionError unless `drawn(seed)` is the same for the same seed alone, and its elements differ."""
    first, again, other = drawn(0), drawn(0), drawn(1)
    same(first, again, "the same seed draws other elements the second time; draw from torch's global generators")
    assert any(not torch.equal(a, b) for a, b in zip(first, other, strict=True)), "another seed draws the same elements"
    assert any(not torch.equal(a[:1], a[1:2]) for a in first), "all elements of one drawing are the same"
