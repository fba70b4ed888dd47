"""The Wavelet-VAE, its regularizers and samplers, and the baselines keep the laws of their kinds."""

import torch
from wavekit_wvae import (
    VAE,
    DetailL1,
    GaussianKL,
    GaussianMixture,
    LaplaceKL,
    OracleShrinkage,
    PosteriorFit,
    Prior,
    Reconstruct,
    WaveletVAE,
)

from wavekit_core.spaces import ImageSpace
from wavekit_core.testing import generator_suite, linear_gaussian, regularizer_suite, sampler_suite

torch.set_num_threads(1)
ELBO = [{"use": "laplace-kl"}, {"use": "gaussian-kl"}]

test_detail_l1 = regularizer_suite(DetailL1, {}, {"weight": 0.0, "level_weight": "gain"})
test_laplace_kl = regularizer_suite(LaplaceKL, {}, {"scale_init": 2.0})
test_gaussian_kl = regularizer_suite(GaussianKL, {}, {"bands": "all", "learn_prior": True})

test_wvae = generator_suite(
    WaveletVAE,
    {"width": 8, "regularizers": [{"use": "detail-l1"}]},
    {"width": 8, "regularizers": ELBO, "noise": "amortised", "decoder": "idwt+refine"},
    {"width": 8, "regularizers": [{"use": "gaussian-kl"}], "encoder": "bottleneck", "noise_unit": "band"},
    {
        "width": 8,
        "regularizers": [{"use": "gaussian-kl"}],
        "encoder": "litevae",
        "decoder": "conv",
        "layout": "spatial",
    },
    steps=60,
)
test_vae = generator_suite(VAE, {"width": 8}, {"width": 8, "likelihood": "bernoulli", "levels": 1}, steps=60)
test_gmm = generator_suite(GaussianMixture, spaces=[ImageSpace(1, 8, 8), ImageSpace(3, 5, 6, low=-1.0)])
test_oracle_shrinkage = generator_suite(OracleShrinkage, {}, {"level_weight": "gain", "weight": 0.3})

test_prior = sampler_suite(Prior)
test_posterior_fit = sampler_suite(PosteriorFit, {}, {"components": 1, "ridge": 0.0})
test_posterior_fit_of_few = sampler_suite(
    PosteriorFit, {"fit_images": 100, "components": 1}, model=linear_gaussian(100)
)
test_reconstruct = sampler_suite(Reconstruct, {}, {"noise": False})
