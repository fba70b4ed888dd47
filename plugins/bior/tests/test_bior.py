"""The biorthogonal wavelets, by name."""

from typing import get_args

import pytest
import pywt
import torch
from pydantic import ValidationError
from wavekit_bior import Bior, Wavelet

from wavekit_core.errors import SpaceError
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import MODES


def draw(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_all_of_pywavelets_are_known():
    assert set(get_args(Wavelet)) == set(pywt.wavelist("bior")) | set(pywt.wavelist("rbio"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wavelet", get_args(Wavelet))
def test_every_wavelet_inverts(wavelet, mode):
    bior, x = Bior(wavelet=wavelet, levels=2, mode=mode), draw(2, 1, 15, 20)
    if mode == "whole-symmetric" and not bior.bank.whole_symmetric:
        with pytest.raises(SpaceError, match="needs symmetric filters of odd length"):
            bior(x)
        return
    assert torch.allclose(bior.inverse(bior(x)), x, rtol=0, atol=1e-10)


def test_a_wrong_name_lists_the_right_ones():
    with pytest.raises(ValidationError, match=r"bior4\.4.*rbio6\.8"):
        Bior(wavelet="bior4.5")  # type: ignore[arg-type]


def test_the_gradient_is_not_the_inverse():
    bior, x = Bior(levels=2), draw(1, 1, 16, 16).requires_grad_()
    space = bior.target(ImageSpace(1, 16, 16))
    (pulled,) = torch.autograd.grad(space.flatten(bior(x)), x, space.flatten(bior(x)).detach())
    assert not space.orthonormal
    assert not torch.allclose(pulled, x, atol=1e-3)


@pytest.mark.parametrize("orientation", [0, 1, 2])
def test_one_detail_changes_no_more_than_its_support(orientation):
    bior, x = Bior(levels=2), draw(1, 1, 64, 64)
    pyramid = bior(x)
    details = [d.clone() for d in pyramid.details]
    details[0][0, 0, orientation, 8, 8] += 1
    changed = bior.inverse(type(pyramid)(pyramid.approx, tuple(details), pyramid.space)) != bior.inverse(pyramid)
    rows, columns = changed[0, 0].any(1).nonzero(), changed[0, 0].any(0).nonzero()
    reach = (10 - 1) * (2**2 - 1) + 1  # filters of ten taps, two levels
    assert int(rows.max() - rows.min()) < reach
    assert int(columns.max() - columns.min()) < reach
