"""The biorthogonal transforms keep the laws of transforms."""

from wavekit_bior import Bior

from wavekit_core.testing import transform_suite

test_laws = transform_suite(
    Bior,
    {},
    {"wavelet": "bior2.2", "levels": 2, "mode": "symmetric"},
    {"wavelet": "rbio3.1", "mode": "reflect", "norm": "mean"},
    {"wavelet": "bior6.8", "levels": 2, "mode": "zero", "norm": "unit-range"},
    {"wavelet": "bior1.3", "levels": 2, "mode": "periodic", "norm": "whiten"},
    {"levels": 2, "mode": "whole-symmetric"},
    {"wavelet": "bior2.2", "mode": "whole-symmetric", "norm": "integer"},
    {"wavelet": "rbio2.4", "mode": "constant", "packet": True},
)
