"""Data sets whose covariance is known exactly: no estimate, no random number."""

import math

import torch

from wavekit_core.bands import Subject
from wavekit_core.filters import FilterBank
from wavekit_core.kinds import Batch, Dataset
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import WaveletTransform


class Part:
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def batch(self, indices, words=None):
        return Batch(self.images[torch.as_tensor(indices)])


class Images(Dataset):
    """Images (N, C, H, W) as a data set in [-1, 1]."""

    def __init__(self, images: torch.Tensor):
        self.space = ImageSpace(*images.shape[1:], low=-1.0, high=1.0)
        self.train = self.held_out = Part(images)

    def digest(self):
        return "0"


def stationary(spectrum):
    """2n² images (n, n) of mean 0 whose sample covariance is exactly that of the field with `spectrum` (n, n) on the torus: both
    signs of every function of Hartley's basis."""
    n = len(spectrum)
    k = torch.arange(n, dtype=torch.float64)
    phase = 2 * math.pi / n * (k[:, None, None, None] * k[:, None] + k[:, None, None] * k)  # (k, l, y, x)
    basis = (phase.cos() + phase.sin()).flatten(0, 1) * spectrum.flatten().sqrt()[:, None, None]
    return torch.cat([basis, -basis])[:, None]


def subject(images, levels=2, wavelet="haar", mode="periodization"):
    dataset = Images(images)
    space = WaveletTransform(FilterBank.from_pywt(wavelet), levels, mode).target(dataset.space)
    return Subject(dataset, space)
