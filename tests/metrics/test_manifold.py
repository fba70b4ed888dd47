import numpy as np
import pytest
from prdc import compute_prdc

from wavekit_core.metrics import manifold
from wavekit_core.metrics.manifold import neighbourhoods


@pytest.mark.parametrize(("made", "real"), [(120, 120), (60, 200), (200, 60)])
@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("rows", [512, 50])
def test_the_four_agree_with_the_authors_package(made, real, k, rows, monkeypatch):
    monkeypatch.setattr(manifold, "ROWS", rows)
    rng = np.random.default_rng(made + k)
    a, b = rng.normal(size=(made, 4)) * 0.8 + 0.4, rng.normal(size=(real, 4))
    expected = compute_prdc(real_features=b, fake_features=a, nearest_k=k)
    assert neighbourhoods(a, b, k) == pytest.approx(expected, abs=1e-12)


def test_points_on_a_line_have_figures_by_hand():
    """Real 0, 1, 2, 10 with k = 1: radii 1, 1, 1, 8. Made 0.5 and 100: one in two balls, radii 99.5."""
    real, made = np.array([[0.0], [1.0], [2.0], [10.0]]), np.array([[0.5], [100.0]])
    assert neighbourhoods(made, real, 1) == {"precision": 0.5, "recall": 1.0, "density": 1.0, "coverage": 0.5}


def test_a_set_covers_itself_and_one_repeated_vector_almost_nothing():
    real = np.random.default_rng(0).normal(size=(100, 3))
    itself = neighbourhoods(real, real, 5)
    assert (itself["precision"], itself["recall"], itself["coverage"]) == (1, 1, 1)
    repeated = neighbourhoods(np.repeat(real[:1] + 0.001, 100, axis=0), real, 5)
    assert repeated["precision"] == 1
    assert repeated["recall"] == 0
    assert repeated["coverage"] < 0.2


def test_neighbours_need_other_images():
    with pytest.raises(ValueError, match="5 neighbours need more"):
        neighbourhoods(np.zeros((5, 2)), np.zeros((9, 2)), 5)
