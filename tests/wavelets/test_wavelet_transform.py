"""Several levels: pyramids, their spaces and what is refused."""

from typing import Literal

import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wavekit_core.component import signature_of
from wavekit_core.errors import SpaceError
from wavekit_core.spaces import ImageSpace, LatentSpace
from wavekit_core.wavelets import MODES, FilterBank, Levels, Mode, Norm, WaveletTransform


class Daubechies(WaveletTransform):
    """A family as a third party writes it."""

    def __init__(
        self, order: Literal[1, 2, 3] = 2, levels: Levels = 1, mode: Mode = "periodization", norm: Norm = "ortho"
    ) -> None:
        super().__init__(FilterBank.from_pywt(f"db{order}"), levels, mode, norm)


def transform(wavelet: str, levels: int = 1, mode: Mode = "periodization", norm: Norm = "ortho") -> WaveletTransform:
    return WaveletTransform(FilterBank.from_pywt(wavelet), levels, mode, norm)


def draw(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.sampled_from(["haar", "db3", "bior2.2", "bior4.4", "rbio3.3"]),
    st.sampled_from([mode for mode in MODES if mode != "whole-symmetric"]),
    st.integers(2, 65),
    st.integers(2, 65),
    st.integers(1, 5),
)
@pytest.mark.filterwarnings("ignore:Level value")
def test_equals_wavedec2_and_keeps_the_size(wavelet, mode, height, width, levels):
    space = ImageSpace(2, height, width)
    try:
        pyramid_space = transform(wavelet, levels, mode).target(space)
    except SpaceError as error:
        levels = int(str(error).rpartition("levels: ")[2])
        pyramid_space = transform(wavelet, levels, mode).target(space)
    w, x = transform(wavelet, levels, mode), draw(3, 2, height, width)
    pyramid = w(x)
    approx, *details = pywt.wavedec2(x.numpy(), wavelet, mode, levels)
    scale = max(1.0, float(abs(approx).max()))
    torch.testing.assert_close(pyramid.approx, torch.from_numpy(approx), rtol=0, atol=1e-12 * scale)
    for found, wanted in zip(pyramid.details, details, strict=True):
        for i, band in enumerate(wanted):
            torch.testing.assert_close(found[:, :, i], torch.from_numpy(band), rtol=0, atol=1e-12 * scale)
    # PyWavelets' tables are rounded: bior4.4 reconstructs to 2e-12
    torch.testing.assert_close(w.inverse(pyramid), x, rtol=0, atol=1e-11 * scale)
    single = w(x.float())
    torch.testing.assert_close(single.approx.double(), pyramid.approx, rtol=0, atol=4e-6 * scale)
    assert pyramid.space == pyramid_space
    assert {n: tuple(b.shape[1:]) for n, b in pyramid.bands().items()} == pyramid_space.band_shapes


def test_whole_symmetric_has_no_coefficient_too_many():
    for wavelet, shape in (("haar", (13, 9)), ("bior2.2", (13, 10)), ("bior4.4", (7, 21))):
        for norm in ("ortho", "whiten", "unit-range"):
            w, x = transform(wavelet, 3, "whole-symmetric", norm), draw(2, 3, *shape)
            space = w.target(ImageSpace(3, *shape))
            w.fit([x])
            w.double()
            pyramid = w(x)
            assert space.numbers == 3 * shape[0] * shape[1]
            assert pyramid.mallat().shape == x.shape
            again = space.unflatten(space.flatten(pyramid))
            assert all(torch.equal(a, b) for a, b in zip(again.details, pyramid.details, strict=True))
            torch.testing.assert_close(w.inverse(again), x, rtol=0, atol=1e-10)
    with pytest.raises(SpaceError, match="symmetric filters of odd length, or Haar's, and db2 has others"):
        transform("db2", 1, "whole-symmetric").target(ImageSpace(1, 8, 8))


def test_mallat_is_pywavelets_layout():
    x = draw(16, 24)
    wanted, _ = pywt.coeffs_to_array(pywt.wavedec2(x.numpy(), "haar", "periodization", 3))
    torch.testing.assert_close(transform("haar", 3)(x).mallat(), torch.from_numpy(wanted), rtol=0, atol=1e-12)


def test_vectors_of_the_space_are_pyramids():
    w = transform("bior4.4", 2, "symmetric")
    x, space = draw(4, 3, 11, 14), w.target(ImageSpace(3, 11, 14))
    vectors = space.flatten(w(x))
    assert vectors.shape == (4, space.numbers)
    torch.testing.assert_close(w.inverse(space.unflatten(vectors)), x, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("wavelet", "mode", "size", "expected"),
    [
        ("haar", "periodization", (8, 12), True),
        ("haar", "symmetric", (8, 12), True),
        ("db3", "periodization", (4, 12), True),
        ("db3", "symmetric", (8, 12), False),
        ("haar", "periodization", (6, 8), False),  # the second level halves 3
        ("bior4.4", "periodization", (8, 12), False),
    ],
)
def test_orthonormal_says_whether_energy_is_kept(wavelet, mode, size, expected):
    w, x = transform(wavelet, 2, mode), draw(1, 1, *size)
    pyramid = w(x)
    energy = sum(band.square().sum() for band in pyramid.bands().values())
    assert pyramid.space.orthonormal is expected
    assert bool(torch.isclose(energy, x.square().sum(), rtol=1e-9)) is expected


def test_too_many_levels_are_refused_with_the_remedy():
    with pytest.raises(SpaceError, match=r"haar with levels: 4 .* 8×8: at most 3 levels; set levels: 3") as caught:
        transform("haar", 4).target(ImageSpace(1, 8, 8))
    assert caught.value.at == "levels"
    with pytest.raises(SpaceError, match="at least 2×2"):
        transform("haar").target(ImageSpace(1, 8, 1))
    with pytest.raises(SpaceError, match="8×8"):
        transform("haar", 4)(draw(8, 8))
    assert transform("haar", 3).target(ImageSpace(1, 8, 8)).sizes == ((1, 1), (2, 2), (4, 4))


def test_only_images_are_taken():
    with pytest.raises(SpaceError, match="haar takes images"):
        transform("haar").target(LatentSpace(()))
    with pytest.raises(SpaceError, match="pyramid haar"):
        transform("haar").target(transform("haar").target(ImageSpace(1, 8, 8)))


def test_a_family_is_its_signature():
    assert set(signature_of(Daubechies).keys) == {"order", "levels", "mode", "norm"}
    w, x = Daubechies(order=3, levels=2), draw(2, 3, 9, 8)
    torch.testing.assert_close(w.inverse(w(x)), x, rtol=0, atol=1e-12)
    for wrong in ({"order": 4}, {"levels": 0}, {"levels": True}, {"mode": "smooth"}, {"norm": "none"}):
        with pytest.raises(ValidationError):
            Daubechies(**wrong)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64])
@pytest.mark.parametrize("norm", ["ortho", "mean", "unit-range"])
def test_the_dtype_is_kept(dtype, norm):
    w, x = transform("bior2.2", 2, norm=norm), draw(2, 3, 10, 12).to(dtype)
    pyramid = w(x)
    assert {band.dtype for band in pyramid.bands().values()} == {dtype}
    assert w.inverse(pyramid).dtype == dtype
    torch.testing.assert_close(w.inverse(pyramid), x, rtol=0, atol=0.1 if dtype.itemsize == 2 else 1e-5)


def test_gradients_pass_through_all_levels_and_vmap():
    w, x = transform("bior4.4", 2, "reflect"), draw(3, 2, 9, 10)

    def energy(image: torch.Tensor) -> torch.Tensor:
        return w(image).details[0].square().sum() + w.inverse(w(image).map(torch.tanh)).sum()

    tracked = x.clone().requires_grad_()
    energy(tracked).backward()
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(energy))(x), tracked.grad)


def test_meta_and_empty_batches_have_shapes():
    w = transform("db2", 2, "zero", "unit-range")
    pyramid = w(torch.empty(2, 3, 9, 10, device="meta"))
    assert pyramid.approx.is_meta
    assert w.inverse(pyramid).shape == (2, 3, 9, 10)
    assert w.inverse(w(draw(0, 3, 9, 10))).shape == (0, 3, 9, 10)
