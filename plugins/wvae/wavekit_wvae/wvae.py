"""The Wavelet-VAE: an autoencoder whose latent is a wavelet pyramid.

S0: Wavelet-based Variational Autoencoders for High-Resolution Image Generation, arXiv 2504.13214.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from wavekit_wvae.coefficients import (
    CoefficientDecoder,
    CoefficientEncoder,
    CoefficientHeads,
    keeps_energy,
    pyramid_bands,
)
from wavekit_wvae.likelihood import Kind, Likelihood, elbo_objective, evidence_bound, is_bound, negative_elbo
from wavekit_wvae.networks import CodeDecoder, CodeEncoder, ImageHead, Layout, Refine, UNetEncoder, code_shape
from wavekit_wvae.noise import AmortisedNoise, Granularity, Noise, Unit
from wavekit_wvae.scales import FLOOR, Form, positive

Encoder = Literal["unet", "bottleneck", "litevae"]
Decoder = Literal["idwt", "idwt+refine", "conv"]
PositiveFloat = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]
UNIT_IMAGES = 2_000  # images that the bands' standard deviations are taken from


class WaveletVAE(Autoencoder):
    """x → c_NN(x) → c̃ = c_NN + s·ε → IDWT(c̃) (S0 Eq. 9, 12).

    Encoders. `unet`: the latent is the pyramid itself, as in the paper: exactly as many numbers as the image has, no
    bottleneck. `bottleneck`: a small code z ~ N(μ(x), σ(x)²) is drawn first and the pyramid is synthesised from it; its
    bands are in the latent too, but follow from z. `litevae`: the same with an encoder that reads the image's wavelet
    coefficients instead of its pixels (LiteVAE, arXiv 2405.14477, §4.1).

    Decoders. `idwt`: the inverse transform alone. `idwt+refine`: behind it a residual convolutional refinement that
    starts as the identity. `conv`: convolutions from the latent to the image without an inverse transform; behind a
    code there is no pyramid then, and no noise s (`litevae` with `conv` is LiteVAE; `bottleneck` with `conv` the `vae`).

    Args:
        space: the images.
        transform: a wavelet transform of images to a pyramid.
        regularizers: what the latent pays; each is called with the `LatentSpace`.
        encoder: see above.
        decoder: see above.
        code: numbers of a flat z, channels of a spatial one (not for `unet`).
        layout: of z: `flat`, or `spatial`, maps of the size of the coarsest level (f8c4 is levels 3, code 4).
        width: channels at the finest level; doubled per level up to four times it.
        noise: which coefficients share one s, or `amortised`, predicted for each from the same features as its mean.
        noise_init: first value of s.
        noise_unit: what s is measured in: the transform's coefficients, or every band's standard deviation over the
            training set (`band`; noise_init 0.1 is then a tenth of it).
        noise_form: s = softplus(ρ) + 1e-4, or exp(ρ).
        noise_fixed: keep s there (the paper's ablation).
        likelihood: `gaussian` around the decoder's output, or `bernoulli` with the output as logit.
        sigma: the gaussian's standard deviation in units of pixel values; 0.70711 makes plain squared error (S0 Eq.
            22).
        domain: compare pixels, or coefficients, which is the same by Parseval's identity and saves the inverse transform.
        residual_dwt: predict the difference to the transform of the image (unet with gaussian only): with `idwt`,
            starts at the identity.
        lr: rate of the networks.
        noise_lr: rate of s (unless amortised), of sigma and of the priors' scales.
        weight_decay: of the networks alone.

    Raises:
        SpaceError: the transform does not make a pyramid, or not an orthonormal one where `domain` is `coefficients`.
        RecipeError: `residual_dwt` where there is nothing to add to; `noise_fixed` with `amortised`; `domain:
            coefficients` with another decoder than `idwt` or another likelihood than `gaussian`.
    """

    space: ImageSpace

    def __init__(
        self,
        space: ImageSpace,
        transform: Transform = node("haar", levels=2),
        regularizers: Sequence[Slot[Regularizer]] = (),
        encoder: Encoder = "unet",
        decoder: Decoder = "idwt",
        code: PositiveInt = 16,
        layout: Layout = "flat",
        width: PositiveInt = 32,
        noise: Granularity = "per-band",
        noise_init: PositiveFloat = 0.1,
        noise_unit: Unit = "coefficient",
        noise_form: Form = "softplus",
        noise_fixed: bool = False,
        likelihood: Kind = "gaussian",
        sigma: PositiveFloat | Literal["learned"] = "learned",
        domain: Literal["pixels", "coefficients"] = "pixels",
        residual_dwt: bool = False,
        lr: PositiveFloat = 1e-3,
        noise_lr: PositiveFloat = 1e-2,
        weight_decay: Annotated[float, Field(ge=0)] = 0.0,
    ):
        super().__init__()
        if noise == "amortised" and noise_fixed:
            raise RecipeError(
                "noise is amortised and fixed; what a network predicts is not fixed; leave one of them out"
            )
        if noise_form == "softplus" and noise_init <= FLOOR:
            raise RecipeError(f"noise_init {noise_init} is not above softplus' floor {FLOOR}; write noise_form: log")
        if residual_dwt and (encoder, likelihood) != ("unet", "gaussian"):
            raise RecipeError(_NO_RESIDUAL.format(encoder=encoder, likelihood=likelihood))
        if domain == "coefficients" and (decoder, likelihood) != ("idwt", "gaussian"):
            raise RecipeError(_NO_COEFFICIENTS.format(decoder=decoder, likelihood=likelihood))
        self.space, self.transform = space, transform
        self.pyramid_space = self._pyramid_space(domain)
        self.encoder, self.domain, self.noise_unit = encoder, domain, noise_unit
        self.residual_dwt, self.rates = residual_dwt, (lr, noise_lr, weight_decay)
        sizes = self.pyramid_space.sizes
        shape = code_shape(code, layout, sizes)
        self.code_encoder: nn.Module | None = None
        if encoder == "bottleneck":
            self.code_encoder = CodeEncoder(space.channels, sizes, width, shape)
        elif encoder == "litevae":
            self.code_encoder = CoefficientEncoder(self.pyramid_space, width, shape)
        coded = self.code_encoder is not None
        trunk = CodeDecoder(shape, sizes, width) if coded else UNetEncoder(space.channels, sizes, width)
        self.trunk: nn.Module = trunk
        self.has_pyramid = not (coded and decoder == "conv")
        bands = pyramid_bands(self.pyramid_space, drawn=not coded) if self.has_pyramid else ()
        self.latent = LatentSpace((*((Band("z", shape, "code"),) if coded else ()), *bands))
        if self.has_pyramid:
            self.heads = CoefficientHeads(self.pyramid_space, trunk.widths, zero=residual_dwt)
            if noise == "amortised":
                self.noise: Noise = AmortisedNoise(bands, self.pyramid_space, trunk.widths, noise_init, noise_form)
            else:
                self.noise = Noise(bands, noise, noise_init, noise_fixed, noise_form)
        self.convolve: nn.Module | None = None
        if decoder == "conv":
            reader = [CoefficientDecoder(self.pyramid_space, width)] if self.has_pyramid else []
            self.convolve = nn.Sequential(*reader, ImageHead(trunk.widths[-1], space.shape))
        self.refine = Refine(space.channels, width) if decoder == "idwt+refine" else nn.Identity()
        self.likelihood = Likelihood(space, likelihood, sigma)
        self.regularizers = self.regularized(regularizers)

    def _pyramid_space(self, domain: str) -> PyramidSpace:
        target = self.transform.target(self.space)
        name = type(self.transform).__name__
        if not isinstance(target, PyramidSpace):
            raise SpaceError(self, f"{name} makes no pyramid", "use a wavelet transform", at="transform")
        if domain == "coefficients" and not keeps_energy(target):
            raise SpaceError(
                self,
                f"{target} is not orthonormal, so that errors of coefficients are not those of pixels",
                "set domain to pixels, or use an orthonormal wavelet with norm ortho at sizes that 2^levels divides",
                at="domain",
            )
        return target

    def encode(self, data: Tensor) -> PosteriorState:
        """The posterior of images (B, C, H, W), with a fresh sample of it.

        Bands of a pyramid behind a code follow from the sample of z: their mean is c_NN at that z.
        """
        state = self._encode_code(data) if self.code_encoder else PosteriorState({}, {}, {}, self.latent)
        if not self.has_pyramid:
            return state
        features = self.trunk(state.sample["z"] if self.code_encoder else self._scaled(data))
        mean = self.heads(features)
        if self.residual_dwt:
            mean = {name: mean[name] + band for name, band in self.transform(data).bands().items()}
        scale = self.noise(features)
        sample = {name: c + scale[name] * torch.randn_like(c) for name, c in mean.items()}
        return PosteriorState({**state.mean, **mean}, {**state.scale, **scale}, {**state.sample, **sample}, self.latent)

    def _encode_code(self, data: Tensor) -> PosteriorState:
        assert self.code_encoder is not None
        mean, raw = self.code_encoder(self.transform(data) if self.encoder == "litevae" else self._scaled(data))
        scale = positive(raw)
        sample = mean + scale * torch.randn_like(mean)
        return PosteriorState({"z": mean}, {"z": scale}, {"z": sample}, self.latent)

    def _scaled(self, images: Tensor) -> Tensor:
        return 2 * (images - self.space.low) / (self.space.high - self.space.low) - 1

    def pyramid(self, latent: Mapping[str, Tensor]) -> Pyramid:
        """The pyramid of a latent's drawn bands: the bands themselves, or what a code z is synthesised to, without noise.

        Raises TypeError where a code is decoded without a pyramid.
        """
        if not self.has_pyramid:
            raise TypeError("this model decodes its code by convolutions and makes no pyramid; use another decoder")
        bands = self.heads(self.trunk(latent["z"])) if self.code_encoder else latent
        return Pyramid.from_bands(bands, self.pyramid_space)

    def render(self, pyramid: Pyramid) -> Tensor:
        """The image (B, C, H, W) of a pyramid. A gaussian's is not clamped to the range."""
        return self.likelihood.image(self._rendered(pyramid))

    def decode(self, latent: Mapping[str, Tensor]) -> Tensor:
        """Images (B, C, H, W) from the drawn bands."""
        return self.render(self.pyramid(latent)) if self.has_pyramid else self.likelihood.image(self._output(latent))

    def _output(self, sample: Mapping[str, Tensor]) -> Tensor:
        """The decoder's output at a sample of all bands: a mean, or logits."""
        if self.has_pyramid:
            return self._rendered(Pyramid.from_bands(sample, self.pyramid_space))
        assert self.convolve is not None
        return self.convolve(self.trunk(sample["z"])[-1])

    def _rendered(self, pyramid: Pyramid) -> Tensor:
        return self.convolve(pyramid) if self.convolve else self.refine(self.transform.inverse(pyramid))

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Hand the transform its training data, and measure the bands if s is in their units."""
        self.transform.fit(batch.data for batch in batches())
        if self.has_pyramid and self.noise_unit == "band":
            self.noise.fit(self.transform(images) for images in _first(batches(), UNIT_IMAGES))

    def loss(self, batch: Batch) -> Loss:
        """The loss of images at a fresh sample of their posterior."""
        return self.loss_of(batch.data, self.encode(batch.data))

    def loss_of(self, images: Tensor, state: PosteriorState) -> Loss:
        """The loss of images (B, C, H, W) at a given latent state: S0 Eq. 22 or the ELBO, as the regularizers say."""
        if self.domain == "coefficients":
            output = self.pyramid_space.flatten(Pyramid.from_bands(state.sample, self.pyramid_space))
            images = self.pyramid_space.flatten(self.transform(images))
        else:
            output = self._output(state.sample)
        loss = negative_elbo(images, output, state, self.likelihood, self.regularizers)
        noise = self.noise.terms(state.scale) if self.has_pyramid else {}
        return Loss(loss.value, {**loss.terms, **{name: s.detach() for name, s in noise.items()}})

    def negative_log_likelihood(self, data: Tensor) -> Tensor:
        """(B,): the negative evidence bound in nats an image, at one sample of the posterior.

        A pyramid that follows from a code costs nothing: posterior and prior share p(c | z), so its divergence is 0; a
        laplace-kl on it only loosens the bound.
        """
        state = self.encode(data)
        return evidence_bound(data, self._output(state.sample), state, self.likelihood, self.regularizers)

    @property
    def has_likelihood(self) -> bool:
        return is_bound(self.likelihood, self.regularizers, self.latent)

    def objectives(self) -> Sequence[Objective]:
        lr, noise_lr, weight_decay = self.rates
        trained = self.has_pyramid and not isinstance(self.noise, AmortisedNoise)
        noise = list(self.noise.parameters()) if trained else []
        return [elbo_objective(self, self.loss, noise, lr, noise_lr, weight_decay)]


def _first(batches: Iterable[Batch], limit: int) -> Iterator[Tensor]:
    """The images of the first batches of a pass, until there are `limit`."""
    seen = 0
    for batch in batches:
        yield batch.data
        seen += len(batch.data)
        if seen >= limit:
            return


_NO_RESIDUAL = (
    "residual_dwt with encoder {encoder} and likelihood {likelihood}; only the unet encoder with the gaussian likelihood "
    "predicts coefficients of the image; leave residual_dwt out"
)
_NO_COEFFICIENTS = (
    "domain coefficients with decoder {decoder} and likelihood {likelihood}; only behind a pure inverse transform and a "
    "gaussian is the error of coefficients that of pixels; set domain to pixels"
)
