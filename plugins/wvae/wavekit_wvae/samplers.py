"""Drawing from an autoencoder: from its regularizers' priors, or from a density fitted to the encoded training set.

S0 defines no sampler, and prior samples of its model are clouds of independent coefficients; hence the second one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from wavekit_core.errors import DataError
from wavekit_core.kinds import Autoencoder, Batch, Generator, Sampler
from wavekit_core.spaces import Band, ImageSpace
from wavekit_wvae.mixture import ClassMixture
from wavekit_wvae.scale_tree import ScaleTree

LARGEST = 512  # numbers whose full covariance can be estimated and stored
DETAIL_IMAGES = 2_000  # images that the details' scales are estimated from
PositiveInt = Annotated[int, Field(gt=0)]


class Prior(Sampler):
    """Draws every drawn band from the prior of the regularizer that covers it, and decodes. Labels are ignored."""

    draws_from = Autoencoder

    def __init__(self) -> None:
        super().__init__()

    def refuses(self, model: Generator) -> str | None:
        if reason := super().refuses(model):
            return reason
        assert isinstance(model, Autoencoder)
        covered = [name for regularizer in model.regularizers for name in regularizer.prior_bands()]  # type: ignore
        if twice := sorted({name for name in covered if covered.count(name) > 1}):
            return f"more than one regularizer has a prior for {', '.join(twice)}; keep one for each band"
        missing = [name for name in model.latent.names(drawn=True) if name not in covered]
        if not missing:
            return None
        return (
            f"no regularizer has a prior for {', '.join(missing)}; "
            "add gaussian-kl and, for a wavelet latent, laplace-kl, or use the sampler posterior-fit"
        )

    @torch.no_grad()
    def sample(self, model: Autoencoder, count: int, labels: Tensor | None = None) -> Any:  # type: ignore[override]
        """`count` new elements of `model.space`; images are clamped to their range."""
        latent: dict[str, Tensor] = {}
        for regularizer in model.regularizers:
            latent |= regularizer.draw(count)  # type: ignore[operator]
        return decoded(model, latent)


class PosteriorFit(Sampler):
    """A density fitted to the encoded training set.

    Code and approximation bands: one Gaussian mixture per class with full covariances, that of the posteriors' means
    plus their mean variances. Drawn detail bands: zero-mean Laplace, scale by the parent's magnitude, coarse to fine.

    Args:
        components: Gaussians per class.
        bins: of the parent's magnitude.
        ridge: added to the covariances, as a share of the mean variance.
        fit_images: at most so many training images are encoded, the first of a pass.
    """

    draws_from = Autoencoder
    conditional = True

    def __init__(
        self,
        components: PositiveInt = 4,
        bins: PositiveInt = 12,
        ridge: Annotated[float, Field(ge=0)] = 1e-3,
        fit_images: PositiveInt = 5_000,
    ):
        super().__init__()
        self.components, self.ridge, self.fit_images = components, ridge, fit_images
        self.mixture = ClassMixture()
        self.details = ScaleTree(bins)

    def refuses(self, model: Generator) -> str | None:
        if reason := super().refuses(model):
            return reason
        assert isinstance(model, Autoencoder)
        coarse, details = parts(model)
        numbers = sum(band.numbers for band in coarse)
        if not coarse:
            return "the latent has no drawn code or approximation; use the sampler prior"
        if numbers > LARGEST:
            names = ", ".join(band.name for band in coarse)
            return (
                f"{names} has {numbers} numbers, and full covariances are fitted up to {LARGEST}; "
                "use more levels or a smaller code"
            )
        known = {band.name for band in model.latent.bands if band.drawn}
        strange = [band.name for band in details if not _has_parent(band.name, known)]
        if strange:
            return f"no coarser band predicts the scale of {', '.join(strange)}; use the sampler prior"
        return None

    @torch.no_grad()
    def fit(self, model: Generator, batches: Callable[[], Iterable[Batch]]) -> None:
        """Encode training images and fit. Raises `DataError` without at least two images."""
        assert isinstance(model, Autoencoder)
        means, variances, labels, samples = _encode(model, batches(), self.fit_images)
        if len(means) < 2:
            raise DataError(f"{len(means)} training images; a mixture needs at least two; use a larger data set")
        self.mixture.fit(means, labels, self.components, self.ridge, variances)
        self.details.fit(samples, [band.name for band in parts(model)[1]])

    @torch.no_grad()
    def sample(self, model: Autoencoder, count: int, labels: Tensor | None = None) -> Any:  # type: ignore[override]
        """`count` new elements of `model.space`; images are clamped to their range. `labels` (count,) ask for classes."""
        coarse, details = parts(model)
        pieces = self.mixture.draw(count, labels).split([band.numbers for band in coarse], dim=1)
        # (count, numbers) to (count, *shape) each
        latent = {b.name: p.reshape(count, *b.shape) for b, p in zip(coarse, pieces, strict=True)}
        return decoded(model, latent | self.details.draw(latent, details))


class Reconstruct(Sampler):
    """Draws nothing new: every image goes through the model and its noise, encode → c + s·ε → decode.

    What S0's Table 1 must have measured, since the paper names no sampler: figures of this are those of reconstructions
    (rFD), never of generation.

    Args:
        noise: decode a sample of the drawn bands' posterior, and not its mean.
    """

    draws_from = Autoencoder

    def __init__(self, noise: bool = True):
        super().__init__()
        self.noise = noise

    @torch.no_grad()
    def reconstruct(self, model: Autoencoder, data: Any) -> Any:  # type: ignore[override]
        """What remains of `data`; images are clamped to their range."""
        state = model.encode(data)
        values = state.sample if self.noise else state.mean
        return decoded(model, {name: values[name] for name in model.latent.names(drawn=True)})


def parts(model: Autoencoder) -> tuple[list[Band], list[Band]]:
    """The drawn bands that are no details, and those that are, coarse to fine."""
    drawn = [band for band in model.latent.bands if band.drawn]
    return [b for b in drawn if b.role != "detail"], [b for b in drawn if b.role == "detail"]


def decoded(model: Autoencoder, latent: Mapping[str, Tensor]) -> Any:
    """What a latent decodes to, images clamped to their range."""
    data = model.decode(latent)
    return data.clamp(model.space.low, model.space.high) if isinstance(model.space, ImageSpace) else data


def _has_parent(name: str, known: set[str]) -> bool:
    match = re.fullmatch(r"c([HVD])(\d+)", name)
    return match is not None and bool({f"c{match[1]}{int(match[2]) + 1}", f"cA{match[2]}"} & known)


def _encode(
    model: Autoencoder, batches: Iterable[Batch], limit: int
) -> tuple[Tensor, Tensor, Tensor | None, dict[str, Tensor]]:
    """Of the first `limit` images of a pass: posterior means and variances (n, D) of the coarse bands, labels (n,) if all
    have some, and posterior samples of the first images by band."""
    coarse, details = parts(model)
    means: list[Tensor] = []
    variances: list[Tensor] = []
    labels: list[Tensor | None] = []
    samples: dict[str, list[Tensor]] = {band.name: [] for band in (*coarse, *details) if details}
    count = 0
    for batch in batches:
        state = model.encode(batch.data)
        keep = min(len(state.mean[coarse[0].name]), limit - count)
        scales = [state.scale[b.name].expand_as(state.mean[b.name]) for b in coarse]
        means.append(torch.cat([state.mean[b.name][:keep].flatten(1) for b in coarse], 1).cpu())
        variances.append(torch.cat([s[:keep].square().flatten(1) for s in scales], 1).cpu())
        labels.append(None if batch.labels is None else batch.labels[:keep].cpu())
        for name, kept in samples.items() if count < DETAIL_IMAGES else ():
            kept.append(state.sample[name][:keep].cpu())
        count += keep
        if count >= limit:
            break
    if not means:
        return torch.empty(0, 0), torch.empty(0, 0), None, {}
    known = [one for one in labels if one is not None]
    joined = {name: torch.cat(kept) for name, kept in samples.items()}
    return torch.cat(means), torch.cat(variances), torch.cat(known) if len(known) == len(labels) else None, joined
