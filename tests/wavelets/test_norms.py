"""The four normalisations: invertible, and of the ranges that they promise."""

import copy

import pytest
import torch

from wavekit_core.errors import DataError, SpaceError, WavekitError
from wavekit_core.pyramid import Pyramid
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import MODES, FilterBank, Mode, Norm, WaveletTransform
from wavekit_core.wavelets.ranges import largest_coefficients

SPACE = ImageSpace(3, 12, 15)


def transform(wavelet: str, levels: int = 2, mode: Mode = "periodization", norm: Norm = "whiten") -> WaveletTransform:
    return WaveletTransform(FilterBank.from_pywt(wavelet), levels, mode, norm)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def same(a: Pyramid, b: Pyramid, tolerance: float = 1e-12) -> bool:
    return all(torch.allclose(x, y, rtol=0, atol=tolerance) for x, y in zip(bands(a), bands(b), strict=True))


def bands(pyramid: Pyramid) -> list[torch.Tensor]:
    return list(pyramid.bands().values())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", ["ortho", "mean", "unit-range", "whiten"])
@pytest.mark.parametrize("shape", [(4, 3, 12, 15), (3, 12, 15), (12, 15), (2, 4, 3, 12, 15)])
def test_every_norm_inverts(norm, mode, shape):
    w, x = transform("bior4.4", 2, mode, norm), draw(*shape)
    w.fit([x])
    w.double()
    assert torch.allclose(w.inverse(w(x)), x, rtol=0, atol=1e-11)


def test_mean_is_the_mean_of_a_block():
    x = draw(2, 3, 8, 12)
    pyramid, native = transform("haar", 2, norm="mean")(x), transform("haar", 2, norm="ortho")(x)
    assert torch.allclose(pyramid.approx, torch.nn.functional.avg_pool2d(x, 4))
    assert torch.allclose(pyramid.details[0], native.details[0] / 4)
    assert torch.allclose(pyramid.details[1], native.details[1] / 2)


def test_unit_range_of_haar_is_known():
    bank = FilterBank.from_pywt("haar")
    approx, details = largest_coefficients(bank, "periodization", 3, (16, 24), 0.0, 1.0)
    assert approx == pytest.approx(8)
    assert [d == pytest.approx([v] * 3) for d, v in zip(details, (4, 2, 1), strict=True)] == [True] * 3
    approx, details = largest_coefficients(bank, "periodization", 2, (16, 16), -1.0, 1.0)
    assert (approx, *details[0], *details[1]) == pytest.approx((4, 4, 4, 4, 2, 2, 2))


def test_unit_range_of_bior44_at_32_pixels():
    bank = FilterBank.from_pywt("bior4.4")
    approx, details = largest_coefficients(bank, "periodization", 4, (32, 32), 0.0, 1.0)
    assert approx == pytest.approx(19.6, abs=0.05)
    assert [max(d) for d in details] == pytest.approx([10.26, 6.58, 3.50, 1.79], abs=0.005)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.25, 4.0)])
@pytest.mark.parametrize("wavelet", ["db2", "bior2.2"])
def test_unit_range_is_attained_and_never_left(wavelet, mode, low, high):
    if mode == "whole-symmetric" and wavelet == "db2":
        pytest.skip("for symmetric filters")
    w, image = transform(wavelet, 2, mode, "unit-range"), ImageSpace(1, 6, 9, low, high)
    w.target(image)
    origin = torch.zeros(image.shape, dtype=torch.float64)
    for name in w(origin).bands():
        # a row of the Jacobian holds the weights of a coefficient; its extreme images are high or low by their sign
        weights = torch.func.jacrev(lambda x, name=name: w(x).bands()[name])(origin).reshape(-1, *image.shape)
        positive = weights.relu().sum((-3, -2, -1)), -(-weights).relu().sum((-3, -2, -1))
        largest = torch.maximum(
            (high * positive[0] + low * positive[1]).abs(), (low * positive[0] + high * positive[1]).abs()
        )
        assert float(largest.max()) == pytest.approx(1, abs=1e-9)


def test_unit_range_takes_zero_to_one_until_a_space_is_known():
    w, x = transform("haar", 1, norm="unit-range"), draw(1, 4, 4)
    assert float(w(torch.ones_like(x)).approx.max()) == pytest.approx(1)
    w.target(ImageSpace(1, 4, 4, -2.0, 2.0))
    assert float(w(torch.ones_like(x)).approx.max()) == pytest.approx(0.5)
    assert w(x).space.image.low == -2


def test_whiten_gives_mean_zero_and_deviation_one_over_all_batches():
    w, x = transform("bior2.2", 3, "symmetric"), draw(20, 3, 12, 15) * 5 + 100
    x[:, 1] *= 3
    w.target(SPACE)
    w.double()
    w.fit([x[:3], x[:0], x[3:8], x[8:]])
    for band in bands(w(x)):
        assert torch.allclose(band.mean((0, 2, 3)), torch.zeros(3, dtype=torch.float64), atol=1e-9)
        assert torch.allclose(band.std((0, 2, 3), correction=0), torch.ones(3, dtype=torch.float64), atol=1e-9)


def test_whiten_leaves_a_band_that_does_not_vary():
    w, x = transform("haar", 1), draw(5, 1, 8, 8)[..., :1].expand(5, 1, 8, 8)
    w.fit([x])
    pyramid = w(x)
    assert all(torch.isfinite(band).all() for band in bands(pyramid))
    assert not pyramid.bands()["cV1"].any()


def test_whiten_needs_statistics():
    w, x = transform("haar"), draw(2, *SPACE.shape)
    with pytest.raises(WavekitError, match=r"no statistics yet; call fit\(batches\)"):
        w(x)
    w.target(SPACE)
    with pytest.raises(WavekitError, match="no statistics yet"):
        w(x)
    with pytest.raises(DataError, match="at least one batch"):
        w.fit([x[:0]])
    unfitted = transform("haar")
    unfitted.load_state_dict(w.state_dict())
    with pytest.raises(WavekitError, match="no statistics yet"):
        unfitted(x)


@pytest.mark.parametrize("space_first", [True, False])
def test_statistics_travel_with_the_state(space_first):
    w, x = transform("haar"), draw(4, *SPACE.shape)
    w.fit([x])
    other = transform("haar")
    if space_first:
        other.target(SPACE)
    other.load_state_dict(w.state_dict())
    assert same(other(x), w(x))
    assert same(copy.deepcopy(w)(x), w(x))
    other.target(SPACE)
    assert same(other(x), w(x))


def test_statistics_can_be_copied_into_the_buffers():
    w, x = transform("haar"), draw(4, *SPACE.shape)
    w.fit([x])
    other = transform("haar")
    other.target(SPACE)
    for mine, theirs in zip(other.buffers(), w.buffers(), strict=True):
        mine.copy_(theirs)
    assert same(other(x), w(x))


def test_the_state_has_its_sizes_when_the_space_is_known():
    w = transform("haar", 3)
    with torch.device("meta"):
        w.target(SPACE)
    shapes = {name.rpartition(".")[2]: tuple(b.shape) for name, b in w.state_dict().items()}
    assert shapes == {
        "approx_mean": (3, 1, 1),
        "approx_std": (3, 1, 1),
        "details_mean": (3, 3, 3, 1, 1),
        "details_std": (3, 3, 3, 1, 1),
    }
    assert w(torch.empty(2, *SPACE.shape, device="meta")).approx.is_meta


def test_whiten_keeps_half_precision():
    w, x = transform("haar"), draw(4, *SPACE.shape)
    w.fit([x])
    pyramid = w(x.half())
    assert {band.dtype for band in bands(pyramid)} == {torch.float16}
    assert w.inverse(pyramid).dtype == torch.float16


def test_a_fitted_transform_is_for_its_channels():
    w = transform("haar")
    w.fit([draw(4, *SPACE.shape)])
    with pytest.raises(SpaceError, match="fitted to 3 channels and the images have 1"):
        w.target(ImageSpace(1, 12, 15))
    with pytest.raises(WavekitError, match="3 channels"):
        w(draw(2, 1, 12, 15))


def test_the_other_norms_fit_nothing():
    def never():
        raise AssertionError("read the data")
        yield

    for norm in ("ortho", "mean", "unit-range"):
        w = transform("haar", norm=norm)
        w.fit(never())
        assert not w.state_dict()
