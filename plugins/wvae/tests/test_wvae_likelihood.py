"""The evidence bound: against the exact log-likelihood of linear-Gaussian models, and where it must not be claimed."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from wavekit_haar import Haar
from wavekit_wvae import VAE, DetailL1, GaussianKL, LaplaceKL, WaveletVAE
from wavekit_wvae.scales import raw_of

from wavekit_core.pipeline import Pipeline
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)
SPACE = ImageSpace(1, 4, 4)
ALL = partial(GaussianKL, bands="all")
SIGMA = 0.4
DRAWS = 3_000


class Shrink(nn.Module):
    """A linear encoder: `factor` times the coefficients of the images that the model scaled to [-1, 1]."""

    def __init__(self, model: WaveletVAE, factor: float):
        super().__init__()
        self.transform, self.factor = model.transform, factor

    def forward(self, scaled: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: self.factor * band for name, band in self.transform((scaled + 1) / 2).bands().items()}


def linear_wavelet(factor: float, s: float) -> WaveletVAE:
    """c ~ N(0, 1), x = IDWT(c) + σ·n, hence x ~ N(0, 1 + σ²); q(c | x) = N(factor·DWT(x), s²)."""
    model = WaveletVAE(SPACE, Haar(levels=2), [ALL], width=4, sigma=SIGMA, noise="global", noise_init=s)
    model.trunk, model.heads = nn.Identity(), Shrink(model, factor)
    return model


def mean_bound(model, image: torch.Tensor) -> float:
    with torch.no_grad():
        return model.negative_log_likelihood(image.expand(DRAWS, *image.shape[1:])).mean().item()


BEST = 1 / (1 + SIGMA**2)
BEST_S = SIGMA / math.sqrt(1 + SIGMA**2)


@pytest.mark.parametrize(("factor", "s"), [(BEST, BEST_S), (1.0, BEST_S), (0.5, 0.2), (BEST, 0.6)])
def test_the_wavelet_bound_is_the_exact_likelihood_and_the_divergence_to_the_true_posterior(factor, s):
    torch.manual_seed(0)
    image = 1.5 * torch.randn(1, 1, 4, 4)
    exact = -Normal(0.0, math.sqrt(1 + SIGMA**2)).log_prob(image).sum().item()
    pyramid = Haar(levels=2)(image)
    coefficients = pyramid.space.flatten(pyramid)
    gap = kl_divergence(Normal(factor * coefficients, s), Normal(BEST * coefficients, BEST_S)).sum().item()
    bound = mean_bound(linear_wavelet(factor, s), image)
    assert bound == pytest.approx(exact + gap, abs=0.25)
    assert (gap < 1e-6) == ((factor, s) == (BEST, BEST_S))


def test_the_vae_bound_is_exact_for_probabilistic_principal_components():
    """x = W z + σ·n with orthonormal columns times w: the true posterior is N(w Wᵀx / (w² + σ²), σ² / (w² + σ²))."""
    torch.manual_seed(0)
    w, numbers, code = 1.3, 16, 3
    basis = torch.linalg.qr(torch.randn(numbers, code))[0]
    model = VAE(SPACE, [GaussianKL], code=code, width=4, sigma=SIGMA)
    to_mean = w * basis.T / (w**2 + SIGMA**2)

    class Encoder(nn.Module):
        def forward(self, scaled):
            mean = (scaled.flatten(1) + 1) / 2 @ to_mean.T
            return mean, torch.full_like(mean, raw_of(SIGMA / math.sqrt(w**2 + SIGMA**2)))

    class Decoder(nn.Module):
        def forward(self, z):
            return [(w * z @ basis.T).reshape(-1, 1, 4, 4)]  # (B, code) to images

    model.code_encoder, model.trunk, model.head = Encoder(), Decoder(), nn.Identity()
    covariance = w**2 * basis @ basis.T + SIGMA**2 * torch.eye(numbers)
    image = torch.randn(1, 1, 4, 4)
    exact = -MultivariateNormal(torch.zeros(numbers), covariance).log_prob(image.flatten()).item()
    assert mean_bound(model, image) == pytest.approx(exact, abs=0.15)


@pytest.mark.parametrize("encoder", ["bottleneck", "litevae"])
def test_a_code_is_bounded_by_importance_weighting(encoder):
    """log (1/K) Σ p(x | z, c) p(z) / q(z) with 2,000 weights is a tighter bound than the mean of one: in between is log p."""
    torch.manual_seed(0)
    model = WaveletVAE(
        SPACE, Haar(levels=1), [GaussianKL], encoder=encoder, code=3, width=4, sigma=SIGMA, noise_init=0.2
    )
    image = torch.rand(1, 1, 4, 4)
    assert model.has_likelihood
    with torch.no_grad():
        state = model.encode(image.expand(2_000, -1, -1, -1))
        output = model._output(state.sample)
        log_x = Normal(output, SIGMA).log_prob(image).flatten(1).sum(1)
        z, q = state.sample["z"], Normal(state.mean["z"], state.scale["z"])
        log_w = log_x + Normal(0.0, 1.0).log_prob(z).sum(1) - q.log_prob(z).sum(1)
        tighter = -(torch.logsumexp(log_w, 0) - math.log(2_000)).item()
        exact_average = -log_w.mean().item()
    bound = mean_bound(model, image)
    assert bound == pytest.approx(exact_average, abs=0.3)
    assert bound > tighter


GAUSSIAN_ALL = [ALL]
WAVELET = [LaplaceKL, GaussianKL]


@pytest.mark.parametrize(
    ("regularizers", "options", "expected"),
    [
        (WAVELET, {}, True),
        (GAUSSIAN_ALL, {"decoder": "idwt+refine", "noise": "amortised"}, True),
        ([partial(GaussianKL, learn_prior=True), LaplaceKL], {"domain": "coefficients"}, True),
        ([GaussianKL], {}, False),  # the details are drawn and cost nothing
        ([*WAVELET, ALL], {}, False),  # twice
        ([LaplaceKL, partial(GaussianKL, weight=0.5)], {}, False),
        ([*WAVELET, DetailL1], {}, False),
        (WAVELET, {"likelihood": "bernoulli"}, False),
        ([GaussianKL], {"encoder": "bottleneck"}, True),
        ([GaussianKL], {"encoder": "litevae", "decoder": "conv"}, True),
        ([GaussianKL, LaplaceKL], {"encoder": "bottleneck"}, True),  # looser by a divergence
        ([], {"encoder": "bottleneck"}, False),
    ],
)
def test_a_bound_is_claimed_only_where_it_is_one(regularizers, options, expected):
    model = WaveletVAE(SPACE, Haar(levels=2), regularizers, width=4, code=3, **options)
    assert model.has_likelihood is expected
    assert Pipeline(SPACE, lambda space: model).has_likelihood is expected
    if expected:
        nats = model.negative_log_likelihood(torch.rand(5, 1, 4, 4))
        assert nats.shape == (5,)
        assert torch.isfinite(nats).all()


def test_the_bound_is_the_loss_in_nats_an_image():
    model = WaveletVAE(SPACE, Haar(levels=2), WAVELET, width=4)
    images = torch.rand(6, 1, 4, 4)
    torch.manual_seed(3)
    state = model.encode(images)
    loss = model.loss_of(images, state).value * 16
    torch.manual_seed(3)
    torch.testing.assert_close(model.negative_log_likelihood(images).mean(), loss)


def test_a_vae_without_a_gaussian_likelihood_has_no_density():
    assert VAE(SPACE, width=4).has_likelihood
    assert not VAE(SPACE, likelihood="bernoulli", width=4).has_likelihood
    assert not VAE(SPACE, [partial(GaussianKL, weight=2.0)], width=4).has_likelihood
