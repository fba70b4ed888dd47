"""Filter banks: made from PyWavelets' tables or from a scaling filter, and checked."""

import math

import pytest
import pywt

from wavekit_core.wavelets import FilterBank


@pytest.mark.parametrize("name", ["haar", "db3", "sym4", "coif2"])
def test_the_scaling_filter_alone_gives_an_orthonormal_bank(name):
    known = FilterBank.from_pywt(name)
    made = FilterBank.from_scaling(name, known.rec_lo)
    assert made == known
    assert made.orthonormal


@pytest.mark.parametrize("name", pywt.wavelist(kind="discrete"))
def test_every_discrete_wavelet_passes_the_checks(name):
    bank = FilterBank.from_pywt(name)
    assert bank.length % 2 == 0
    assert sum(bank.dec_lo) == pytest.approx(math.sqrt(2), abs=1e-6)
    assert hash(bank) == hash(FilterBank.from_pywt(name))


def test_only_orthonormal_families_say_so():
    assert FilterBank.from_pywt("sym8").orthonormal
    assert not FilterBank.from_pywt("bior4.4").orthonormal


def test_wrong_filters_are_refused():
    with pytest.raises(ValueError, match="no discrete wavelet"):
        FilterBank.from_pywt("mexh")
    with pytest.raises(ValueError, match="sum to 1"):
        FilterBank.from_scaling("mine", [0.5, 0.5])
    with pytest.raises(ValueError, match="reconstruct"):
        FilterBank.from_scaling("mine", [0.5, 0.5, 0.2, math.sqrt(2) - 1.2])
    with pytest.raises(ValueError, match="even length"):
        FilterBank("mine", (1.0,), (1.0,), (1.0,), (1.0,))
