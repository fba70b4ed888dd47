"""Known faults of samples move the figures that are meant to see them, and leave alone those that are not."""

import pytest
import torch
import torch.nn.functional as F

from tests.metrics.sets import measured
from wavekit_core.data.digits import Digits
from wavekit_core.metrics.frechet import FrechetDistance
from wavekit_core.metrics.kernel import KernelDistance
from wavekit_core.metrics.manifold import Manifold
from wavekit_core.metrics.nearest import NearestTraining
from wavekit_core.metrics.spectrum import RadialSpectrum

METRICS = (
    FrechetDistance("lenet-mnist"),
    KernelDistance("lenet-mnist"),
    Manifold("lenet-mnist"),
    NearestTraining(),
    RadialSpectrum(),
)
NAMES = {f"{name}[lenet-mnist]": name for name in ("gfd", "gkd", "precision", "recall", "density", "coverage")}


@pytest.fixture(scope="module")
def figures():
    """(value, floor) by name, for real images and for each fault of them."""
    digits = Digits()
    batch = digits.train.batch(range(400))
    images, labels = batch.data, batch.labels
    noise = 0.1 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    sets = {
        "real": images,
        "dropped": digits.train.batch(range(800)).data[digits.train.batch(range(800)).labels > 2][:400],
        "blur": F.avg_pool2d(images, 3, stride=1, padding=1),
        "noise": images + noise,
        "one": images[labels == 3][:1].expand(400, -1, -1, -1),
    }

    def of(samples):
        samples = (samples.clamp(0, 1) * 255).round() / 255
        rows = [figure for metric in METRICS for figure in measured(metric, digits, samples).values()]
        return {NAMES.get(row.name, row.name): (row.value, row.floor) for row in rows}

    return {name: of(samples) for name, samples in sets.items()}


def values(figures, fault):
    return {name: value for name, (value, _) in figures[fault].items()}


def test_real_images_lie_near_the_floor(figures):
    real = figures["real"]
    for name in ("precision", "recall", "density", "coverage", "nearest"):
        value, floor = real[name]
        if name != "nearest":  # they are training images, hence copies
            assert value == pytest.approx(floor, abs=0.1), name
    assert real["nearest"][0] == 0
    assert real["gfd"][0] < 1.5 * real["gfd"][1]
    assert real["spectrum"][0] < 0.05


def test_dropped_classes_are_missing_but_what_is_there_is_right(figures):
    real, dropped = values(figures, "real"), values(figures, "dropped")
    assert dropped["recall"] < real["recall"] - 0.15
    assert dropped["coverage"] < real["coverage"] - 0.15
    assert dropped["precision"] > real["precision"] - 0.05
    assert dropped["gfd"] > 3 * real["gfd"]
    assert dropped["gkd"] > 10 * abs(real["gkd"])


@pytest.mark.parametrize("fault", ["blur", "noise"])
def test_blur_and_noise_are_far_in_spectrum_and_features(figures, fault):
    real, worse = values(figures, "real"), values(figures, fault)
    assert worse["spectrum"] > 3 * real["spectrum"]
    assert worse["gfd"] > 1.5 * real["gfd"]


def test_one_repeated_image_is_precise_and_nothing_else(figures):
    one = values(figures, "one")
    assert one["precision"] == 1
    assert one["recall"] == 0
    assert one["coverage"] < 0.05
    assert one["density"] != pytest.approx(1, abs=0.2)
    assert one["nearest"] == 0
    assert one["gfd"] > 20 * values(figures, "real")["gfd"]
