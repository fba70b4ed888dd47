import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel
from torchmetrics.image.kid import poly_mmd

from wavekit_core.metrics import kernel
from wavekit_core.metrics.kernel import kernel_distance


@pytest.fixture
def clouds():
    a, b = np.random.default_rng(0).normal(size=(2, 150, 12))
    return a, 0.5 * b + 0.3


@pytest.mark.parametrize("rows", [1024, 7])
def test_equal_numbers_agree_with_torchmetrics(clouds, rows, monkeypatch):
    monkeypatch.setattr(kernel, "ROWS", rows)
    expected = float(poly_mmd(*map(torch.from_numpy, clouds), degree=3, gamma=None, coef=1.0))
    assert kernel_distance(*clouds) == pytest.approx(expected, rel=1e-6)


def test_other_numbers_agree_with_the_formula_on_scikit_learns_kernel(clouds):
    a, b = clouds[0][:40], clouds[1]
    kaa, kbb, kab = (polynomial_kernel(x, y, degree=3, gamma=1 / 12, coef0=1) for x, y in ((a, a), (b, b), (a, b)))
    expected = (kaa.sum() - np.trace(kaa)) / (40 * 39) + (kbb.sum() - np.trace(kbb)) / (150 * 149) - 2 * kab.mean()
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert kernel_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_it_is_unbiased_about_zero_at_any_number():
    rng = np.random.default_rng(1)
    for count in (4, 30):
        values = [kernel_distance(*rng.normal(size=(2, count, 3))) for _ in range(300)]
        assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(300)
        assert min(values) < 0 < max(values)


def test_one_image_is_too_few():
    with pytest.raises(ValueError, match="needs two"):
        kernel_distance(np.zeros((1, 3)), np.zeros((5, 3)))
