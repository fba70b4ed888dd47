"""From scale to scale: the approximations of a pyramid, one by one, and the range of values of each."""

from __future__ import annotations

from functools import lru_cache

from torch import Tensor

from wavekit_core.filters import FilterBank
from wavekit_core.pyramid import Pyramid, PyramidSpace
from wavekit_core.wavelets.operator import synthesis
from wavekit_core.wavelets.ranges import approximation_range, largest_coefficients


def refusal(space: PyramidSpace) -> str | None:
    """Why nothing goes from scale to scale in `space` (reason; remedy), or None if it does."""
    if space.bank is None:
        return f"{space.wavelet} does not say its filters; use a transform of filter banks, such as haar"
    if space.norm != "ortho":
        return (
            f"the norm {space.norm} scales each level by itself, and what goes from level to level needs the filters' scale; "
            "set norm: ortho"
        )
    return None


def size_of(space: PyramidSpace, level: int) -> tuple[int, int]:
    """(height, width) of the approximation of a level; level 0 is the image."""
    return space.sizes[space.levels - level] if level else (space.image.height, space.image.width)


def finer(space: PyramidSpace, level: int, approx: Tensor, details: Tensor) -> Tensor:
    """The approximation of level - 1 (B, C, h', w') from that of `level` (B, C, h, w) and its details (B, C, 3, h, w)."""
    return synthesis(approx, [details], _bank(space), space.mode, size_of(space, level - 1))  # type: ignore[arg-type]


def approximations(pyramid: Pyramid) -> dict[int, Tensor]:
    """The approximation (B, C, h, w) of every level, the coarsest first; level 0, the image, is not among them."""
    space, found = pyramid.space, {pyramid.levels: pyramid.approx}
    for level, details in zip(range(space.levels, 1, -1), pyramid.details, strict=False):
        found[level - 1] = finer(space, level, found[level], details)
    return found


@lru_cache(maxsize=256)
def range_of(space: PyramidSpace, level: int) -> tuple[float, float]:
    """The smallest and the largest value that the approximation of a level can have; level 0 is the image."""
    image = space.image
    if not level:
        return image.low, image.high
    return approximation_range(_bank(space), space.mode, level, (image.height, image.width), image.low, image.high)  # type: ignore[arg-type]


@lru_cache(maxsize=256)
def largest_detail(space: PyramidSpace, level: int) -> float:
    """The largest absolute value that a detail of a level can have."""
    image = space.image
    size = (image.height, image.width)
    divisors = largest_coefficients(_bank(space), space.mode, level, size, image.low, image.high)  # type: ignore[arg-type]
    return max(divisors[1][0])


def _bank(space: PyramidSpace) -> FilterBank:
    if space.bank is None:
        raise TypeError(f"{space} does not say its filters")
    return space.bank
