"""The closed-form optimum of the Wavelet-VAE's published objective: classical wavelet shrinkage."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import Field
from torch import Tensor

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Batch, Generator, Transform
from wavekit_core.pyramid import Pyramid, PyramidSpace
from wavekit_core.registry import node
from wavekit_core.spaces import ImageSpace
from wavekit_wvae.coefficients import keeps_energy
from wavekit_wvae.laplace import soft
from wavekit_wvae.regularizers import LevelWeight, Weight, factor


class OracleShrinkage(Generator):
    """Soft-thresholds an image's details; nothing is trained.

    With an orthonormal transform and a pure inverse, ‖x − x̂‖² = ‖DWT(x) − c̃‖², so the minimum of S0 Eq. 22,
    ‖x − x̂‖²/(2σ²) + λ Σ w_j|c|, is at A = DWT(x), details = soft(DWT(x), λσ²w_j) and s = 0. No Wavelet-VAE with the
    same transform, λ and σ can be better on that objective.

    Args:
        space: the images.
        transform: an orthonormal wavelet transform that does not pad (`SpaceError` otherwise).
        weight: λ of `detail-l1`.
        sigma: σ of the likelihood, in units of pixel values; 1/√2 makes squared error.
        level_weight: as in `detail-l1`.
    """

    space: ImageSpace

    def __init__(
        self,
        space: ImageSpace,
        transform: Transform = node("haar", levels=2),
        weight: Weight = 0.03,
        sigma: Annotated[float, Field(gt=0)] = math.sqrt(0.5),
        level_weight: LevelWeight = "one",
    ):
        super().__init__()
        target = transform.target(space)
        if not isinstance(target, PyramidSpace) or not keeps_energy(target):
            raise SpaceError(
                self,
                f"{target} is not orthonormal",
                "use haar with norm ortho, and sizes that 2^levels divides",
                at="transform",
            )
        self.space, self.transform, self.pyramid_space = space, transform, target
        self.weight, self.sigma, self.rule = weight, sigma, level_weight

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Hand the transform its training data."""
        self.transform.fit(batch.data for batch in batches())

    def shrink(self, images: Tensor) -> Pyramid:
        """The optimal pyramid of images (B, C, H, W)."""
        pyramid = self.transform(images)
        levels = range(pyramid.levels, 0, -1)
        details = (soft(d, self.threshold(level)) for level, d in zip(levels, pyramid.details, strict=True))
        return Pyramid(pyramid.approx, tuple(details), pyramid.space)

    def threshold(self, level: int) -> float:
        """λσ²w_j of level j, in units of coefficients."""
        return self.weight * self.sigma**2 * factor(level, self.rule)

    def reconstruct(self, data: Tensor) -> Tensor:
        return self.transform.inverse(self.shrink(data))
