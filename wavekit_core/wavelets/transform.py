"""The multi-level transform: what a wavelet family derives from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from wavekit_core.errors import SpaceError
from wavekit_core.kinds.transform import Transform
from wavekit_core.pyramid import Norm, Pyramid, PyramidSpace
from wavekit_core.spaces import ImageSpace, Space
from wavekit_core.wavelets.borders import Mode, coefficient_count
from wavekit_core.wavelets.filters import FilterBank
from wavekit_core.wavelets.operator import analysis, synthesis
from wavekit_core.wavelets.plan import refusal
from wavekit_core.wavelets.ranges import Divisors, largest_coefficients
from wavekit_core.wavelets.whitening import Whitening

Levels = Annotated[int, Field(ge=1, le=16, description="how often the approximation is split")]


class WaveletTransform(Transform):
    """Images (..., H, W) to a `Pyramid`, and back to exactly that size, odd sizes included.

    `mode` is what the filters see beyond the border (`wavekit_core.wavelets.borders`), `norm` the scale of the
    coefficients (`wavekit_core.pyramid`). The two norms that need to know the data learn it so:

    * `unit-range` takes the image range from `target(space)`; a transform that has seen no space takes [0, 1];
    * `whiten` takes its statistics from `fit(batches)`, and keeps them in buffers, so that they travel with the state.
    """

    def __init__(
        self, bank: FilterBank, levels: Levels = 1, mode: Mode = "periodization", norm: Norm = "ortho"
    ) -> None:
        super().__init__()
        self.bank = bank
        self.levels = levels
        self.mode: Mode = mode
        self.norm: Norm = norm
        self.whitening = Whitening(levels) if norm == "whiten" else None
        self._target: PyramidSpace | None = None
        self._divisors: Divisors | None = None

    def target(self, source: Space) -> PyramidSpace:
        """The pyramids of images of `source`, for which the transform is set from now on.

        Raises `SpaceError` if `source` is no image space, if an axis has nothing left to split before the last level,
        or if the transform is fitted to another number of channels.
        """
        if not isinstance(source, ImageSpace):
            raise SpaceError(
                self, f"{self.bank.name} takes images, and is given {source}", "put it where the images are"
            )
        if self._target is None or source != self._target.image:
            target = self._pyramid_space(source)
            if self.whitening is not None:
                self._prepare(self.whitening, source.channels)
            self._target, self._divisors = target, self._divisors_of(target)
        return self._target

    def forward(self, x: Tensor) -> Pyramid:
        """Images (..., C, H, W), or one plain image (H, W), to their pyramid. The dtype, floating or complex, is kept.

        Raises `SpaceError` for images that are too small, `WavekitError` if the norm is `whiten` and nothing is fitted,
        TypeError for integers.
        """
        pyramid = self._native(x)
        if self.whitening is not None:
            whitened = self.whitening(pyramid)
            # of odd axes, so that the places without a coefficient hold 0 again
            return Pyramid.from_bands(whitened.bands(), pyramid.space) if self.mode == "whole-symmetric" else whitened
        return self._scaled(pyramid, invert=False)

    def inverse(self, y: Pyramid) -> Tensor:
        """A pyramid to images (..., C, H, W) of the size of `y.space.image`.

        Raises ValueError if the bands have not the sizes that images of this size give.
        """
        if self.whitening is not None:
            y = self.whitening.inverse(y)
        else:
            y = self._scaled(y, invert=True)
        image = y.space.image
        return synthesis(y.approx, y.details, self.bank, self.mode, (image.height, image.width))

    def fit(self, batches: Iterable[Tensor]) -> None:
        """Learn the statistics of `whiten` from batches of images. The other norms read nothing."""
        if self.whitening is not None:
            with torch.no_grad():
                self.whitening.fit(self._native(batch) for batch in batches)

    def extra_repr(self) -> str:
        return f"{self.bank.name}, levels={self.levels}, mode={self.mode}, norm={self.norm}"

    def _native(self, x: Tensor) -> Pyramid:
        """The pyramid in the scale of the filters."""
        space = self._space_of(x)
        return Pyramid(*analysis(x, self.bank, self.mode, self.levels), space)

    def _space_of(self, x: Tensor) -> PyramidSpace:
        if x.ndim < 2:
            raise ValueError(f"a wavelet transform takes (..., height, width), and x has the shape {tuple(x.shape)}")
        shape = (x.shape[-3] if x.ndim > 2 else 1, x.shape[-2], x.shape[-1])
        if self._target is None:
            return self._pyramid_space(ImageSpace(*shape))
        known = self._target.image
        if known.shape == shape:
            return self._target
        return self._pyramid_space(ImageSpace(*shape, low=known.low, high=known.high))

    def _pyramid_space(self, image: ImageSpace) -> PyramidSpace:
        if why := refusal(self.bank, self.mode):
            raise SpaceError(self, why, "take bior2.2 or bior4.4, or another mode", at="mode")
        sizes: list[tuple[int, int]] = []
        size, even = (image.height, image.width), True
        for level in range(self.levels):
            if min(size) < 2:
                raise self._too_small(image, level)
            even = even and not any(n % 2 for n in size)
            height, width = (coefficient_count(n, self.bank.length, self.mode) for n in size)
            size = (height, width)
            sizes.insert(0, size)
        # two taps never reach beyond the border of an even axis
        keeps_energy = self.bank.orthonormal and even and (self.mode == "periodization" or self.bank.length == 2)
        return PyramidSpace(image, self.bank.name, self.mode, self.norm, tuple(sizes), keeps_energy)

    def _too_small(self, image: ImageSpace, possible: int) -> SpaceError:
        reason = (
            f"{self.bank.name} with levels: {self.levels} needs something to split at every level, and the data gives "
            f"{image.height}×{image.width}: at most {possible} level{'s' * (possible != 1)}"
        )
        remedy = f"set levels: {possible}" if possible else "images must be at least 2×2"
        return SpaceError(self, reason, remedy, at="levels")

    def _prepare(self, whitening: Whitening, channels: int) -> None:
        if whitening.channels not in (None, channels) and whitening.fitted:
            raise SpaceError(
                self,
                f"the norm `whiten` is fitted to {whitening.channels} channels and the images have {channels}",
                "fit a transform of its own for them",
                at="norm",
            )
        whitening.resize(channels)

    def _scaled(self, pyramid: Pyramid, invert: bool) -> Pyramid:
        known = self._divisors if pyramid.space == self._target else None
        divisors = known or self._divisors_of(pyramid.space)
        if divisors is None:
            return pyramid
        approx, details = divisors
        scale = _multiplied if invert else _divided
        return Pyramid(
            scale(pyramid.approx, approx),
            tuple(_by_orientation(d, f, scale) for d, f in zip(pyramid.details, details, strict=True)),
            pyramid.space,
        )

    def _divisors_of(self, space: PyramidSpace) -> Divisors | None:
        """What the approximation and, coarse to fine, the details (cH, cV, cD) are divided by. None: nothing."""
        if self.norm == "mean":
            return 2.0**self.levels, tuple((2.0**k,) * 3 for k in range(self.levels, 0, -1))
        if self.norm != "unit-range":
            return None
        image = space.image
        size = (image.height, image.width)
        return largest_coefficients(self.bank, self.mode, self.levels, size, image.low, image.high)


def _divided(x: Tensor, by: float) -> Tensor:
    return x / by


def _multiplied(x: Tensor, by: float) -> Tensor:
    return x * by


def _by_orientation(details: Tensor, factors: tuple[float, ...], scale: Any) -> Tensor:
    if len(set(factors)) == 1:
        return scale(details, factors[0])
    return torch.stack([scale(d, f) for d, f in zip(details.unbind(-3), factors, strict=True)], -3)
