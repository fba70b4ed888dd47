"""Statistics of fields (B, C, h, w) that come batch by batch. Everything is kept in float64 on the CPU.

Colours are realisations of one field, each with its own mean.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class Moments:
    """Central moments up to the fourth of each channel, merged without loss of digits (Pébay 2008, eq. 2.1)."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean, self.m2, self.m3, self.m4 = torch.zeros(4, channels, dtype=torch.float64)

    def add(self, field: Tensor) -> None:
        values = field.transpose(0, 1).flatten(1)
        b, a = values.shape[1], self.count
        mean = values.mean(1)
        off = values - mean[:, None]
        square = off.square()
        m2, m3, m4 = square.sum(1), (square * off).sum(1), square.square().sum(1)
        n, delta = a + b, mean - self.mean
        self.m4 += m4 + delta**4 * (a * b * (a * a - a * b + b * b) / n**3)
        self.m4 += 6 * delta**2 * (a * a * m2 + b * b * self.m2) / n**2 + 4 * delta * (a * m3 - b * self.m3) / n
        self.m3 += m3 + delta**3 * (a * b * (a - b) / n**2) + 3 * delta * (a * m2 - b * self.m2) / n
        self.m2 += m2 + delta**2 * (a * b / n)
        self.mean += delta * (b / n)
        self.count = n

    @property
    def variance(self) -> float:
        """About each channel's own mean."""
        return float((self.m2 / self.count).mean())

    @property
    def kurtosis(self) -> float:
        """Fourth central moment over the squared variance: 3 for a Gaussian; 0 for what does not vary."""
        return float((self.m4 / self.count).mean()) / self.variance**2 if self.variance else 0.0


class Spectrum:
    """The variance along each direction of the discrete Fourier basis: the mean periodogram, without that of the mean image."""

    def __init__(self) -> None:
        self.power: Tensor | float = 0.0
        self.sums: Tensor | float = 0.0
        self.count = 0

    def add(self, field: Tensor) -> None:
        self.power = self.power + torch.fft.fft2(field, norm="ortho").abs().square().sum(0)
        self.sums = self.sums + field.sum(0)
        self.count += len(field)

    @property
    def variances(self) -> Tensor:
        """(h, w), in the order of `torch.fft.fft2`, mean over the channels."""
        assert isinstance(self.power, Tensor)
        assert isinstance(self.sums, Tensor)
        of_mean = torch.fft.fft2(self.sums / self.count, norm="ortho").abs().square()
        return (self.power / self.count - of_mean).mean(0).clamp(min=0)


class Neighbours:
    """The correlation of coefficients one place apart, along both axes."""

    def __init__(self) -> None:
        self.sums = torch.zeros(5, dtype=torch.float64)  # of a, b, aa, bb, ab
        self.count = 0

    def add(self, field: Tensor) -> None:
        for one, other in ((field[..., 1:, :], field[..., :-1, :]), (field[..., 1:], field[..., :-1])):
            sums = [one.sum(), other.sum(), one.square().sum(), other.square().sum(), (one * other).sum()]
            self.sums += torch.stack(sums)
            self.count += one.numel()

    @property
    def correlation(self) -> float | None:
        """None for a field of one place, or one that does not vary."""
        if not self.count:
            return None
        a, b, aa, bb, ab = self.sums / self.count
        scale = (aa - a * a) * (bb - b * b)
        return float((ab - a * b) / scale.sqrt()) if scale > 0 else None


class Blocks:
    """Mean and covariance of disjoint blocks of side × side places, as vectors of d = side² numbers."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.count = 0  # of blocks, those of every channel
        self.sums: Tensor | float = 0.0
        self.products: Tensor | float = 0.0

    def add(self, field: Tensor) -> None:
        side, channels = self.side, field.shape[1]
        height, width = (n // side * side for n in field.shape[-2:])
        if not (height and width):
            return
        columns = F.unfold(field[..., :height, :width].flatten(0, 1)[:, None], side, stride=side)
        blocks = columns.unflatten(0, (-1, channels)).movedim(1, 0).transpose(2, 3).flatten(1, 2)  # (C, n, d)
        self.sums = self.sums + blocks.sum(1)
        flat = blocks.flatten(0, 1)
        self.products = self.products + flat.T @ flat
        self.count += len(flat)

    def moments(self) -> tuple[Tensor, Tensor]:
        """The mean (d,) without that of a channel's all places, and the covariance (d, d) within the channels."""
        assert isinstance(self.sums, Tensor)
        assert isinstance(self.products, Tensor)
        channels = len(self.sums)
        means = self.sums * channels / self.count
        covariance = self.products / self.count - means.T @ means / channels
        return (means - means.mean(1, keepdim=True)).mean(0), covariance


class Histogram:
    """Counts of values in bins of one grey step, and of absolute values up to each of `thresholds`.

    A bin starts half of 2^-level of a step below a whole number of steps, which is between the values that Haar's coefficients
    of 8-bit images of that level can have, so that every bin holds equally many of them."""

    def __init__(self, step: float, level: int, thresholds: Tensor) -> None:
        self.step, self.offset, self.thresholds = step, 0.5 ** (level + 1), thresholds
        self.first = 0
        self.counts = torch.zeros(1, dtype=torch.int64)
        self.below = torch.zeros(len(thresholds), dtype=torch.int64)

    def add(self, field: Tensor) -> None:
        bins = (field.flatten() / self.step + self.offset).floor().long()
        first, last = min(int(bins.min()), self.first), max(int(bins.max()) + 1, self.first + len(self.counts))
        before = self.first - first
        grown = F.pad(self.counts, (before, last - first - before - len(self.counts)))
        self.counts, self.first = grown + torch.bincount(bins - first, minlength=last - first), first
        magnitudes = field.abs().flatten()
        slack = 1 + 1e-9  # what lies on a threshold counts, whichever way it was rounded
        self.below += torch.stack([(magnitudes <= threshold * slack).sum() for threshold in self.thresholds])

    @property
    def shares(self) -> list[float]:
        """Of the values whose absolute value is at most each threshold."""
        return [float(n) for n in self.below / self.counts.sum()]
