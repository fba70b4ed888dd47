"""Reconstructions against originals, pixel by pixel and window by window. Every figure is a mean over images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from wavekit_core.errors import SpaceError
from wavekit_core.kinds.metric import Evidence, Figure, Metric, Reads
from wavekit_core.spaces import ImageSpace

CHUNK = 256
PSNR_OF_IDENTICAL = 100.0
SSIM_WINDOW = 11
MS_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
BCE_EPSILON = 1 / 510


class MeanSquaredError(Metric):
    """`mse`: the mean squared difference of a pixel, in the data set's range."""

    reads: Reads = "reconstructions"

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        from torchmetrics.functional import mean_squared_error  # slow to import: only when it is used

        def mse(reconstructions: Tensor, originals: Tensor) -> Tensor:
            count = len(originals)  # one output an image
            return mean_squared_error(
                reconstructions.reshape(count, -1).T, originals.reshape(count, -1).T, num_outputs=count
            ).reshape(-1)

        return _figure("mse", _per_image(evidence, mse), "squared pixel value", "lower")


class PeakSignalToNoise(Metric):
    """`psnr`: 10 log10(range² / mean squared error) of each image, in decibels.

    An image that equals its original counts as 100 dB, so that the mean stays finite.
    """

    reads: Reads = "reconstructions"

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        from torchmetrics.functional.image import peak_signal_noise_ratio

        span = _span(evidence)

        def psnr(reconstructions: Tensor, originals: Tensor) -> Tensor:
            return peak_signal_noise_ratio(
                reconstructions, originals, data_range=span, reduction="none", dim=(1, 2, 3)
            ).clamp(max=PSNR_OF_IDENTICAL)

        return _figure("psnr", _per_image(evidence, psnr), "dB", "higher")


class StructuralSimilarity(Metric):
    """`ssim`: structural similarity, 1 for equal images (Wang et al. 2004, "Image quality assessment").

    The window is the paper's, Gaussian of 11 × 11 and σ = 1.5, where it fits into the image (16 pixels: yes). In smaller
    images it is the largest odd window that fits, with σ in proportion (7 × 7 and σ = 0.95 for 8 pixels). The unit names
    it, because values of different windows do not compare. Only windows that lie inside the image count; colours are
    compared one by one and averaged. Images smaller than 3 pixels are refused.
    """

    reads: Reads = "reconstructions"

    def require(self, space: ImageSpace) -> None:
        if min(space.height, space.width) < 3:
            raise SpaceError(self, f"ssim needs images of at least 3×3 pixels, not {space}", "leave ssim out")

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        window, span = ssim_window(evidence.dataset.space.height, evidence.dataset.space.width), _span(evidence)

        def ssim(reconstructions: Tensor, originals: Tensor) -> Tensor:
            return _ssim(reconstructions, originals, window, span)

        return _figure("ssim", _per_image(evidence, ssim), f"SSIM, Gaussian window {window}×{window}", "higher")


class MultiScaleStructuralSimilarity(Metric):
    """`ms-ssim`: structural similarity over several scales, 1 for equal images (Wang, Simoncelli, Bovik 2003, "Multiscale
    structural similarity for image quality assessment", eq. 7).

    Each scale halves the image by the mean of 2 × 2 pixels. All but the last give the contrast and structure term, the last
    gives `ssim`; a negative mean counts as 0. There are as many scales as the window fits, at most the paper's five, which
    need 176 pixels; with fewer, the paper's first exponents are scaled to the sum of all. The window is that of `ssim`, as large
    as two scales allow (11 × 11 from 22 pixels, 7 × 7 for 16). The unit names both. Images smaller than 6 pixels are refused.
    """

    reads: Reads = "reconstructions"

    def require(self, space: ImageSpace) -> None:
        if min(space.height, space.width) < 6:
            raise SpaceError(self, f"ms-ssim needs images of at least 6×6 pixels, not {space}", "use ssim")

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        from torchmetrics.functional.image import structural_similarity_index_measure

        side, span = min(evidence.dataset.space.shape[1:]), _span(evidence)
        window = ssim_window(side // 2, side // 2)
        scales = 2
        while scales < len(MS_EXPONENTS) and side >> scales >= window:
            scales += 1
        share = sum(MS_EXPONENTS[:scales]) / sum(MS_EXPONENTS)
        exponents = [exponent / share for exponent in MS_EXPONENTS[:scales]]

        def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
            product = torch.ones(len(a), dtype=a.dtype)
            for exponent in exponents[:-1]:
                _, structure = structural_similarity_index_measure(
                    a, b, sigma=_sigma(window), data_range=span, reduction="none", return_contrast_sensitivity=True
                )
                product = product * structure.clamp(min=0) ** exponent
                a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
            return product * _ssim(a, b, window, span).clamp(min=0) ** exponents[-1]

        unit = f"MS-SSIM, {scales} scales, Gaussian window {window}×{window}"
        return _figure("ms-ssim", _per_image(evidence, ms_ssim), unit, "higher")


class BinaryCrossEntropy(Metric):
    """`bce`: the mean over pixels of -(x log r + (1 - x) log(1 - r)) in nats, of originals x and reconstructions r in [0, 1].

    r is held off 0 and 1 by half an 8-bit step, ε = 1/510, which bounds the cost of a wrong black or white pixel by 6.2 nats.
    An image that equals its original does not give 0 but about the entropy of its greys, so only values on the same originals
    compare.
    """

    reads: Reads = "reconstructions"

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        low, span = evidence.dataset.space.low, _span(evidence)

        def bce(reconstructions: Tensor, originals: Tensor) -> Tensor:
            r = ((reconstructions - low) / span).clamp(BCE_EPSILON, 1 - BCE_EPSILON)
            x = (originals - low) / span
            return -(x * r.log() + (1 - x) * (1 - r).log()).mean(dim=(1, 2, 3))

        return _figure("bce", _per_image(evidence, bce), "nats a pixel, ε = 1/510", "lower")


def ssim_window(height: int, width: int) -> int:
    """Side of the SSIM window for images of this size: odd, at most 11."""
    side = min(height, width, SSIM_WINDOW)
    return side if side % 2 else side - 1


def _sigma(window: int) -> float:
    return 1.5 * window / SSIM_WINDOW


def _ssim(reconstructions: Tensor, originals: Tensor, window: int, span: float) -> Tensor:
    """(B,): the mean over the windows that lie inside the image, and over colours."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    _, centres = structural_similarity_index_measure(
        reconstructions, originals, sigma=_sigma(window), data_range=span, reduction="none", return_full_image=True
    )
    edge = window // 2  # torchmetrics mirrors the image there, or crops it, depending on its version
    return centres[..., edge:-edge, edge:-edge].mean(dim=(-3, -2, -1))


def _span(evidence: Evidence) -> float:
    return evidence.dataset.space.high - evidence.dataset.space.low


def _per_image(evidence: Evidence, compare: Callable[[Tensor, Tensor], Tensor]) -> Tensor | None:
    """`compare(reconstructions, originals)` -> (B,) in float64, in chunks of bounded memory; (N,), None without images."""
    if evidence.reconstructions is None or len(evidence.originals) == 0:
        return None
    pairs = zip(evidence.reconstructions.split(CHUNK), evidence.originals.split(CHUNK), strict=True)
    return torch.cat([compare(a.double(), b.double()).cpu() for a, b in pairs])


def _figure(name: str, values: Tensor | None, unit: str, better: Literal["lower", "higher"]) -> list[Figure]:
    if values is None:
        return []
    return [Figure(name, float(values.mean()), unit, better, len(values))]
