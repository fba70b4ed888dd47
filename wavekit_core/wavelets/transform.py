"""The multi-level transform: what a wavelet family derives from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from wavekit_core.errors import SpaceError
from wavekit_core.filters import FilterBank
from wavekit_core.kinds.transform import Transform
from wavekit_core.pyramid import Norm, Pyramid, PyramidSpace
from wavekit_core.spaces import ImageSpace, Space
from wavekit_core.wavelets.borders import NON_EXPANSIVE, Mode, coefficient_count
from wavekit_core.wavelets.integer import integer_analysis, integer_synthesis
from wavekit_core.wavelets.operator import analysis, synthesis
from wavekit_core.wavelets.packets import largest_packets, packet_analysis, packet_synthesis
from wavekit_core.wavelets.plan import refusal
from wavekit_core.wavelets.ranges import Divisors, largest_coefficients
from wavekit_core.wavelets.whitening import Whitening

Packet = Annotated[bool, Field(description="whether every band is split again, not the approximation alone")]
GREYS = 255  # steps between the darkest and the lightest pixel of 8 bits
Levels = Annotated[int, Field(ge=1, le=16, description="how often the approximation is split")]


class WaveletTransform(Transform):
    """Images (..., H, W) to a `Pyramid`, and back to exactly that size, odd sizes included.

    With `packet`, every band is split again, and the result is an image of C · 4^levels channels, those of a channel beside
    each other in PyWavelets' natural order (`wavekit_core.wavelets.packets`).

    `mode` is what the filters see beyond the border (`wavekit_core.wavelets.borders`), `norm` the scale of the
    coefficients (`wavekit_core.pyramid`). The two norms that need to know the data learn it so:

    * `unit-range` takes the image range from `target(space)`; a transform that has seen no space takes [0, 1];
    * `whiten` takes its statistics from `fit(batches)`, and keeps them in buffers, so that they travel with the state.

    The norm `integer` (Haar and bior2.2) takes images of 8 bits in that range to whole numbers and back without loss
    (`wavekit_core.wavelets.integer`); it has no gradient.
    """

    def __init__(
        self,
        bank: FilterBank,
        levels: Levels = 1,
        mode: Mode = "periodization",
        norm: Norm = "ortho",
        packet: Packet = False,
    ) -> None:
        super().__init__()
        self.bank = bank
        self.levels = levels
        self.mode: Mode = mode
        self.norm: Norm = norm
        self.packet = packet
        self.linear = self.differentiable = norm != "integer"
        self.whitening = Whitening(levels) if norm == "whiten" else None
        self._target: PyramidSpace | None = None
        self._divisors: Divisors | None = None

    def target(self, source: Space) -> PyramidSpace:
        """The pyramids (with `packet`: the images of bands) of images of `source`, for which the transform is set from now on.

        Raises `SpaceError` if `source` is no image space, if an axis has nothing left to split before the last level, if
        mode, norm or packet do not go with the wavelet or the size, or if the transform is fitted to another number of
        channels.
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
        return self._packet_space(self._target) if self.packet else self._target  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Any:
        """Images (..., C, H, W), or one plain image (H, W), to their pyramid; with `packet` to (..., C · 4^levels, h, w). The
        dtype, floating or complex, is kept.

        Raises `SpaceError` for images that are too small, `WavekitError` if the norm is `whiten` and nothing is fitted,
        TypeError for integers.
        """
        if self.packet:
            return self._packets(x)
        pyramid = self._native(x)
        if self.whitening is not None:
            whitened = self.whitening(pyramid)
            # of odd axes, so that the places without a coefficient hold 0 again
            return Pyramid.from_bands(whitened.bands(), pyramid.space) if self.mode == "whole-symmetric" else whitened
        return self._scaled(pyramid, invert=False)

    def inverse(self, y: Any) -> Tensor:
        """A pyramid to images (..., C, H, W) of the size of `y.space.image`; packets to images of the size of the known space, or
        if there is none, of an even one.

        Raises ValueError if the bands have not the sizes that images of this size give.
        """
        if self.packet:
            return self._from_packets(y)
        if self.whitening is not None:
            y = self.whitening.inverse(y)
        else:
            y = self._scaled(y, invert=True)
        image = y.space.image
        if self.norm == "integer":
            whole = [band.round().to(torch.int32) for band in (y.approx, *y.details)]
            x = integer_synthesis(whole[0], whole[1:], self.bank, (image.height, image.width))
            return x.to(y.approx.dtype) * ((image.high - image.low) / GREYS) + image.low
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
        if self.norm == "integer":
            low, high = space.image.low, space.image.high
            grey = ((x.detach() - low) * (GREYS / (high - low))).round().to(torch.int32)
            approx, details = integer_analysis(grey, self.bank, self.levels)
            return Pyramid(approx.to(x.dtype), tuple(d.to(x.dtype) for d in details), space)
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
        if self.norm == "integer":
            self._check_integer(image)
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
        return PyramidSpace(image, self.bank.name, self.mode, self.norm, tuple(sizes), keeps_energy, self.bank)

    def _check_integer(self, image: ImageSpace) -> None:
        haar = self.bank.length == 2 and self.bank.whole_symmetric
        even = image.height % 2**self.levels == image.width % 2**self.levels == 0
        if not haar and self.bank.dec_lo != FilterBank.from_pywt("bior2.2").dec_lo:
            reason = f"{self.bank.name} has no reversible transform of whole numbers"
            raise SpaceError(self, reason, "take haar, or bior with wavelet: bior2.2, or another norm", at="norm")
        if self.packet:
            raise SpaceError(self, "the norm `integer` has no packets", "set packet: false, or another norm", at="norm")
        if self.mode != "whole-symmetric" and not haar:
            reason = f"the norm `integer` of {self.bank.name} is that of JPEG 2000, and the mode is {self.mode}"
            raise SpaceError(self, reason, "set mode: whole-symmetric", at="mode")
        if self.mode not in NON_EXPANSIVE and not even:
            reason = (
                f"the norm `integer` has as many coefficients as pixels, and the mode {self.mode} at odd sizes more"
            )
            raise SpaceError(self, reason, "set mode: whole-symmetric", at="mode")

    def _packet_space(self, pyramids: PyramidSpace) -> ImageSpace:
        image, count = pyramids.image, 4**self.levels
        finer = [(image.height, image.width), *pyramids.sizes[:0:-1]]
        if self.norm == "whiten":
            remedy = "set another norm, or packet: false"
            raise SpaceError(self, "the norm `whiten` is for pyramids, and packets are asked for", remedy, at="norm")
        if self.mode == "whole-symmetric" and any(n % 2 for size in finer for n in size):
            reason = f"packets in whole-symmetric need even sizes at every level, and images are {image.height}×{image.width}"
            raise SpaceError(self, reason, "set mode: periodization, or fewer levels", at="mode")
        largest = max(n / d for n, d in zip(self._largest(image), self._packet_divisors(image), strict=True))
        return ImageSpace(image.channels * count, *pyramids.sizes[0], -largest, largest)

    def _largest(self, image: ImageSpace) -> tuple[float, ...]:
        return largest_packets(self.bank, self.mode, self.levels, (image.height, image.width), image.low, image.high)

    def _packet_divisors(self, image: ImageSpace) -> tuple[float, ...]:
        if self.norm == "unit-range":
            return self._largest(image)
        return (2.0**self.levels if self.norm == "mean" else 1.0,) * 4**self.levels

    def _packets(self, x: Tensor) -> Tensor:
        space = self._space_of(x)
        self._packet_space(space)
        bands = packet_analysis(x, self.bank, self.mode, self.levels)
        divisors = self._packet_divisors(space.image)
        if self.norm != "ortho":
            bands = bands / bands.new_tensor(divisors)[:, None, None]
        return bands.flatten(-4, -3) if x.ndim > 2 else bands

    def _from_packets(self, y: Tensor) -> Tensor:
        count = 4**self.levels
        channels, (h, w) = y.shape[-3] // count, (y.shape[-2], y.shape[-1])
        image = self._target.image if self._target else ImageSpace(channels, h << self.levels, w << self.levels)
        bands = y.unflatten(-3, (channels, count))
        if self.norm != "ortho":
            bands = bands * bands.new_tensor(self._packet_divisors(image))[:, None, None]
        return packet_synthesis(bands, self.bank, self.mode, self.levels, (image.height, image.width))

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
