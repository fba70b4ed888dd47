import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from wavekit_core.errors import SpaceError
from wavekit_core.kinds.metric import Evidence
from wavekit_core.metrics.pixels import (
    BinaryCrossEntropy,
    MeanSquaredError,
    MultiScaleStructuralSimilarity,
    PeakSignalToNoise,
    StructuralSimilarity,
)
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


def reference_terms(a, b, window):
    """SSIM (Wang et al. 2004, eq. 13) and its contrast and structure term, with SciPy's Gaussian filter, over the windows that
    lie inside the image."""
    radius, sigma = window // 2, 1.5 * window / 11

    def blur(x):
        return gaussian_filter(x, sigma, radius=radius)[radius:-radius, radius:-radius]

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, cov = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    structure = (2 * cov + c2) / (var_a + var_b + c2)
    return ((2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1) * structure).mean(), structure.mean()


def reference_ssim(a, b, window):
    return reference_terms(a, b, window)[0]


def reference_ms_ssim(a, b, window, scales):
    """Wang et al. 2003, eq. 7."""
    exponents = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    exponents *= 1.0001 / exponents.sum()
    product = 1.0
    for scale, exponent in enumerate(exponents):
        ssim, structure = reference_terms(a, b, window)
        product *= (ssim if scale == scales - 1 else structure) ** exponent
        a, b = (x[: len(x) // 2 * 2, : len(x) // 2 * 2].reshape(len(x) // 2, 2, -1, 2).mean((1, 3)) for x in (a, b))
    return product


@pytest.mark.parametrize(("size", "window"), [(8, 7), (11, 11), (16, 11), (28, 11), (3, 3)])
def test_ssim_agrees_with_the_formula(size, window):
    a, b = torch.rand(2, 5, 1, size, size, generator=torch.Generator().manual_seed(1))
    b = 0.5 * a + 0.5 * b
    (figure,) = StructuralSimilarity().measure(evidence(a, b))
    pairs = zip(a.double().numpy(), b.double().numpy(), strict=True)
    expected = np.mean([reference_ssim(x[0], y[0], window) for x, y in pairs])
    assert figure.value == pytest.approx(expected, abs=1e-6)
    assert f"{window}×{window}" in figure.unit


def test_ssim_of_one_colour_image_and_of_equal_images():
    image = torch.rand(1, 3, 12, 20, generator=torch.Generator().manual_seed(2))
    (figure,) = StructuralSimilarity().measure(evidence(image, image.clone()))
    assert figure.value == pytest.approx(1, abs=1e-6)
    assert figure.count == 1


def test_ssim_refuses_what_has_no_window():
    with pytest.raises(SpaceError, match="3×3"):
        StructuralSimilarity().require(ImageSpace(1, 2, 40))


@pytest.mark.parametrize(
    ("size", "window", "scales"),
    [
        (6, 3, 2),
        (16, 7, 2),
        (28, 11, 2),
        (43, 11, 2),
        (44, 11, 3),
        (88, 11, 4),
        (175, 11, 4),
        (176, 11, 5),
    ],
)
def test_ms_ssim_agrees_with_the_formula_at_as_many_scales_as_fit(size, window, scales):
    a, b = torch.rand(2, 2, 1, size, size, generator=torch.Generator().manual_seed(1))
    b = 0.7 * a + 0.3 * b
    (figure,) = MultiScaleStructuralSimilarity().measure(evidence(a, b))
    pairs = zip(a.double().numpy(), b.double().numpy(), strict=True)
    expected = np.mean([reference_ms_ssim(x[0], y[0], window, scales) for x, y in pairs])
    assert figure.value == pytest.approx(expected, abs=1e-6)
    assert figure.unit == f"MS-SSIM, {scales} scales, Gaussian window {window}×{window}"


def test_ms_ssim_is_torchmetrics_but_for_the_mirrored_border_of_the_last_scale():
    a, b = torch.rand(2, 2, 1, 180, 190, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    b = 0.7 * a + 0.3 * b
    (figure,) = MultiScaleStructuralSimilarity().measure(evidence(a, b))
    theirs = multiscale_structural_similarity_index_measure(b, a, data_range=1.0, reduction="none")
    last = (torch.nn.functional.avg_pool2d(x, 16) for x in (b, a))
    _, full = structural_similarity_index_measure(*last, data_range=1.0, reduction="none", return_full_image=True)
    inner, whole = full[..., 5:-5, 5:-5].mean((1, 2, 3)), full.mean((1, 2, 3))
    expected = theirs * (inner / whole) ** 0.1333
    assert figure.value == pytest.approx(float(expected.mean()), abs=1e-6)
    (same,) = MultiScaleStructuralSimilarity().measure(evidence(a, a.clone()))
    assert same.value == pytest.approx(1, abs=1e-6)


def test_ms_ssim_of_the_negative_is_zero_and_small_images_are_refused(images):
    (figure,) = MultiScaleStructuralSimilarity().measure(evidence(images, 1 - images))
    assert figure.value == 0
    MultiScaleStructuralSimilarity().require(ImageSpace(1, 6, 40))
    with pytest.raises(SpaceError, match=r"at least 6×6 pixels.*use ssim"):
        MultiScaleStructuralSimilarity().require(ImageSpace(1, 5, 40))


def test_psnr_and_ssim_agree_with_torchmetrics(images):
    noisy = (images + 0.1 * images.flip(0)).clamp(0, 1)
    (psnr,), (ssim,) = (m().measure(evidence(images, noisy)) for m in (PeakSignalToNoise, StructuralSimilarity))
    theirs = peak_signal_noise_ratio(noisy, images, data_range=1.0, reduction="elementwise_mean", dim=(1, 2, 3))
    assert psnr.value == pytest.approx(float(theirs), abs=1e-5)
    _, full = structural_similarity_index_measure(noisy, images, data_range=1.0, return_full_image=True)
    assert ssim.value == pytest.approx(float(full[..., 5:-5, 5:-5].double().mean()), abs=1e-6)


def test_bce_agrees_with_torch_and_keeps_off_the_ends():
    a, b = torch.randint(0, 256, (2, 5, 3, 4, 4), generator=torch.Generator().manual_seed(0)) / 255
    (figure,) = BinaryCrossEntropy().measure(evidence(a * 2 - 1, b * 2 - 1, low=-1, high=1))
    expected = torch.nn.functional.binary_cross_entropy(b.double().clamp(1 / 510, 1 - 1 / 510), a.double())
    assert figure.value == pytest.approx(float(expected), rel=1e-6)
    (wrong,) = BinaryCrossEntropy().measure(evidence(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)))
    assert wrong.value == pytest.approx(math.log(510))
    assert (wrong.name, wrong.better, wrong.unit) == ("bce", "lower", "nats a pixel, ε = 1/510")


@pytest.mark.parametrize(
    "metric",
    [MeanSquaredError, PeakSignalToNoise, StructuralSimilarity, MultiScaleStructuralSimilarity, BinaryCrossEntropy],
)
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
