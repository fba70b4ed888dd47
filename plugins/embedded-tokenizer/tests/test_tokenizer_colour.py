"""Colour transforms."""

import numpy as np
import pytest
import torch
from PIL import Image
from wavekit_embedded_tokenizer import EmbeddedTokenizer
from wavekit_embedded_tokenizer.colour import YCbCr, rgb, ycocg

from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import FilterBank, WaveletTransform


def test_ycbcr_is_that_of_jpeg():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    theirs = np.asarray(Image.fromarray(pixels, "RGB").convert("YCbCr")).transpose(2, 0, 1) / 255
    ours = YCbCr()(torch.from_numpy(pixels.transpose(2, 0, 1) / 255)).numpy()
    # they round to 8 bits, and keep chroma around 128 / 255
    expected = ours + np.array([0, 0.5 / 255, 0.5 / 255])[:, None, None]
    assert np.abs(expected.clip(0, 1) - theirs).max() < 1.01 / 255


def test_ycbcr_stays_in_its_range():
    corners = torch.tensor([[r, g, b] for r in (0, 1) for g in (0, 1) for b in (0, 1)], dtype=torch.float64)
    made = YCbCr()(corners[:, :, None, None])
    assert made.min() >= -1e-12
    assert made.max() <= 1 + 1e-12
    assert YCbCr()(torch.full((3, 1, 1), 0.3)).flatten().tolist() == pytest.approx([0.3, 0.5, 0.5])


@pytest.mark.parametrize("make", [torch.from_numpy, np.asarray])
def test_ycocg_is_undone_exactly(make):
    levels = np.array([0, 1, 2, 127, 128, 254, 255], dtype=np.int16)
    colours = np.stack(np.meshgrid(levels, levels, levels), 0).reshape(3, 7, 49)
    made = ycocg(make(colours))
    assert (np.asarray(rgb(made)) == colours).all()
    low, high = np.asarray(made).min((1, 2)), np.asarray(made).max((1, 2))
    assert (low.tolist(), high.tolist()) == ([0, -255, -255], [255, 255, 255])


def test_colour_images_come_back_to_the_last_threshold():
    colour, wavelet = YCbCr(), WaveletTransform(FilterBank.from_pywt("haar"), levels=3)
    tokenizer = EmbeddedTokenizer(lowest=2.0**-8)
    tokenizer.target(wavelet.target(colour.target(ImageSpace(3, 32, 32))))
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    back = colour.inverse(wavelet.inverse(tokenizer.inverse(tokenizer(wavelet(colour(x))))))
    assert float((back - x).square().mean().sqrt()) < 2.0**-8
