"""Daubechies' orthonormal wavelets of least support, with filters computed from their order."""

import math
from typing import Annotated

import numpy as np
from pydantic import Field
from wavekit_core.wavelets import FilterBank, Levels, Mode, Norm, WaveletTransform


class Daubechies(WaveletTransform):
    """The wavelet with `order` vanishing moments and 2·order taps, extremal phase; `order: 1` is Haar (Daubechies 1988)."""

    def __init__(
        self,
        order: Annotated[int, Field(ge=1, le=16)] = 2,
        levels: Levels = 1,
        mode: Mode = "periodization",
        norm: Norm = "ortho",
    ) -> None:
        super().__init__(FilterBank.from_scaling(f"daubechies{order}", taps(order)), levels, mode, norm)


def taps(order: int) -> list[float]:
    """The scaling filter h, 2·order taps with sum √2 (Daubechies, "Ten Lectures on Wavelets", 1992, eq. 6.1.12).

    |H|² = 2 (1 - y)^order P(y) with y = sin²(ω/2) and P(y) = Σ_k C(order-1+k, k) y^k. A root y of P is a pair z, 1/z with
    z + 1/z = 2 - 4y; the one inside the unit circle is kept. Off by less than 1e-13 up to order 16.
    """
    y = np.roots([math.comb(order - 1 + k, k) for k in reversed(range(order))]).astype(complex)
    middle = 1 - 2 * y
    apart = np.sqrt(middle**2 - 1)
    z = np.where(abs(middle + apart) < 1, middle + apart, middle - apart)
    h = np.poly([*[-1.0] * order, *z]).real
    return (h * math.sqrt(2) / h.sum()).tolist()
