"""Haar: sums and differences, local and energy-preserving."""

import pytest
import torch
from wavekit_haar import Haar

from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import MODES


def draw(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_one_block():
    a, b, c, d = 1.0, 2.0, 4.0, 8.0
    pyramid = Haar()(torch.tensor([[a, b], [c, d]], dtype=torch.float64))
    assert float(pyramid.approx) == pytest.approx((a + b + c + d) / 2)
    expected = [(a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2]
    assert pyramid.details[0].flatten().tolist() == pytest.approx(expected)


def test_energy_is_kept():
    x = draw(2, 3, 16, 24)
    pyramid = Haar(levels=3)(x)
    assert pyramid.space.orthonormal
    assert sum(b.square().sum() for b in pyramid.bands().values()) == pytest.approx(float(x.square().sum()))


def test_a_constant_image_has_no_details():
    pyramid = Haar(levels=3)(torch.full((1, 1, 16, 16), 0.3))
    assert not any(d.any() for d in pyramid.details)


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("orientation", [0, 1, 2])
def test_one_detail_is_one_block(level, orientation):
    haar, x = Haar(levels=3), draw(1, 1, 32, 24)
    pyramid = haar(x)
    details = [d.clone() for d in pyramid.details]
    details[3 - level][0, 0, orientation, 2, 1] += 1
    changed = haar.inverse(type(pyramid)(pyramid.approx, tuple(details), pyramid.space)) != haar.inverse(pyramid)
    block = 2**level
    expected = torch.zeros_like(changed)
    expected[..., 2 * block : 3 * block, block : 2 * block] = True
    assert torch.equal(changed, expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(28, 28), (13, 7), (2, 3), (33, 64)])
def test_the_size_is_kept(mode, size):
    haar, x = Haar(levels=1, mode=mode), draw(2, 3, *size)
    assert torch.allclose(haar.inverse(haar(x)), x, rtol=0, atol=1e-12)


def test_modes_differ_at_odd_sizes_only():
    even, odd = draw(8, 8), draw(7, 8)
    assert all(torch.equal(Haar(mode=m)(even).details[0], Haar()(even).details[0]) for m in MODES)
    assert not torch.equal(Haar(mode="zero")(odd).details[0], Haar()(odd).details[0])


def test_unit_range():
    haar = Haar(levels=3, norm="unit-range")
    haar.target(ImageSpace(1, 16, 16))
    x = draw(64, 1, 16, 16).round()
    pyramid, native = haar(x), Haar(levels=3)(x)
    assert torch.allclose(pyramid.approx, native.approx / 8)
    assert torch.allclose(pyramid.details[0], native.details[0] / 4)
    assert pyramid.approx.min() >= 0
    assert all(d.abs().max() <= 1 + 1e-12 for d in (pyramid.approx, *pyramid.details))
