import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from wavekit_core.metrics.frechet import frechet_distance


def with_moments(rng, mean, covariance, count=60):
    """A set whose mean and covariance are exactly these."""
    x = rng.normal(size=(count, len(mean)))
    x = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False)).T)
    return x @ np.linalg.cholesky(covariance).T + mean


def test_diagonal_gaussians_have_a_closed_form():
    rng = np.random.default_rng(0)
    a = with_moments(rng, np.array([0.0, 1.0, 2.0]), np.diag([1.0, 4.0, 9.0]))
    b = with_moments(rng, np.array([3.0, 1.0, 6.0]), np.diag([4.0, 4.0, 1.0]))
    assert frechet_distance(a, b) == pytest.approx(9 + 16 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2)


def test_general_gaussians_agree_with_scipys_root():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 80, 6)) @ rng.normal(size=(2, 6, 6)) + rng.normal(size=(2, 1, 6))
    root = sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_equal_sets_and_singular_covariances():
    rng = np.random.default_rng(2)
    few = rng.normal(size=(5, 64)).astype(np.float32)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-4)
    still = np.zeros((9, 64))
    expected = np.trace(np.cov(few.astype(float), rowvar=False)) + np.sum(few.astype(float).mean(0) ** 2)
    assert frechet_distance(still, few) == pytest.approx(expected)
    assert frechet_distance(np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]])) == pytest.approx(1)


def test_one_image_has_no_covariance():
    with pytest.raises(ValueError, match="needs two"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))


class Pooled(nn.Module):
    """Means over quarters of an 8-bit image, as features."""

    num_features = 12

    def forward(self, images):
        return nn.functional.adaptive_avg_pool2d(images.double() / 255, 2).flatten(1)


def test_it_is_torchmetrics_frechet_inception_distance_of_the_same_features():
    a, b = torch.randint(0, 256, (2, 200, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    b //= 2
    theirs = FrechetInceptionDistance(feature=Pooled(), normalize=False, input_img_size=(3, 8, 8)).double()
    theirs.update(a, real=True)
    theirs.update(b, real=False)
    expected = float(theirs.compute())
    assert frechet_distance(Pooled()(b).numpy(), Pooled()(a).numpy()) == pytest.approx(expected, rel=1e-6)
