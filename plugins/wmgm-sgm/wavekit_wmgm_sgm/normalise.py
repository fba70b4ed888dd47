"""Data brought to mean 0 and covariance 1, of a channel or whole, with statistics that are kept in the checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from wavekit_core.errors import DataError

SMALLEST = 1e-6  # of the largest deviation: a channel below it does not vary but for rounding, and is only centred
FLOOR = 1e-3  # of the largest deviation, in whitening whole images


class Normalise(nn.Module):
    """(x - mean) / deviation a channel, for images (B, C, h, w), and back. Until `fit`, or after `known`, both are given."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int, mean: float = 0.0, deviation: float = 1.0):
        super().__init__()
        self.register_buffer("mean", torch.full((channels, 1, 1), mean))
        self.register_buffer("deviation", torch.full((channels, 1, 1), deviation))

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Take the statistics of all images (B, C, h, w). Raises DataError if there are none."""
        count = 0
        shift: Any = None
        total: Any = 0.0
        squares: Any = 0.0
        for images in batches:
            values = images.detach().double().transpose(0, 1).flatten(1)
            if shift is None:
                shift = values.mean(1, keepdim=True)  # so that squares of large means do not cancel
            values = values - shift
            count += values.shape[1]
            total, squares = total + values.sum(1), squares + values.square().sum(1)
        if not count:
            raise DataError("there are no training images to take a mean and deviation of; use a larger data set")
        mean = total / count
        deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
        small = deviation <= SMALLEST * deviation.max()
        self.mean.copy_((shift[:, 0] + mean).reshape_as(self.mean))
        self.deviation.copy_(deviation.masked_fill(small, 1.0).reshape_as(self.deviation))

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.deviation

    def inverse(self, normal: Tensor) -> Tensor:
        return normal * self.deviation + self.mean


class Whiten(nn.Module):
    """C^(-1/2) (x - mean) for whole images (B, C, h, w) with the covariance C of all their values (zero-phase component
    analysis, Bell & Sejnowski 1997), and back. Directions whose deviation is below `FLOOR` of the largest are held to have that
    much, and so are not blown up."""

    mean: Tensor
    forth: Tensor
    back: Tensor

    def __init__(self, shape: tuple[int, int, int]):
        super().__init__()
        numbers = math.prod(shape)
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("forth", torch.eye(numbers))
        self.register_buffer("back", torch.eye(numbers))

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Take the statistics of all images (B, C, h, w). Raises DataError if there are none."""
        count = 0
        shift: Any = None
        total: Any = 0.0
        products: Any = 0.0
        for images in batches:
            values = images.detach().double().flatten(1)
            if shift is None:
                shift = values.mean(0)  # so that squares of large means do not cancel
            values = values - shift
            count += len(values)
            total, products = total + values.sum(0), products + values.T @ values
        if not count:
            raise DataError("there are no training images to take a covariance of; use a larger data set")
        mean = total / count
        variances, directions = torch.linalg.eigh(products / count - mean.outer(mean))
        if (largest := variances[-1].clamp(min=0).sqrt()) == 0:
            largest = torch.ones_like(largest)
        deviations = variances.clamp(min=0).sqrt().clamp(min=FLOOR * largest)
        self.mean.copy_(shift + mean)
        self.forth.copy_(directions / deviations @ directions.T)
        self.back.copy_(directions * deviations @ directions.T)

    def forward(self, images: Tensor) -> Tensor:
        return ((images.flatten(1) - self.mean) @ self.forth).reshape(images.shape)

    def inverse(self, normal: Tensor) -> Tensor:
        return (normal.flatten(1) @ self.back + self.mean).reshape(normal.shape)
