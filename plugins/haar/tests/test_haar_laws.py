"""Haar keeps the laws of transforms."""

from wavekit_haar import Haar

from wavekit_core.testing import transform_suite

test_laws = transform_suite(
    Haar,
    {},
    {"levels": 3},
    {"levels": 2, "mode": "symmetric", "norm": "mean"},
    {"levels": 2, "norm": "unit-range"},
    {"levels": 2, "norm": "whiten"},
    {"levels": 2, "norm": "integer"},
    {"levels": 2, "mode": "whole-symmetric"},
    {"levels": 2, "packet": True},
    {"levels": 1, "packet": True, "norm": "unit-range"},
)
