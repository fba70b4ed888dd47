import math

import numpy as np
import pytest
import torch
from scipy import stats

from wavekit_core.bands.accumulators import Blocks, Histogram, Moments, Neighbours, Spectrum

GENERATOR = torch.Generator().manual_seed(3)
FIELD = (
    torch.rand(50, 2, 6, 8, generator=GENERATOR, dtype=torch.float64) ** 3 + torch.tensor([5.0, -100.0])[:, None, None]
)


def batched(accumulator, field=FIELD):
    for part in field.split([1, 20, 7, len(field) - 28]):
        accumulator.add(part)
    return accumulator


def test_moments_do_not_depend_on_the_batches_and_are_those_of_scipy():
    moments = batched(Moments(2))
    channels = FIELD.transpose(0, 1).flatten(1).numpy()
    np.testing.assert_allclose(moments.mean, channels.mean(1), rtol=1e-13)
    assert moments.variance == pytest.approx(channels.var(1).mean(), rel=1e-10)
    centred = channels - channels.mean(1, keepdims=True)
    assert moments.kurtosis == pytest.approx((centred**4).mean() / channels.var(1).mean() ** 2, rel=1e-9)
    one = batched(Moments(1), FIELD[:, :1])
    assert one.kurtosis == pytest.approx(stats.kurtosis(channels[0], fisher=False), rel=1e-9)
    assert float(one.m3) / one.count / one.variance**1.5 == pytest.approx(stats.skew(channels[0]), rel=1e-9)


def test_the_spectrum_is_the_variance_along_the_fourier_basis():
    spectrum = batched(Spectrum()).variances
    white = torch.fft.fft2(FIELD, norm="ortho")
    expected = (white - white.mean(0)).abs().square().mean((0, 1))
    torch.testing.assert_close(spectrum, expected, rtol=1e-9, atol=1e-9)


def test_neighbours_are_correlated_as_numpy_says():
    pairs = [(FIELD[..., 1:, :], FIELD[..., :-1, :]), (FIELD[..., 1:], FIELD[..., :-1])]
    one, other = (np.concatenate([pair[i].flatten().numpy() for pair in pairs]) for i in (0, 1))
    assert batched(Neighbours()).correlation == pytest.approx(np.corrcoef(one, other)[0, 1], rel=1e-9)
    assert batched(Neighbours(), FIELD[..., :1, :1]).correlation is None
    assert batched(Neighbours(), torch.full_like(FIELD, 0.25)).correlation is None


def test_blocks_have_the_covariance_of_numpy_within_each_channel():
    blocks = batched(Blocks(2))
    mean, covariance = blocks.moments()
    expected_mean, expected = np.zeros(4), np.zeros((4, 4))
    for c in range(2):
        cut = [FIELD[:, c, y : y + 2, x : x + 2].flatten(1) for y in range(0, 6, 2) for x in range(0, 8, 2)]
        rows = torch.cat(cut).numpy()
        expected += np.cov(rows.T, bias=True) / 2
        expected_mean += (rows.mean(0) - rows.mean()) / 2
    np.testing.assert_allclose(covariance, expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-9)
    assert blocks.count == 50 * 2 * 12


def test_what_is_smaller_than_a_block_has_none():
    assert batched(Blocks(7)).count == 0


def test_laplacian_coefficients_are_sparse_as_their_distribution_says():
    b, n = 0.05, 20_000
    p = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    values = torch.where(p < 0.5, (2 * p).log(), -(2 - 2 * p).log()) * b
    thresholds = torch.tensor([0.01, 0.05, 0.2], dtype=torch.float64)
    mixed = values.reshape(100, 1, 10, 20)[torch.randperm(100, generator=GENERATOR)]
    histogram = batched(Histogram(1 / 255, 1, thresholds), mixed)
    expected = [1 - math.exp(-float(t) / b) for t in thresholds]
    assert histogram.shares == pytest.approx(expected, abs=2 / n)
    assert int(histogram.counts.sum()) == n


def test_bins_are_counted_at_their_places_however_they_come():
    values = torch.tensor([3.0, -2.0, 0.25, 7.5, 0.0, -2.25]).double().reshape(6, 1, 1, 1)
    histogram = Histogram(1.0, 0, torch.tensor([2.0]))
    for one in values:
        histogram.add(one[None])
    found = {histogram.first + i: int(n) for i, n in enumerate(histogram.counts) if n}
    assert found == {-2: 2, 0: 2, 3: 1, 8: 1}
    assert histogram.shares == [0.5]


def test_every_bin_holds_equally_many_of_haars_values():
    values = torch.arange(-512, 512).double().reshape(1, 1, 32, 32) / (4 * 255)  # of level 2: quarters of a grey step
    histogram = Histogram(1 / 255, 2, torch.tensor([1.0]))
    histogram.add(values)
    assert set(histogram.counts[histogram.counts > 0].tolist()) == {4}
