"""Pyramids: names, order and the picture of one."""

import numpy as np
import pytest
import pywt
import torch
from wavekit_bior import Bior
from wavekit_haar import Haar

from wavekit_core.pyramid import Pyramid
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.filterwarnings("ignore:Level value")
@pytest.mark.parametrize(("transform", "name"), [(Haar(levels=3), "haar"), (Bior(levels=1), None)])
def test_the_mallat_picture_is_that_of_pywt(images, transform, name):
    pyramid = transform(images)
    expected = pywt.wavedec2(
        images.numpy(), name or transform.bank.name, mode="periodization", level=transform.levels, axes=(-2, -1)
    )
    picture, _ = pywt.coeffs_to_array(expected, axes=(-2, -1))
    np.testing.assert_allclose(pyramid.mallat().numpy(), picture, atol=1e-12)


@pytest.mark.parametrize("size", [(5, 7), (6, 9), (13, 4)])
def test_the_mallat_picture_of_odd_sizes_keeps_every_detail(size):
    image = torch.arange(float(size[0] * size[1])).reshape(1, 1, *size).square()
    pyramid = Haar(levels=2)(image)
    picture = pyramid.mallat()
    height, width = pyramid.details[-1].shape[-2:]
    assert picture.shape[-2:] == (2 * height, 2 * width)
    cA, cH, cV, cD = list(pyramid.bands().values())[:4]
    coarse = torch.cat([torch.cat([cA, cV], -1), torch.cat([cH, cD], -1)], -2)
    assert torch.equal(picture[..., :height, :width], coarse[..., :height, :width])
    assert torch.equal(picture[..., height:, :width], pyramid.bands()["cH1"])
    assert torch.equal(picture[..., :height, width:], pyramid.bands()["cV1"])
    assert torch.equal(picture[..., height:, width:], pyramid.bands()["cD1"])


def test_edges_answer_in_the_band_of_their_name():
    image = torch.zeros(1, 1, 8, 8)
    image[..., 3:, :] = 1  # a horizontal edge
    bands = Haar()(image).bands()
    assert bands["cH1"].abs().sum() > 1
    assert bands["cV1"].abs().sum() == bands["cD1"].abs().sum() == 0
    bands = Haar()(image.mT).bands()
    assert bands["cV1"].abs().sum() > 1
    assert bands["cH1"].abs().sum() == bands["cD1"].abs().sum() == 0


def test_bands_and_back_for_batches_and_plain_images(images):
    for x in (images, images[0], images[0, 0]):
        pyramid = Haar(levels=2)(x)
        assert list(pyramid.bands()) == ["cA2", "cH2", "cV2", "cD2", "cH1", "cV1", "cD1"]
        again = Pyramid.from_bands(dict(reversed(pyramid.bands().items())), pyramid.space)
        assert torch.equal(again.approx, pyramid.approx)
        assert all(torch.equal(a, b) for a, b in zip(again.details, pyramid.details, strict=True))


def test_from_bands_misses_no_band():
    space = Haar().target(ImageSpace(1, 4, 4))
    bands = space.zeros(2).bands()
    for name in bands:
        with pytest.raises(KeyError, match=name):
            Pyramid.from_bands({k: v for k, v in bands.items() if k != name}, space)


def test_map_reaches_every_number(images):
    pyramid = Haar(levels=2)(images)
    doubled = pyramid.map(lambda band: 2 * band)
    assert torch.equal(pyramid.space.flatten(doubled), 2 * pyramid.space.flatten(pyramid))
    assert (doubled.levels, doubled.space) == (2, pyramid.space)
