"""Spaces: sizes without data."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from wavekit_haar import Haar

from wavekit_core.errors import SpaceError
from wavekit_core.pyramid import Pyramid, PyramidSpace
from wavekit_core.spaces import Band, ImageSpace, LatentSpace, Space

images = st.builds(ImageSpace, st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
pyramids = st.builds(
    lambda image, sizes: PyramidSpace(image, "any", "any", "ortho", tuple(sizes)),
    images,
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=4),
)


@settings(max_examples=50, deadline=None)
@given(images, st.integers(0, 3))
def test_images_flatten_and_back(space, count):
    vectors = torch.arange(float(count * space.numbers)).reshape(count, space.numbers)
    made = space.unflatten(vectors)
    assert made.shape == (count, space.channels, space.height, space.width)
    assert torch.equal(space.flatten(made), vectors)
    assert space.zeros(count).shape == made.shape


@settings(max_examples=50, deadline=None)
@given(pyramids, st.integers(0, 3))
def test_pyramids_flatten_and_back(space, count):
    vectors = torch.arange(float(count * space.numbers)).reshape(count, space.numbers)
    made = space.unflatten(vectors)
    assert {name: tuple(band.shape[1:]) for name, band in made.bands().items()} == space.band_shapes
    assert list(made.bands()) == list(space.band_shapes)
    assert [d.shape for d in made.details] == [(count, space.channels, 3, *size) for size in space.sizes]
    assert torch.equal(space.flatten(made), vectors)
    again = Pyramid.from_bands(made.bands(), space)
    assert torch.equal(again.approx, made.approx)
    assert all(torch.equal(a, b) for a, b in zip(again.details, made.details, strict=True))
    assert made.space is space


def test_bands_are_named_coarse_to_fine_and_vectors_begin_with_the_approximation():
    space = Haar(levels=2).target(ImageSpace(3, 8, 12))
    assert list(space.band_shapes) == ["cA2", "cH2", "cV2", "cD2", "cH1", "cV1", "cD1"]
    assert space.band_shapes["cA2"] == (3, 2, 3)
    assert space.band_shapes["cD1"] == (3, 4, 6)
    assert (space.levels, space.channels, space.numbers) == (2, 3, 3 * 8 * 12)
    pyramid = Haar(levels=2)(torch.rand(5, 3, 8, 12))
    vectors = space.flatten(pyramid)
    assert torch.equal(vectors[:, :18], pyramid.approx.flatten(1))
    assert torch.equal(vectors[:, -72:], pyramid.details[1][:, :, 2].flatten(1))


def test_zeros_are_where_they_are_asked_for():
    space = Haar(levels=1).target(ImageSpace(1, 4, 4))
    assert space.zeros(3, "meta").approx.is_meta
    assert space.image.zeros(3, "meta").is_meta
    assert space.zeros(3).details[0].shape == (3, 1, 3, 2, 2)


def test_latent_bands_by_role():
    bands = (
        Band("z", (5,), "code"),
        Band("cA1", (1, 2, 2), "approx", drawn=False),
        Band("cH1", (1, 2, 2), "detail", drawn=False),
        Band("cV1", (1, 2, 3), "detail"),
    )
    space = LatentSpace(bands)
    assert space.names() == ["z", "cA1", "cH1", "cV1"]
    assert space.names("detail") == ["cH1", "cV1"]
    assert space.names("detail", drawn=True) == ["cV1"]
    assert space.names("code", "approx") == ["z", "cA1"]
    assert space.names(drawn=False) == ["cA1", "cH1"]
    assert space.numbers == 5 + 6
    assert "cA1 1×2×2 (follows)" in str(space)
    assert "z 5" in str(space)


def test_spaces_are_values():
    assert ImageSpace(1, 8, 8) == ImageSpace(1, 8, 8)
    assert ImageSpace(1, 8, 8) != ImageSpace(1, 8, 8, low=-1)
    assert len({ImageSpace(1, 8, 8), ImageSpace(1, 8, 8), Haar().target(ImageSpace(1, 8, 8))}) == 2
    assert str(ImageSpace(3, 8, 12, -1, 1)) == "images 3×8×12 in [-1, 1]"
    assert "2 levels" in str(Haar(levels=2).target(ImageSpace(1, 8, 8)))
    with pytest.raises(TypeError, match="Space does not say"):
        Space().numbers  # noqa: B018


def test_space_errors_give_reason_and_remedy():
    error = SpaceError(None, "too small", "use less")
    assert str(error) == "too small; use less"
    assert str(SpaceError(None, "too small")) == "too small"
    assert error.exit_code == 2
