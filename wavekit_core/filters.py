"""Filter banks: the four filters of a wavelet, in PyWavelets' order and scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pywt

TOLERANCE = 1e-2  # finds wrong taps, and lets PyWavelets' dmey pass, which is off by 0.0045 because it is cut off


@dataclass(frozen=True)
class FilterBank:
    """The filters of a two-channel bank: analysis `dec_` and synthesis `rec_`, low-pass `_lo` and high-pass `_hi`.

    All four have the same even length; shorter filters are padded with zeros as in PyWavelets. The low-pass taps sum to
    √2, so a constant image grows by 2 per two-dimensional level. `orthonormal` says that the synthesis filters are the
    analysis filters read backwards. `whole_symmetric` is found out: whether the mode of this name serves it, because the
    filters are of odd length, the low-pass one symmetric about an even sample and the high-pass one about an odd one, as
    PyWavelets places them; or because they are Haar's.

    Raises ValueError if the lengths are wrong or the bank does not reconstruct perfectly.
    """

    name: str
    dec_lo: tuple[float, ...]
    dec_hi: tuple[float, ...]
    rec_lo: tuple[float, ...]
    rec_hi: tuple[float, ...]
    orthonormal: bool = False
    whole_symmetric: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        lengths = {len(f) for f in (self.dec_lo, self.dec_hi, self.rec_lo, self.rec_hi)}
        if len(lengths) != 1 or self.length % 2 or not self.length:
            found = ", ".join(map(str, sorted(lengths)))
            raise ValueError(f"{self.name}: filters of length {found}; give four of one even length, padded with zeros")
        if (error := self._reconstruction_error()) > TOLERANCE:
            raise ValueError(
                f"{self.name}: the filters do not reconstruct perfectly (off by {error:.2g}); check the taps"
            )
        object.__setattr__(self, "whole_symmetric", self._is_whole_symmetric())

    @classmethod
    def from_pywt(cls, name: str) -> FilterBank:
        """The bank of PyWavelets' discrete wavelet `name`, such as `db2` or `bior4.4`. Raises ValueError for others."""
        if name not in pywt.wavelist(kind="discrete"):
            raise ValueError(f"{name!r} is no discrete wavelet of PyWavelets; see pywt.wavelist(kind='discrete')")
        wavelet = pywt.Wavelet(name)
        dec_lo, dec_hi, rec_lo, rec_hi = (tuple(map(float, taps)) for taps in wavelet.filter_bank)
        return cls(name, dec_lo, dec_hi, rec_lo, rec_hi, orthonormal=bool(wavelet.orthogonal))

    @classmethod
    def from_scaling(cls, name: str, taps: Sequence[float]) -> FilterBank:
        """The orthonormal bank of a scaling filter: its taps as published, which are `rec_lo`, with sum √2.

        For example (1/√2, 1/√2) for Haar. Raises ValueError if the taps are not orthonormal to their even shifts.
        """
        low = np.asarray(taps, dtype=float)
        if abs(low.sum() - math.sqrt(2)) > TOLERANCE:
            raise ValueError(f"{name}: the taps sum to {low.sum():.6g}; scale them to a sum of √2 = 1.414214")
        high = low[::-1].copy()
        high[1::2] *= -1
        pair = (tuple(low[::-1].tolist()), tuple(high[::-1].tolist()), tuple(low.tolist()), tuple(high.tolist()))
        return cls(name, *pair, orthonormal=True)

    @property
    def length(self) -> int:
        """The number of taps of each filter, zeros included."""
        return len(self.dec_lo)

    def _is_whole_symmetric(self) -> bool:
        low, high = np.asarray(self.dec_lo), np.asarray(self.dec_hi)
        if self.length == 2:
            return bool(abs(low[0] - low[1]) < 1e-9)
        return bool(
            np.allclose(low[1:], low[:0:-1], atol=1e-9)
            and np.allclose(high[:-1], high[-2::-1], atol=1e-9)
            and max(abs(low[0]), abs(high[-1])) < 1e-9
        )

    def _reconstruction_error(self) -> float:
        """How far synthesis after analysis is from a pure delay of length - 1: distortion and aliasing."""
        signs = (-1.0) ** np.arange(self.length)
        dec_lo, dec_hi = np.asarray(self.dec_lo), np.asarray(self.dec_hi)
        distortion = np.convolve(dec_lo, self.rec_lo) + np.convolve(dec_hi, self.rec_hi)
        distortion[self.length - 1] -= 2
        aliasing = np.convolve(dec_lo * signs, self.rec_lo) + np.convolve(dec_hi * signs, self.rec_hi)
        return float(max(abs(distortion).max(), abs(aliasing).max()))
