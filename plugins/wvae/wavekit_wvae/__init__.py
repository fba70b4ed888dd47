"""The Wavelet-VAE, its regularizers and samplers, and the baselines it is compared with."""

from importlib.resources import files

from wavekit_wvae.gmm import GaussianMixture
from wavekit_wvae.interpret import edit, heatmap, walk
from wavekit_wvae.regularizers import DetailL1, GaussianKL, LaplaceKL
from wavekit_wvae.samplers import PosteriorFit, Prior, Reconstruct
from wavekit_wvae.shrinkage import OracleShrinkage
from wavekit_wvae.vae import VAE
from wavekit_wvae.wvae import WaveletVAE

recipes = files(__name__) / "recipes"

__all__ = [
    "VAE",
    "DetailL1",
    "GaussianKL",
    "GaussianMixture",
    "LaplaceKL",
    "OracleShrinkage",
    "PosteriorFit",
    "Prior",
    "Reconstruct",
    "WaveletVAE",
    "edit",
    "heatmap",
    "recipes",
    "walk",
]
