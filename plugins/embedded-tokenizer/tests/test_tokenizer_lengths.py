"""The lengths that S3 prints, on the real sets (28×28, two pixels of 0 on every side, four levels, periodization)."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import pywt
import torch
from wavekit_embedded_tokenizer import EmbeddedTokenizer
from wavekit_embedded_tokenizer.language import END

from wavekit_core.data.idx import FashionMnist, Mnist
from wavekit_core.pyramid import Pyramid
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import FilterBank, WaveletTransform

SETS = {"mnist": Mnist, "fashion": FashionMnist}
PART = 5_000  # images at a time


@cache
def pixels(name, split):
    beside = Path(__file__).parents[4] / "shared" / "data"
    root = os.environ.get("WAVEKIT_DATA_ROOT") or (str(beside) if beside.is_dir() else None)
    if root is None:
        pytest.skip("no real data: WAVEKIT_DATA_ROOT is not set and there is no ../shared/data")
    raw = np.asarray(getattr(SETS[name](root=root), split).pixels).reshape(-1, 28, 28)
    return np.pad(raw, ((0, 0), (2, 2), (2, 2)))


def space(wavelet):
    return WaveletTransform(FilterBank.from_pywt(wavelet), levels=4).target(ImageSpace(1, 32, 32))


def by_pywavelets(raw, wavelet, of=None):
    """Their filters, in float64, on pixels in [0, 1] (or on the pixels themselves, divided by `of` afterwards)."""
    given = raw.astype(np.float64) / (1 if of else 255)
    approx, *details = pywt.wavedec2(given, wavelet, mode="periodization", level=4)
    bands = [torch.from_numpy(approx)[:, None], *(torch.from_numpy(np.stack(level, 1))[:, None] for level in details)]
    return Pyramid(bands[0] / (of or 1), tuple(band / (of or 1) for band in bands[1:]), space(wavelet))


def exactly(raw):
    """Haar in exact arithmetic: whole sums, a multiple of 1 / 255 of a power of two, and rounded once, at the end."""
    low, details = raw.astype(np.int64), []
    for level in range(1, 5):
        a, b, c, d = low[:, ::2, ::2], low[:, ::2, 1::2], low[:, 1::2, ::2], low[:, 1::2, 1::2]
        low = a + b + c + d
        level_bands = np.stack([a + b - c - d, a - b + c - d, a - b - c + d], 1)
        details.insert(0, torch.from_numpy(level_bands / 2**level / 255)[:, None])
    return Pyramid(torch.from_numpy(low / 16 / 255)[:, None], tuple(details), space("haar"))


def lengths(tokenizer, raw, coefficients):
    """Without the token for T0, which S3 gives to its model as an input."""
    parts = [tokenizer(coefficients(raw[i : i + PART])) for i in range(0, len(raw), PART)]
    return torch.cat([(part != END).sum(1) for part in parts]) - 1


def fashion(raw):
    return by_pywavelets(raw, "bior4.4")


def mnist(raw):
    return by_pywavelets(raw, "haar")


def test_fashion_mnist_from_16_on_is_1822_tokens_on_the_average():
    found = lengths(EmbeddedTokenizer(1 / 16, threshold=16.0), pixels("fashion", "held_out"), fashion)
    assert found.double().mean() == pytest.approx(1822.47, abs=0.005)
    assert found.max() == 3162


def test_fashion_mnist_with_thresholds_of_its_own_is_at_most_3098_tokens_long():
    assert lengths(EmbeddedTokenizer(1 / 16), pixels("fashion", "held_out"), fashion).max() == 3098


def test_zero_trees_on_fashion_mnist_are_1600_tokens_on_the_average():
    tokenizer = EmbeddedTokenizer(1 / 16, threshold=16.0, groups="zerotree")
    found = lengths(tokenizer, pixels("fashion", "held_out"), fashion)
    assert found.double().mean() == pytest.approx(1600.066, abs=0.001)


def test_mnist_s_test_images_are_at_most_1721_tokens_long():
    assert lengths(EmbeddedTokenizer(), pixels("mnist", "held_out"), mnist).max() == 1721


def test_the_first_plane_that_the_paper_prints_is_that_of_mnist_s_training_image_3495():
    tokenizer = EmbeddedTokenizer()
    tokens = tokenizer(mnist(pixels("mnist", "train")[3495:3496]))[0]
    plane = "00+000-0GG" + "000-GGG"
    expected = [{"0": 4, "+": 3, "-": 2, "G": 1}[word] for word in plane]
    assert tokens[1 : 1 + len(expected)].tolist() == expected
    assert tokens[1 + len(expected)] == 0


def test_ties_at_saturated_pixels_are_why_rounding_decides_the_longest_length():
    """Blocks of white and black have coefficients that are powers of two: PyWavelets' filters, rounded 1 / √2, miss some by
    1e-16 from below, and what is exactly T is found one plane later, with one token less."""
    raw = pixels("mnist", "held_out")[:1000]
    ours, theirs = (torch.cat([b.flatten(1) for b in one(raw).bands().values()], 1).abs() for one in (exactly, mnist))
    tied = (ours == 1.0) & (theirs < 1.0)
    assert tied.any()
    assert float((ours - theirs)[tied].max()) < 1e-14


@pytest.mark.long
def test_the_longest_sequences_of_all_70_000_images_are_those_published():
    tokenizer = EmbeddedTokenizer(1 / 16)
    train, test = (lengths(tokenizer, pixels("fashion", split), fashion) for split in ("train", "held_out"))
    assert (int(train.max()), int(test.max())) == (3086, 3098)
    assert torch.cat([train, test]).double().mean() == pytest.approx(1723.9, abs=0.05)
    train, test = (lengths(EmbeddedTokenizer(), pixels("mnist", split), mnist) for split in ("train", "held_out"))
    assert (int(train.max()), int(test.max())) == (1742, 1721)
    assert torch.cat([train, test]).double().mean() == pytest.approx(1200.55, abs=0.005)


@pytest.mark.long
def test_in_exact_arithmetic_the_longest_of_mnist_is_1745():
    assert lengths(EmbeddedTokenizer(), pixels("mnist", "train"), exactly).max() == 1745
