"""The tokenizer keeps the laws of tokenizers, and YCbCr those of transforms."""

import torch
from wavekit_embedded_tokenizer import EmbeddedTokenizer
from wavekit_embedded_tokenizer.colour import YCbCr

from wavekit_core.spaces import ImageSpace
from wavekit_core.testing import tokenizer_suite, transform_suite
from wavekit_core.wavelets import FilterBank, WaveletTransform


def space(wavelet, levels, *image, **norm):
    return WaveletTransform(FilterBank.from_pywt(wavelet), levels=levels, **norm).target(ImageSpace(*image))


test_laws = tokenizer_suite(
    EmbeddedTokenizer,
    {},
    {"refine": "eager", "threshold": "uniform", "order": "morton"},
    {"groups": "zerotree", "threshold": 4.0, "strict": False},
)
test_laws_in_colour = tokenizer_suite(EmbeddedTokenizer, {}, sources=[space("bior4.4", 2, 3, 16, 16)])
test_laws_of_whole_numbers = tokenizer_suite(
    EmbeddedTokenizer, {"lowest": 1.0}, sources=[space("haar", 2, 3, 16, 16, norm="integer")]
)
test_laws_of_ycbcr = transform_suite(YCbCr)


def test_the_device_of_a_batch_is_kept():
    tokenizer = EmbeddedTokenizer()
    source = space("haar", 2, 1, 16, 16)
    target = tokenizer.target(source)
    assert tokenizer(source.zeros(2, "meta")).is_meta
    assert tokenizer.inverse(target.zeros(2, "meta")).approx.is_meta
    if torch.cuda.is_available():
        tokens = tokenizer(source.zeros(2, "cuda"))
        assert tokens.is_cuda
        assert tokenizer.inverse(tokens).approx.is_cuda
