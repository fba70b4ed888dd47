"""Mean and standard deviation of every band and channel, for the norm `whiten`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from wavekit_core.errors import DataError, WavekitError
from wavekit_core.pyramid import Pyramid

BUFFERS = ("approx_mean", "approx_std", "details_mean", "details_std")
SMALLEST = 1e-6  # of the largest deviation: a band below it does not vary but for rounding, and is only centred


class Whitening(nn.Module):
    """(c - mean) / standard deviation, a band and channel, and back.

    Buffers `approx_mean`, `approx_std` (C, 1, 1) and `details_mean`, `details_std` (levels, C, 3, 1, 1), coarse to
    fine. They exist from `resize` (or from loading a state) on, and are nan until `fit`, so that a state saved too
    early cannot pass for a fitted one.
    """

    approx_mean: Tensor | None
    approx_std: Tensor | None
    details_mean: Tensor | None
    details_std: Tensor | None

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self._known_fitted = False
        for name in BUFFERS:
            self.register_buffer(name, None)

    @property
    def channels(self) -> int | None:
        return None if self.approx_mean is None else self.approx_mean.shape[0]

    @property
    def fitted(self) -> bool:
        """Whether the buffers hold statistics. Read from them once; taken on trust on the meta device."""
        if self.approx_std is not None and not self._known_fitted:
            self._known_fitted = self.approx_std.is_meta or not bool(self.approx_std.isnan().any())
        return self._known_fitted

    def resize(self, channels: int, device: torch.device | None = None) -> None:
        """Make the buffers for `channels` on `device` (None: torch's default), unless they are there already."""
        if self.channels == channels:
            return
        device = device if self.approx_mean is None else self.approx_mean.device
        for name in BUFFERS:
            shape = (channels, 1, 1) if name.startswith("approx") else (self.levels, channels, 3, 1, 1)
            setattr(self, name, torch.full(shape, torch.nan, device=device))
        self._known_fitted = False

    @torch.no_grad()
    def fit(self, pyramids: Iterable[Pyramid]) -> None:
        """Set the buffers to the statistics of all `pyramids`, in one pass. Raises `DataError` if there are none."""
        total: list[_Moments] | None = None
        device: torch.device | None = None
        for pyramid in pyramids:
            if not pyramid.approx.numel():
                continue
            device = pyramid.approx.device
            moments = [_Moments.of(band) for band in pyramid.bands().values()]
            total = moments if total is None else [a.merged(b) for a, b in zip(total, moments, strict=True)]
        if total is None:
            raise DataError("there are no images to fit the norm `whiten` to; give at least one batch")
        stds = [m.variance.sqrt() for m in total]
        floor = SMALLEST * max(float(s.max()) for s in stds)
        stds = [torch.where(s > floor, s, torch.ones_like(s)) for s in stds]
        self.resize(total[0].mean.shape[0], device)
        means = [m.mean for m in total]
        for name, bands in (("mean", means), ("std", stds)):
            self._set(f"approx_{name}", bands[0])
            levels = [torch.stack(bands[i : i + 3], 1) for i in range(1, len(bands), 3)]
            self._set(f"details_{name}", torch.stack(levels))
        self._known_fitted = True

    def forward(self, pyramid: Pyramid) -> Pyramid:
        return self._mapped(pyramid, lambda c, mean, std: (c - mean) / std)

    def inverse(self, pyramid: Pyramid) -> Pyramid:
        return self._mapped(pyramid, lambda c, mean, std: c * std + mean)

    def _mapped(self, pyramid: Pyramid, function: Any) -> Pyramid:
        if not self.fitted:
            raise WavekitError("the norm `whiten` has no statistics yet; call fit(batches) or load a state first")
        if pyramid.space.channels != self.channels:
            raise WavekitError(
                f"the norm `whiten` is fitted to {self.channels} channels and the data have {pyramid.space.channels}; "
                "fit a transform for each"
            )
        assert self.details_mean is not None
        assert self.details_std is not None
        statistics = [(self.approx_mean, self.approx_std), *zip(self.details_mean, self.details_std, strict=True)]
        bands = [
            function(c, *(_fitting(s, c) for s in pair)).to(c.dtype)
            for c, pair in zip((pyramid.approx, *pyramid.details), statistics, strict=True)
        ]
        return Pyramid(bands[0], tuple(bands[1:]), pyramid.space)

    def _set(self, name: str, value: Tensor) -> None:
        buffer = getattr(self, name)
        setattr(self, name, value.to(buffer))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Takes the sizes from the state, so that a state can be loaded before the space is known."""
        if (saved := state_dict.get(prefix + "approx_mean")) is not None and self.channels is None:
            self.resize(saved.shape[0])
        self._known_fitted = False
        super()._load_from_state_dict(state_dict, prefix, *args)


def _fitting(statistic: Any, band: Tensor) -> Tensor:
    """A plain image (H, W) has bands without the axis of channels."""
    return statistic[0] if band.ndim < statistic.ndim else statistic


class _Moments:
    """Count, mean and sum of squared deviations a channel, merged batch by batch without loss of digits."""

    def __init__(self, count: int, mean: Tensor, squares: Tensor) -> None:
        self.count, self.mean, self.squares = count, mean, squares

    @classmethod
    def of(cls, band: Tensor) -> _Moments:
        """Moments (C, 1, 1) of a band (..., C, h, w)."""
        while band.ndim < 3:
            band = band[None]
        values = band.reshape(-1, *band.shape[-3:]).movedim(0, -2).flatten(-3)
        values = values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
        variance, mean = torch.var_mean(values, dim=-1, correction=0)
        # the sums over batches are kept on the CPU: not every device has float64
        mean, variance = (m.to("cpu", torch.float64)[..., None, None] for m in (mean, variance))
        return cls(values.shape[-1], mean, variance * values.shape[-1])

    @property
    def variance(self) -> Tensor:
        return self.squares / self.count

    def merged(self, other: _Moments) -> _Moments:
        count = self.count + other.count
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        squares = self.squares + other.squares + delta**2 * (self.count * other.count / count)
        return _Moments(count, mean, squares)
