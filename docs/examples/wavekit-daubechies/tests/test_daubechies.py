"""The laws of a transform, and what makes a wavelet Daubechies'."""

import math

import numpy as np
import pytest
import torch
from wavekit_core.testing import transform_suite
from wavekit_daubechies import Daubechies, taps

test_laws = transform_suite(Daubechies, {"order": 1}, {"order": 4, "levels": 3}, {"order": 3, "mode": "symmetric"})
ORDERS = range(1, 17)


def test_order_2_is_daubechies_closed_form():
    root = math.sqrt(3)
    expected = np.array([1 + root, 3 + root, 3 - root, 1 - root]) / (4 * math.sqrt(2))
    np.testing.assert_allclose(taps(2), expected, atol=1e-15)


@pytest.mark.parametrize("order", ORDERS)
def test_taps_are_those_of_pywavelets(order):
    pywt = pytest.importorskip("pywt")
    np.testing.assert_allclose(taps(order), pywt.Wavelet(f"db{order}").rec_lo, atol=1e-13)


@pytest.mark.parametrize("order", ORDERS)
def test_taps_are_orthonormal_to_their_even_shifts(order):
    h = np.array(taps(order))
    inner = [h[2 * k :] @ h[: len(h) - 2 * k] for k in range(order)]
    np.testing.assert_allclose(inner, [1] + [0] * (order - 1), atol=1e-13)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_details_do_not_see_polynomials_below_the_order(order):
    x = torch.linspace(0, 1, 64, dtype=torch.float64)
    ramp = (x ** (order - 1)).expand(1, 1, 64, 64)
    vertical = Daubechies(order)(ramp).details[0][:, :, 1]  # high-pass along the width
    inside = vertical[..., order : 32 - order]  # away from the border
    assert inside.abs().max() < 1e-13
    assert Daubechies(order)(ramp * x).details[0][:, :, 1, :, order : 32 - order].abs().max() > 1e-6
