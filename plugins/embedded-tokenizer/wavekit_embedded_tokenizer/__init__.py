"""Embedded bit-plane tokens of wavelet coefficients: "Wavelets Are All You Need for Autoregressive Image Generation" (S3)."""

from wavekit_embedded_tokenizer.colour import YCbCr
from wavekit_embedded_tokenizer.tokenizer import EmbeddedTokenizer

__all__ = ["EmbeddedTokenizer", "YCbCr"]
