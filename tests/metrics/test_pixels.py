import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from wavekit_core.errors import SpaceError
from wavekit_core.kinds.metric import Evidence
from wavekit_core.metrics.pixels import MeanSquaredError, PeakSignalToNoise, StructuralSimilarity
from wavekit_core.spaces import ImageSpace


def evidence(originals, reconstructions, low=0.0, high=1.0):
    dataset = SimpleNamespace(space=ImageSpace(*originals.shape[1:], low=low, high=high))
    return Evidence(dataset, originals, reconstructions, None, None)


@pytest.fixture
def images():
    return torch.rand(300, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def test_mse_is_the_mean_over_all_pixels(images):
    (figure,) = MeanSquaredError().measure(evidence(images, images.flip(0)))
    assert figure.value == pytest.approx(float((images - images.flip(0)).double().square().mean()), rel=1e-6)
    assert (figure.name, figure.better, figure.count) == ("mse", "lower", 300)


def test_psnr_is_a_mean_over_images_in_decibels(images):
    errors = torch.tensor([0.1, 0.01]).repeat(150)[:, None, None, None]
    (figure,) = PeakSignalToNoise().measure(evidence(images, images + errors))
    assert figure.value == pytest.approx((20 + 40) / 2, abs=1e-3)
    assert (figure.unit, figure.better, figure.count) == ("dB", "higher", 300)


def test_psnr_knows_the_range(images):
    (figure,) = PeakSignalToNoise().measure(evidence(images * 2 - 1, images * 2 - 1 + 0.2, low=-1, high=1))
    assert figure.value == pytest.approx(20, abs=1e-3)


def test_psnr_of_identical_images_is_finite(images):
    (figure,) = PeakSignalToNoise().measure(evidence(images, images.clone()))
    assert figure.value == 100
    assert math.isfinite(figure.value)


def reference_ssim(a, b, window):
    """Wang et al. 2004, eq. 13, with SciPy's Gaussian filter, over the windows that lie inside the image."""
    radius, sigma = window // 2, 1.5 * window / 11

    def blur(x):
        return gaussian_filter(x, sigma, radius=radius)[radius:-radius, radius:-radius]

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, cov = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    value = (2 * mean_a * mean_b + c1) * (2 * cov + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return value.mean()


@pytest.mark.parametrize(("size", "window"), [(8, 7), (11, 11), (16, 11), (28, 11), (3, 3)])
def test_ssim_agrees_with_the_formula(size, window):
    a, b = torch.rand(2, 5, 1, size, size, generator=torch.Generator().manual_seed(1))
    b = 0.5 * a + 0.5 * b
    (figure,) = StructuralSimilarity().measure(evidence(a, b))
    pairs = zip(a.double().numpy(), b.double().numpy(), strict=True)
    expected = np.mean([reference_ssim(x[0], y[0], window) for x, y in pairs])
    assert figure.value == pytest.approx(expected, abs=1e-4)
    assert f"{window}×{window}" in figure.unit


def test_ssim_of_one_colour_image_and_of_equal_images():
    image = torch.rand(1, 3, 12, 20, generator=torch.Generator().manual_seed(2))
    (figure,) = StructuralSimilarity().measure(evidence(image, image.clone()))
    assert figure.value == pytest.approx(1, abs=1e-6)
    assert figure.count == 1


def test_ssim_refuses_what_has_no_window():
    with pytest.raises(SpaceError, match="3×3"):
        StructuralSimilarity().require(ImageSpace(1, 2, 40))


@pytest.mark.parametrize("metric", [MeanSquaredError, PeakSignalToNoise, StructuralSimilarity])
def test_without_reconstructions_there_is_no_figure(metric, images):
    assert list(metric().measure(evidence(images, None))) == []
    assert list(metric().measure(evidence(images[:0], images[:0]))) == []


def test_noise_is_seen_by_all_three(images):
    def figures(noise):
        generator = torch.Generator().manual_seed(3)
        noisy = (images + noise * torch.randn(images.shape, generator=generator)).clamp(0, 1)
        shown = evidence(images, noisy)
        return [m().measure(shown)[0].value for m in (MeanSquaredError, PeakSignalToNoise, StructuralSimilarity)]

    little, much = figures(0.05), figures(0.2)
    assert little[0] < much[0]
    assert little[1] > much[1]
    assert little[2] > much[2]
