"""Is there as much power at every spatial frequency as in real images?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from wavekit_core.errors import SpaceError
from wavekit_core.kinds.dataset import Split
from wavekit_core.kinds.metric import Evidence, Figure, Metric
from wavekit_core.metrics.feature_sets import Of
from wavekit_core.metrics.real_images import CHUNK, Seed, batches, subset
from wavekit_core.spaces import ImageSpace

ROUNDING = (1 / 255) ** 2 / 12  # the power of rounding to 8 bits, at every frequency


class RadialSpectrum(Metric):
    """`spectrum` of samples, `spectrum[reconstructions]` of reconstructions: the distance of mean log spectra, see
    `radial_spectrum`; the mean over radii of |difference of the mean log₁₀ power|. One is a factor of ten.

    Samples are compared with held-out images, reconstructions with their originals. Both sets have the size of the smallest,
    training images included; larger ones are thinned out. The floor compares training images with the same reference. Images
    with a side of 1 pixel are refused.
    """

    def __init__(self, of: Of = "samples", seed: Seed = 0):
        self.reads = of
        self._seed = seed

    def require(self, space: ImageSpace) -> None:
        if min(space.height, space.width) < 2:
            raise SpaceError(self, f"a spectrum needs images of at least 2×2 pixels, not {space}", "leave spectrum out")

    @torch.no_grad()
    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        dataset, space = evidence.dataset, evidence.dataset.space
        shown = evidence.samples if self.reads == "samples" else evidence.reconstructions
        if shown is None:
            return []
        references = len(dataset.held_out) if self.reads == "samples" else len(evidence.originals)
        count = min(len(shown), references, len(dataset.train))
        if count == 0:
            return []

        def of_images(images: Tensor) -> Tensor:
            return _mean(images[subset(len(images), count, self._seed)].split(CHUNK), space)

        def of_split(split: Split) -> Tensor:
            chosen = subset(len(split), count, self._seed)
            return _mean((batch.data for batch in batches(split, chosen, space)), space)

        real = of_split(dataset.held_out) if self.reads == "samples" else of_images(evidence.originals)
        value, floor = (float((s - real).abs().mean()) for s in (of_images(shown), of_split(dataset.train)))
        name, reference = (
            ("spectrum", "held-out") if self.reads == "samples" else (f"spectrum[{self.reads}]", "originals")
        )
        return [Figure(name, value, f"log₁₀ of power, against {reference}", "lower", count, floor)]


def radial_spectrum(images: Tensor) -> Tensor:
    """Images (B, C, H, W) in [0, 1] to the log₁₀ of their power at each radius (B, R), float64.

    The power |DFT|² / (H·W) of an image, averaged over colours and over the rings of frequencies f (cycles a pixel) whose
    |f| · min(H, W), rounded, is 1, 2, … R = min(H, W) // 2: the azimuthal average of Durall et al. 2020, "Watch your
    up-convolution", eq. 2, without the mean brightness. The power that rounding to 8 bits adds, 1 / (12 · 255²), is added, so
    that a flat image has a logarithm.
    """
    height, width = images.shape[-2:]
    side = min(height, width)
    y, x = (torch.fft.fftfreq(n, dtype=torch.float64) for n in (height, width))
    rings = ((y[:, None].square() + x.square()).sqrt() * side).round().long().flatten()
    power = torch.fft.fft2(images.double(), norm="ortho").abs().square().mean(dim=1).flatten(1)
    sums = torch.zeros(len(images), int(rings.max()) + 1, dtype=torch.float64).index_add_(1, rings, power)
    means = (sums / rings.bincount())[:, 1 : side // 2 + 1]
    return (means + ROUNDING).log10()


def _mean(parts: Iterable[Tensor], space: ImageSpace) -> Tensor:
    """The mean log spectrum (R,) of images in the range of `space`."""
    spectra = [radial_spectrum((part.cpu() - space.low) / (space.high - space.low)) for part in parts]
    return torch.cat(spectra).mean(dim=0)
