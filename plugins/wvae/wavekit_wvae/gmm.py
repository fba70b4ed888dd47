"""The control without any network: principal components and a Gaussian mixture per class."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from wavekit_core.errors import DataError
from wavekit_core.kinds import Batch, Generator
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.spaces import ImageSpace
from wavekit_wvae.mixture import ClassMixture, FittedBuffers

PositiveInt = Annotated[int, Field(gt=0)]


class GaussianMixture(FittedBuffers, Generator):
    """Projects to the first principal components and fits a full-covariance Gaussian mixture to each class.

    Unlabelled data are one class. Nothing is trained by gradients; a learned system that does not beat this has learned
    nothing that matters.

    Args:
        space: images, or a pyramid of them (the components of an orthonormal one are the same).
        principal: how many principal components are kept, at most one less than there are images.
        components: Gaussians per class.
        ridge: added to the covariances, as a share of the mean variance of a principal component.
        fit_images: at most so many training images are used, the first of a pass.
    """

    conditional = True
    space: ImageSpace | PyramidSpace
    mean: Tensor
    basis: Tensor

    def __init__(
        self,
        space: ImageSpace | PyramidSpace,
        principal: PositiveInt = 40,
        components: PositiveInt = 5,
        ridge: Annotated[float, Field(ge=0)] = 1e-3,
        fit_images: PositiveInt = 10_000,
    ):
        super().__init__()
        self.space = space
        self.principal, self.components, self.ridge, self.fit_images = principal, components, ridge, fit_images
        self.mixture = ClassMixture()
        self.register_buffer("mean", torch.empty(0))  # (numbers,)
        self.register_buffer("basis", torch.empty(0, 0))  # (principal, numbers)

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Principal components and mixtures of the training data. Raises `DataError` without at least two images."""
        vectors, labels = collect(batches(), self.space.flatten, self.fit_images)
        if len(vectors) < 2:
            raise DataError(f"{len(vectors)} training images; a mixture needs at least two; use a larger data set")
        device = self.mean.device
        mean = vectors.mean(0)
        centred = (vectors - mean).double()
        basis = principal_components(centred, min(self.principal, len(vectors) - 1))
        codes = centred @ basis.T  # (n, numbers) to (n, principal)
        self.mixture.fit(codes, labels, self.components, self.ridge)
        self.mean, self.basis = mean.float().to(device), basis.float().contiguous().to(device)

    def sample(self, count: int, labels: Tensor | None = None) -> Any:
        """`count` elements of the space; images are clamped to their range."""
        vectors = self.mean + self.mixture.draw(count, labels) @ self.basis
        return self._bounded(self.space.unflatten(vectors))

    def reconstruct(self, data: Any) -> Any:
        """The projection to the principal components."""
        vectors = self.space.flatten(data) - self.mean
        return self._bounded(self.space.unflatten(self.mean + vectors @ self.basis.T @ self.basis))

    def _bounded(self, data: Any) -> Any:
        return data.clamp(self.space.low, self.space.high) if isinstance(self.space, ImageSpace) else data


def principal_components(centred: Tensor, count: int) -> Tensor:
    """The first principal directions (at most `count`, numbers) of vectors (n, numbers) with mean 0, orthonormal rows.

    From the smaller of the covariance and the Gram matrix: a full decomposition of the vectors costs minutes at 64
    pixels.
    """
    n, numbers = centred.shape
    gram = centred @ centred.T if n < numbers else centred.T @ centred
    values, directions = torch.linalg.eigh(gram)
    rank = int((values > values[-1] * 1e-10).sum())
    first = (
        directions[:, -max(1, min(count, rank)) :].flip(1).T
    )  # (n or numbers, k) to (k, n or numbers), largest first
    return torch.linalg.qr((first @ centred).T)[0].T if n < numbers else first


def collect(batches: Iterable[Batch], flatten: Callable[[Any], Tensor], limit: int) -> tuple[Tensor, Tensor | None]:
    """The first `limit` elements of a pass as vectors (n, numbers) on the CPU, and their labels (n,) if all have some."""
    vectors: list[Tensor] = []
    labels: list[Tensor | None] = []
    count = 0
    for batch in batches:
        flat = flatten(batch.data)[: limit - count]
        vectors.append(flat.detach().float().cpu())
        labels.append(None if batch.labels is None else batch.labels[: len(flat)].cpu())
        count += len(flat)
        if count >= limit:
            break
    if not vectors:
        return torch.empty(0, 0), None
    known = [one for one in labels if one is not None]
    return torch.cat(vectors), torch.cat(known) if len(known) == len(labels) else None
