"""Draws from one Gaussian that is fitted to an autoencoder's codes."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor
from wavekit_core.errors import DataError
from wavekit_core.kinds import Autoencoder, Batch, Generator, Sampler
from wavekit_core.spaces import ImageSpace

LARGEST = 1024  # numbers whose full covariance is worth its memory


class MyPart(Sampler):
    """Draws the drawn bands from N(mean, covariance) of the encoded training set, and decodes. Labels are ignored.

    The covariance is that of the posteriors' means plus their mean variances.

    Args:
        images: at most so many training images are encoded, the first of a pass.
    """

    draws_from = Autoencoder
    mean: Tensor
    root: Tensor

    def __init__(self, images: Annotated[int, Field(ge=2)] = 5_000):
        super().__init__()
        self.images = images
        self.register_buffer("mean", torch.empty(0))  # (numbers,)
        self.register_buffer("root", torch.empty(0, 0))  # (numbers, numbers), lower triangular

    def refuses(self, model: Generator) -> str | None:
        if reason := super().refuses(model):
            return reason
        assert isinstance(model, Autoencoder)
        if model.latent.numbers > LARGEST:
            numbers = model.latent.numbers
            return f"the latent has {numbers} numbers, and covariances are fitted up to {LARGEST}; use a smaller code"
        return None

    @torch.no_grad()
    def fit(self, model: Generator, batches: Callable[[], Iterable[Batch]]) -> None:
        """Encode training images and fit. Raises `DataError` without at least two."""
        assert isinstance(model, Autoencoder)
        names = model.latent.names(drawn=True)
        means: list[Tensor] = []
        variances: list[Tensor] = []
        for batch in batches():
            state = model.encode(batch.data)
            scales = [state.scale[name].expand_as(state.mean[name]) for name in names]
            means.append(torch.cat([state.mean[name].flatten(1) for name in names], 1).double())
            variances.append(torch.cat([scale.square().flatten(1) for scale in scales], 1).double())
            if sum(map(len, means)) >= self.images:
                break
        codes = torch.cat(means)[: self.images] if means else torch.empty(0, 0)
        if len(codes) < 2:
            raise DataError(f"{len(codes)} training images; a covariance needs at least two; use a larger data set")
        noise = torch.cat(variances)[: self.images].mean(0)
        covariance = torch.cov(codes.T).reshape(len(noise), -1) + torch.diag(noise)
        tiny = 1e-9 * covariance.diagonal().mean() * torch.eye(len(noise), dtype=noise.dtype, device=noise.device)
        root = torch.linalg.cholesky(covariance + tiny)  # column by column; kept row by row, as a loaded state is
        self.mean, self.root = codes.mean(0).float(), root.float().contiguous()

    @torch.no_grad()
    def sample(self, model: Generator, count: int, labels: Tensor | None = None) -> Any:
        """`count` new elements of `model.space`; images are clamped to their range."""
        assert isinstance(model, Autoencoder)
        bands = [band for band in model.latent.bands if band.drawn]
        vectors = self.mean + torch.randn(count, len(self.mean), device=self.mean.device) @ self.root.T
        pieces = vectors.split([band.numbers for band in bands], dim=1)
        latent = {band.name: piece.reshape(count, *band.shape) for band, piece in zip(bands, pieces, strict=True)}
        data = model.decode(latent)
        return data.clamp(model.space.low, model.space.high) if isinstance(model.space, ImageSpace) else data

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """The buffers are empty before the fit, and take the shapes of a state that is loaded."""
        for name in ("mean", "root"):
            if (stored := state_dict.get(prefix + name)) is not None:
                setattr(self, name, getattr(self, name).new_empty(stored.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
