"""Packets: PyWavelets' bands in its natural order, invertible, in a space that is true."""

import numpy as np
import pytest
import pywt
import torch
from wavekit_haar import Haar

from wavekit_core.errors import SpaceError
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import FilterBank, WaveletTransform
from wavekit_core.wavelets.packets import largest_packets, packet_analysis, packet_synthesis

MODES = ["periodization", "zero", "symmetric", "reflect", "periodic", "constant"]


def draw(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("wavelet", "levels"), [("haar", 3), ("db3", 2), ("bior4.4", 2)])
@pytest.mark.parametrize("size", [(16, 24), (9, 14)])
def test_equals_pywavelets_in_natural_order(wavelet, levels, mode, size):
    x = draw(*size)
    tree = pywt.WaveletPacket2D(x.numpy(), wavelet, mode, maxlevel=levels)
    wanted = np.stack([node.data for node in tree.get_level(levels, order="natural")])
    bank = FilterBank.from_pywt(wavelet)
    found = packet_analysis(x, bank, mode, levels)
    np.testing.assert_allclose(found, wanted, atol=1e-11)
    again = packet_synthesis(found, bank, mode, levels, size)
    torch.testing.assert_close(again, x, rtol=0, atol=1e-10)


@pytest.mark.parametrize("norm", ["ortho", "mean", "unit-range"])
@pytest.mark.parametrize("mode", ["periodization", "symmetric"])
def test_a_transform_of_packets_gives_images(norm, mode):
    w = WaveletTransform(FilterBank.from_pywt("db2"), 2, mode, norm, packet=True)
    source = ImageSpace(3, 12, 9, -1.0, 1.0)
    target = w.target(source)
    x = draw(4, 3, 12, 9) * 2 - 1
    y = w(x)
    assert isinstance(target, ImageSpace)
    assert target.holds(y, 4)
    assert float(y.abs().max()) <= target.high
    torch.testing.assert_close(w.inverse(y), x, rtol=0, atol=1e-12)
    assert target.high == pytest.approx(1) or norm != "unit-range"


def test_haar_packets_of_mean_norm_keep_the_range_of_a_patch():
    haar = Haar(levels=2, packet=True, norm="mean")
    assert haar.target(ImageSpace(3, 32, 32)).shape == (48, 8, 8)
    x = draw(2, 3, 32, 32)
    blocks = x.unflatten(3, (8, 4)).unflatten(2, (8, 4)).mean((3, 5))
    torch.testing.assert_close(haar(x)[:, ::16], blocks)


@pytest.mark.parametrize(("wavelet", "mode"), [("haar", "periodization"), ("db2", "zero"), ("bior2.2", "symmetric")])
def test_the_largest_value_of_every_band_is_attained(wavelet, mode):
    bank, size = FilterBank.from_pywt(wavelet), (5, 6)
    bounds = largest_packets(bank, mode, 2, size, 0.25, 4.0)
    jacobian = torch.func.jacrev(lambda x: packet_analysis(x, bank, mode, 2))(torch.zeros(size, dtype=torch.float64))
    plus, minus = jacobian.clamp(min=0).sum((-2, -1)), jacobian.clamp(max=0).sum((-2, -1))
    most = torch.maximum((4 * plus + 0.25 * minus).abs(), (0.25 * plus + 4 * minus).abs()).amax((-2, -1))
    assert bounds == pytest.approx([float(m) or 1.0 for m in most], rel=1e-9)


def test_what_is_refused():
    with pytest.raises(SpaceError, match="whiten` is for pyramids"):
        Haar(packet=True, norm="whiten").target(ImageSpace(1, 8, 8))
    with pytest.raises(SpaceError, match="need even sizes at every level, and images are 8×6"):
        Haar(levels=2, packet=True, mode="whole-symmetric").target(ImageSpace(1, 8, 6))
    with pytest.raises(SpaceError, match="norm `integer` has no packets"):
        Haar(packet=True, norm="integer").target(ImageSpace(1, 8, 8))
