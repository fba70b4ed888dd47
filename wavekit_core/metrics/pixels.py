"""Reconstructions against originals, pixel by pixel and window by window. Every figure is a mean over images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from wavekit_core.errors import SpaceError
from wavekit_core.kinds.metric import Evidence, Figure, Metric
from wavekit_core.spaces import ImageSpace

CHUNK = 256
PSNR_OF_IDENTICAL = 100.0
SSIM_WINDOW = 11


class MeanSquaredError(Metric):
    """`mse`: the mean squared difference of a pixel, in the data set's range."""

    reads: ClassVar[Literal["reconstructions", "samples"]] = "reconstructions"

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

    reads: ClassVar[Literal["reconstructions", "samples"]] = "reconstructions"

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

    reads: ClassVar[Literal["reconstructions", "samples"]] = "reconstructions"

    def require(self, space: ImageSpace) -> None:
        if min(space.height, space.width) < 3:
            raise SpaceError(self, f"ssim needs images of at least 3×3 pixels, not {space}", "leave ssim out")

    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        from torchmetrics.functional.image import structural_similarity_index_measure

        window = ssim_window(evidence.dataset.space.height, evidence.dataset.space.width)
        span, sigma = _span(evidence), 1.5 * window / SSIM_WINDOW

        def ssim(reconstructions: Tensor, originals: Tensor) -> Tensor:
            _, centres = structural_similarity_index_measure(
                reconstructions, originals, sigma=sigma, data_range=span, reduction="none", return_full_image=True
            )
            edge = window // 2  # torchmetrics mirrors the image there, or crops it, depending on its version
            return centres[..., edge:-edge, edge:-edge].mean(dim=(-3, -2, -1))

        return _figure("ssim", _per_image(evidence, ssim), f"SSIM, Gaussian window {window}×{window}", "higher")


def ssim_window(height: int, width: int) -> int:
    """Side of the SSIM window for images of this size: odd, at most 11."""
    side = min(height, width, SSIM_WINDOW)
    return side if side % 2 else side - 1


def _span(evidence: Evidence) -> float:
    return evidence.dataset.space.high - evidence.dataset.space.low


def _per_image(evidence: Evidence, compare: Callable[[Tensor, Tensor], Tensor]) -> Tensor | None:
    """`compare(reconstructions, originals)` -> (B,) in chunks of bounded memory; float64 (N,), None without images."""
    if evidence.reconstructions is None or len(evidence.originals) == 0:
        return None
    pairs = zip(evidence.reconstructions.split(CHUNK), evidence.originals.split(CHUNK), strict=True)
    return torch.cat([compare(a.float(), b.float()).double().cpu() for a, b in pairs])


def _figure(name: str, values: Tensor | None, unit: str, better: Literal["lower", "higher"]) -> list[Figure]:
    if values is None:
        return []
    return [Figure(name, float(values.mean()), unit, better, len(values))]
