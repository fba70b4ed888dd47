"""The Wavelet-VAE: an autoencoder whose latent is a wavelet pyramid.

S0: Wavelet-based Variational Autoencoders for High-Resolution Image Generation, arXiv 2504.13214.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from wavekit_core.component import Slot
from wavekit_core.errors import RecipeError, SpaceError
from wavekit_core.kinds import Autoencoder, Batch, Loss, Objective, PosteriorState, Regularizer, Transform
from wavekit_core.pyramid import Pyramid, PyramidSpace
from wavekit_core.registry import node
from wavekit_core.spaces import Band, ImageSpace, LatentSpace
from wavekit_wvae.likelihood import Kind, Likelihood, elbo_objective, negative_elbo
from wavekit_wvae.networks import CodeDecoder, CodeEncoder, Head, Refine, UNetEncoder
from wavekit_wvae.scales import BandNoise, Granularity, positive

PositiveFloat = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]


_NO_RESIDUAL = (
    "residual_dwt with encoder {encoder} and likelihood {likelihood}; only the unet encoder with the gaussian likelihood "
    "predicts coefficients of the image; leave residual_dwt out"
)


class WaveletVAE(Autoencoder):
    """x → c_NN(x) → c̃ = c_NN + s·ε → IDWT(c̃) (S0 Eq. 9, 12).

    With `encoder="unet"` the latent is the pyramid itself, as in the paper: exactly as many numbers as the image has,
    no bottleneck. With `encoder="bottleneck"` a small code z ~ N(μ(x), σ(x)²) is drawn first and the pyramid is
    synthesised from it; its bands are in the latent too, but follow from z.

    Args:
        space: the images.
        transform: a wavelet transform of images to a pyramid.
        regularizers: what the latent pays; each is called with the `LatentSpace`.
        encoder: see above.
        decoder: the inverse transform alone, or with a residual convolutional refinement that starts as the identity.
        code: numbers of z (bottleneck only).
        width: channels at the finest level; doubled per level up to four times it.
        noise: which bands share one s.
        noise_init: first value of s, in units of coefficients.
        noise_fixed: keep s there (the paper's ablation).
        likelihood: `gaussian` around the decoder's output, or `bernoulli` with the output as logit.
        sigma: the gaussian's standard deviation in units of pixel values; 0.70711 makes plain squared error (S0 Eq.
            22).
        residual_dwt: predict the difference to the transform of the image (unet with gaussian only): starts at the
            identity.
        lr: rate of the networks.
        noise_lr: rate of s, of sigma and of the priors' scales.
        weight_decay: of the networks alone.

    Raises:
        SpaceError: the transform does not make a pyramid.
        RecipeError: `residual_dwt` where there is nothing to add to.
    """

    space: ImageSpace

    def __init__(
        self,
        space: ImageSpace,
        transform: Transform = node("haar", levels=2),
        regularizers: Sequence[Slot[Regularizer]] = (),
        encoder: Literal["unet", "bottleneck"] = "unet",
        decoder: Literal["idwt", "idwt+refine"] = "idwt",
        code: PositiveInt = 16,
        width: PositiveInt = 32,
        noise: Granularity = "per-band",
        noise_init: PositiveFloat = 0.1,
        noise_fixed: bool = False,
        likelihood: Kind = "gaussian",
        sigma: PositiveFloat | Literal["learned"] = "learned",
        residual_dwt: bool = False,
        lr: PositiveFloat = 1e-3,
        noise_lr: PositiveFloat = 1e-2,
        weight_decay: Annotated[float, Field(ge=0)] = 0.0,
    ):
        super().__init__()
        if residual_dwt and (encoder, likelihood) != ("unet", "gaussian"):
            raise RecipeError(_NO_RESIDUAL.format(encoder=encoder, likelihood=likelihood))
        self.space, self.transform = space, transform
        self.pyramid_space = self._pyramid_space()
        sizes = self.pyramid_space.sizes
        self.residual_dwt, self.rates = residual_dwt, (lr, noise_lr, weight_decay)
        followers = pyramid_bands(self.pyramid_space, drawn=encoder == "unet")
        if encoder == "bottleneck":
            self.latent = LatentSpace((Band("z", (code,), "code"), *followers))
            self.code_encoder: nn.Module | None = CodeEncoder(space.channels, sizes, width, code)
            self.trunk: nn.Module = CodeDecoder(code, sizes, width)
        else:
            self.latent = LatentSpace(followers)
            self.code_encoder = None
            self.trunk = UNetEncoder(space.channels, sizes, width)
        self.heads = CoefficientHeads(self.pyramid_space, self.trunk.widths, zero=residual_dwt)  # type: ignore[arg-type]
        self.noise = BandNoise(followers, noise, noise_init, noise_fixed)
        self.refine = Refine(space.channels, width) if decoder == "idwt+refine" else nn.Identity()
        self.likelihood = Likelihood(space, likelihood, sigma)
        self.regularizers = self.regularized(regularizers)

    def _pyramid_space(self) -> PyramidSpace:
        target = self.transform.target(self.space)
        if not isinstance(target, PyramidSpace):
            name = type(self.transform).__name__
            raise SpaceError(self, f"{name} makes no pyramid", "use a wavelet transform", at="transform")
        return target

    def encode(self, data: Tensor) -> PosteriorState:
        """The posterior of images (B, C, H, W), with a fresh sample of it.

        Bands of a bottleneck's pyramid follow from the sample of z: their mean is c_NN at that z.
        """
        state = self._encode_code(data) if self.code_encoder else PosteriorState({}, {}, {}, self.latent)
        features = self.trunk(state.sample["z"] if self.code_encoder else self._scaled(data))
        mean = self.heads(features)
        if self.residual_dwt:
            mean = {name: mean[name] + band for name, band in self.transform(data).bands().items()}
        scale = self.noise()
        sample = {name: c + scale[name] * torch.randn_like(c) for name, c in mean.items()}
        return PosteriorState({**state.mean, **mean}, {**state.scale, **scale}, {**state.sample, **sample}, self.latent)

    def _encode_code(self, data: Tensor) -> PosteriorState:
        assert self.code_encoder is not None
        mean, raw = self.code_encoder(self._scaled(data))
        scale = positive(raw)
        sample = mean + scale * torch.randn_like(mean)
        return PosteriorState({"z": mean}, {"z": scale}, {"z": sample}, self.latent)

    def _scaled(self, images: Tensor) -> Tensor:
        return 2 * (images - self.space.low) / (self.space.high - self.space.low) - 1

    def pyramid(self, latent: Mapping[str, Tensor]) -> Pyramid:
        """The pyramid of a latent's drawn bands: the bands themselves, or what a code z is synthesised to, without noise."""
        bands = self.heads(self.trunk(latent["z"])) if self.code_encoder else latent
        return Pyramid.from_bands(bands, self.pyramid_space)

    def render(self, pyramid: Pyramid) -> Tensor:
        """The image (B, C, H, W) of a pyramid. A gaussian's is not clamped to the range."""
        return self.likelihood.image(self.refine(self.transform.inverse(pyramid)))

    def decode(self, latent: Mapping[str, Tensor]) -> Tensor:
        """Images (B, C, H, W) from the drawn bands."""
        return self.render(self.pyramid(latent))

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Hand the transform its training data."""
        self.transform.fit(batch.data for batch in batches())

    def loss(self, batch: Batch) -> Loss:
        """The loss of images at a fresh sample of their posterior."""
        return self.loss_of(batch.data, self.encode(batch.data))

    def loss_of(self, images: Tensor, state: PosteriorState) -> Loss:
        """The loss of images (B, C, H, W) at a given latent state: S0 Eq. 22 or the ELBO, as the regularizers say."""
        output = self.refine(self.transform.inverse(Pyramid.from_bands(state.sample, self.pyramid_space)))
        loss = negative_elbo(images, output, state, self.likelihood, self.regularizers)
        return Loss(loss.value, {**loss.terms, "noise": self.noise.scale().detach().mean()})

    def objectives(self) -> Sequence[Objective]:
        lr, noise_lr, weight_decay = self.rates
        return [elbo_objective(self, self.loss, list(self.noise.parameters()), lr, noise_lr, weight_decay)]

    def noise_scales(self) -> dict[str, float]:
        """The noise scale s of every pyramid band, in units of coefficients."""
        return {name: s.item() for name, s in self.noise().items()}


class CoefficientHeads(nn.Module):
    """One head a level: features (B, width_j, h_j, w_j), coarse to fine, to pyramid bands (B, C, h_j, w_j) by name.

    The heads' outputs are multiplied by the growth of the native filters, 2 a level, so that every head works at the
    scale of pixels.
    """

    def __init__(self, space: PyramidSpace, widths: Sequence[int], zero: bool):
        super().__init__()
        self.levels, self.channels = space.levels, space.channels
        self.grow = 2.0 if space.norm == "ortho" else 1.0
        counts = [4 * space.channels] + [3 * space.channels] * (space.levels - 1)
        self.heads = nn.ModuleList(Head(w, n, zero) for w, n in zip(widths, counts, strict=True))

    def forward(self, features: Sequence[Tensor]) -> dict[str, Tensor]:
        bands: dict[str, Tensor] = {}
        for level, x, head in zip(range(self.levels, 0, -1), features, self.heads, strict=True):
            names = [f"c{o}{level}" for o in ("AHVD" if level == self.levels else "HVD")]
            pieces = head(x).split(self.channels, dim=1)  # (B, 4C or 3C, h, w) to (B, C, h, w) each
            for name, piece in zip(names, pieces, strict=True):
                bands[name] = piece * self.grow ** (level if name[1] == "A" else level - 1)
        return bands


def pyramid_bands(space: PyramidSpace, drawn: bool) -> tuple[Band, ...]:
    """The bands of a pyramid as parts of a latent, coarse to fine."""
    return tuple(
        Band(name, shape, "approx" if name[1] == "A" else "detail", drawn) for name, shape in space.band_shapes.items()
    )
