"""The laws of a transform, and closed forms of this one."""

import torch
from wavekit_core.testing import transform_suite

from wavekit_my_part import MyPart

test_laws = transform_suite(MyPart, {}, {"block": 4})


def test_a_flat_image_has_its_mean_and_nothing_else():
    y = MyPart(4)(torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64))
    expected = torch.zeros_like(y)
    expected[:, 0] = 4 * 0.5
    torch.testing.assert_close(y, expected)


def test_energy_is_kept():
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(MyPart(4)(x).square().sum(), x.square().sum())
