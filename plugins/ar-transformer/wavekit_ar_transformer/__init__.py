"""A transformer that writes tokens."""

from wavekit_ar_transformer.model import ARTransformer

__all__ = ["ARTransformer"]
