"""The baseline: a plain Gaussian VAE with the Wavelet-VAE's networks, and a learned upsampling instead of the wavelet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from wavekit_core.component import Slot
from wavekit_core.kinds import Autoencoder, Batch, Loss, Objective, PosteriorState, Regularizer
from wavekit_core.registry import node
from wavekit_core.spaces import Band, ImageSpace, LatentSpace
from wavekit_wvae.likelihood import Kind, Likelihood, elbo_objective, evidence_bound, is_bound, negative_elbo
from wavekit_wvae.networks import CodeDecoder, CodeEncoder, ImageHead, Layout, code_shape
from wavekit_wvae.scales import positive

PositiveFloat = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]


class VAE(Autoencoder):
    """z ~ N(μ(x), σ(x)²), image = decoder(z) (S0 Eq. 14-19, the baseline of its Table 1).

    The networks are those of `WaveletVAE(encoder="bottleneck")` on the sizes of a Haar pyramid of `levels` levels; the
    last head gives four maps a channel at half resolution, interleaved to the image. At equal `width`, `code`, `layout`
    and levels the two have the same number of parameters within 5 %.

    Args:
        space: the images.
        regularizers: what the code pays; each is called with the `LatentSpace`.
        code: numbers of a flat z, channels of a spatial one.
        layout: of z: `flat`, or `spatial`, maps of the size that the trunk halves to (f8c4 is levels 3, code 4).
        width: channels at the finest level; doubled per level up to four times it.
        levels: how many times the trunk halves the size.
        likelihood: `gaussian` around the decoder's output, or `bernoulli` with the output as logit.
        sigma: the gaussian's standard deviation in units of pixel values.
        lr: rate of the networks.
        scale_lr: rate of sigma and of the priors' scales.
        weight_decay: of the networks alone.
    """

    space: ImageSpace

    def __init__(
        self,
        space: ImageSpace,
        regularizers: Sequence[Slot[Regularizer]] = (node("gaussian-kl"),),
        code: PositiveInt = 16,
        layout: Layout = "flat",
        width: PositiveInt = 32,
        levels: Annotated[int, Field(ge=1, le=16)] = 2,
        likelihood: Kind = "gaussian",
        sigma: PositiveFloat | Literal["learned"] = "learned",
        lr: PositiveFloat = 1e-3,
        scale_lr: PositiveFloat = 1e-2,
        weight_decay: Annotated[float, Field(ge=0)] = 0.0,
    ):
        super().__init__()
        self.space, self.rates = space, (lr, scale_lr, weight_decay)
        sizes = [(space.height, space.width)]
        for _ in range(levels):
            sizes.insert(0, (-(-sizes[0][0] // 2), -(-sizes[0][1] // 2)))
        sizes.pop()
        shape = code_shape(code, layout, sizes)
        self.latent = LatentSpace((Band("z", shape, "code"),))
        self.code_encoder = CodeEncoder(space.channels, sizes, width, shape)
        self.trunk = CodeDecoder(shape, sizes, width)
        self.head = ImageHead(self.trunk.widths[-1], space.shape)
        self.likelihood = Likelihood(space, likelihood, sigma)
        self.regularizers = self.regularized(regularizers)

    def encode(self, data: Tensor) -> PosteriorState:
        """The posterior of images (B, C, H, W), with a fresh sample of it."""
        mean, raw = self.code_encoder(2 * (data - self.space.low) / (self.space.high - self.space.low) - 1)
        scale = positive(raw)
        sample = mean + scale * torch.randn_like(mean)
        return PosteriorState({"z": mean}, {"z": scale}, {"z": sample}, self.latent)

    def decode(self, latent: Mapping[str, Tensor]) -> Tensor:
        """Images (B, C, H, W) from codes z (B, *shape). A gaussian's are not clamped to the range."""
        return self.likelihood.image(self._output(latent["z"]))

    def _output(self, code: Tensor) -> Tensor:
        return self.head(self.trunk(code)[-1])

    def loss(self, batch: Batch) -> Loss:
        """The negative evidence bound in nats a number (S0 Eq. 14)."""
        state = self.encode(batch.data)
        return negative_elbo(batch.data, self._output(state.sample["z"]), state, self.likelihood, self.regularizers)

    def negative_log_likelihood(self, data: Tensor) -> Tensor:
        """(B,): the negative evidence bound in nats an image, at one sample of the posterior (S0 Eq. 14)."""
        state = self.encode(data)
        return evidence_bound(data, self._output(state.sample["z"]), state, self.likelihood, self.regularizers)

    @property
    def has_likelihood(self) -> bool:
        return is_bound(self.likelihood, self.regularizers, self.latent)

    def objectives(self) -> Sequence[Objective]:
        lr, scale_lr, weight_decay = self.rates
        return [elbo_objective(self, self.loss, [], lr, scale_lr, weight_decay)]
