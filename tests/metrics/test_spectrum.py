import numpy as np
import pytest
import torch

from tests.metrics.sets import Part, dataset_of, measured, random_images
from wavekit_core.errors import SpaceError
from wavekit_core.metrics.spectrum import RadialSpectrum, radial_spectrum
from wavekit_core.spaces import ImageSpace

ROUNDING = 1 / 255**2 / 12


@pytest.mark.parametrize(("height", "width"), [(16, 16), (9, 9), (12, 20)])
def test_the_spectrum_agrees_with_a_loop_over_frequencies(height, width):
    image = random_images(1, 1, height, width)
    power = np.abs(np.fft.fft2(image[0, 0].double().numpy())) ** 2 / (height * width)
    side = min(height, width)
    rings: dict[int, list[float]] = {}
    for row, fy in enumerate(np.fft.fftfreq(height)):
        for column, fx in enumerate(np.fft.fftfreq(width)):
            rings.setdefault(int(np.rint(np.hypot(fy, fx) * side)), []).append(power[row, column])
    expected = [np.log10(np.mean(rings[radius]) + ROUNDING) for radius in range(1, side // 2 + 1)]
    assert np.allclose(radial_spectrum(image)[0].numpy(), expected, rtol=1e-12)


def test_a_wave_stands_at_its_frequency_white_noise_is_flat_and_grey_is_rounding():
    x = torch.arange(32) / 32
    wave = (0.5 + 0.5 * torch.sin(2 * torch.pi * 5 * x)).expand(1, 1, 32, 32)
    assert radial_spectrum(wave)[0].argmax() == 4  # radius 5
    noise = torch.randn(400, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.1
    assert (10 ** radial_spectrum(noise)).mean(0).numpy() == pytest.approx(0.01 + ROUNDING, rel=0.1)
    assert radial_spectrum(torch.full((1, 3, 8, 8), 0.4)).numpy() == pytest.approx(np.log10(ROUNDING))


def test_ten_times_the_power_is_a_distance_of_one():
    small = 0.05 * random_images(60, 1, 8, 8) + 0.4
    large = (small - 0.4) * 10**0.5 + 0.4
    big = 100  # the range is so wide that rounding adds no power to speak of
    dataset = dataset_of(Part(small * big), Part(small * big), low=0, high=100)
    figure = measured(RadialSpectrum(), dataset, large * big)["spectrum"]
    assert figure.value == pytest.approx(1, abs=0.03)
    assert figure.floor == 0
    assert (figure.better, figure.count) == ("lower", 60)


def test_reconstructions_are_compared_with_their_originals():
    train, originals = random_images(9, 1, 8, 8), random_images(9, 1, 8, 8, seed=1)
    dataset = dataset_of(Part(train), Part(random_images(30, 1, 8, 8, seed=2)))
    metric = RadialSpectrum(of="reconstructions")
    (figure,) = measured(metric, dataset, originals=originals, reconstructions=originals.clone()).values()
    assert (figure.name, figure.value, figure.count) == ("spectrum[reconstructions]", 0, 9)
    expected = (radial_spectrum(train).mean(0) - radial_spectrum(originals).mean(0)).abs().mean()
    assert figure.floor == pytest.approx(float(expected), rel=1e-4)
    assert measured(metric, dataset, samples=originals) == {}


def test_images_without_frequencies_are_refused():
    with pytest.raises(SpaceError, match="at least 2×2"):
        RadialSpectrum().require(ImageSpace(1, 1, 40))
