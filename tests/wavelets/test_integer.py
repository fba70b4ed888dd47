"""Reversible transforms: the same numbers as the formulas, and nothing lost at any size."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from wavekit_bior import Bior
from wavekit_haar import Haar

from wavekit_core.errors import SpaceError
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import FilterBank, analysis
from wavekit_core.wavelets.integer import integer_analysis, integer_synthesis

HAAR, CDF53 = FilterBank.from_pywt("haar"), FilterBank.from_pywt("bior2.2")


def pixels(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def formulas(x: list[int], haar: bool) -> tuple[list[int], list[int]]:
    """One axis, sample by sample, as the papers write it."""
    n = len(x)
    if haar:
        low = [(x[i] + x[i + 1]) // 2 for i in range(0, n - 1, 2)] + ([x[-1]] if n % 2 else [])
        return low, [x[i] - x[i + 1] for i in range(0, n - 1, 2)]

    def mirrored(values, k):
        k = abs(k)
        return values.get(k if k < n else 2 * (n - 1) - k, 0)

    samples = dict(enumerate(x))
    odd = {k: x[k] - (mirrored(samples, k - 1) + mirrored(samples, k + 1)) // 2 for k in range(1, n, 2)}
    even = [x[k] + (mirrored(odd, k - 1) + mirrored(odd, k + 1) + 2) // 4 for k in range(0, n, 2)]
    return even, [-d for d in odd.values()]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.booleans(), st.integers(1, 12), st.integers(1, 12))
def test_equals_the_formulas_columns_first(haar, height, width):
    x = pixels(height, width).int()
    columns = [formulas(column, haar) for column in x.T.tolist()]
    bands = {}
    for name, rows in (("low", [c[0] for c in columns]), ("high", [c[1] for c in columns])):
        halves = [formulas(row, haar) for row in torch.tensor(rows).reshape(width, -1).T.tolist()]
        bands[name] = [h[0] for h in halves], [h[1] for h in halves]
    approx, (details,) = integer_analysis(x, HAAR if haar else CDF53)
    cH, cV, cD = details
    half, across = height // 2, width // 2
    assert approx.tolist() == bands["low"][0]
    assert cV[:, :across].tolist() == bands["low"][1]
    assert cH[:half].tolist() == bands["high"][0]
    assert cD[:half, :across].tolist() == bands["high"][1]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.booleans(), st.integers(1, 65), st.integers(1, 65), st.integers(1, 5))
def test_nothing_is_lost(haar, height, width, levels):
    bank, x = (HAAR if haar else CDF53), pixels(2, 3, height, width)
    approx, details = integer_analysis(x, bank, levels)
    assert torch.equal(integer_synthesis(approx, details, bank, (height, width)), x.short())


@pytest.mark.parametrize("bank", [HAAR, CDF53], ids=["haar", "5/3"])
def test_is_the_linear_transform_but_for_rounding(bank):
    x = pixels(1, 32, 32)
    whole, wanted = integer_analysis(x.int(), bank), analysis(x.double(), bank, "whole-symmetric")
    scale = 2.0  # of low times low; details of 5/3 carry 1/2 and 1, and Haar's are whole differences
    assert (whole[0] - wanted[0] / scale).abs().max() < 1.5
    factors = torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64) if bank is HAAR else torch.tensor([1.0, 1.0, 2.0])
    assert (whole[1][0] - wanted[1][0] * factors[:, None, None]).abs().max() < 3


@pytest.mark.parametrize(
    "transform",
    [Haar(levels=3, norm="integer"), Bior(wavelet="bior2.2", levels=2, mode="whole-symmetric", norm="integer")],
)
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_a_recipe_s_transform_gives_images_of_eight_bits_back(transform, low, high):
    space = transform.target(ImageSpace(3, 24, 16, low, high))
    x = pixels(4, 3, 24, 16) / 255 * (high - low) + low
    pyramid = transform(x)
    assert space.holds(pyramid, 4)
    assert all(torch.equal(band, band.round()) for band in pyramid.bands().values())
    back = transform.inverse(pyramid)
    assert torch.equal(((back - low) * 255 / (high - low)).round().byte(), pixels(4, 3, 24, 16))


def test_what_is_refused():
    with pytest.raises(SpaceError, match=r"bior4\.4 has no reversible transform"):
        Bior(norm="integer").target(ImageSpace(1, 8, 8))
    with pytest.raises(SpaceError, match="that of JPEG 2000, and the mode is periodization"):
        Bior(wavelet="bior2.2", norm="integer").target(ImageSpace(1, 8, 8))
    with pytest.raises(SpaceError, match="set mode: whole-symmetric"):
        Haar(norm="integer", mode="zero").target(ImageSpace(1, 7, 8))
    with pytest.raises(TypeError, match="float32"):
        integer_analysis(torch.ones(4, 4), HAAR)
    with pytest.raises(ValueError, match="db2 has no reversible"):
        integer_analysis(pixels(4, 4), FilterBank.from_pywt("db2"))
    with pytest.raises(ValueError, match="not those of an image of 9×4"):
        integer_synthesis(*integer_analysis(pixels(8, 4), HAAR), HAAR, (9, 4))
