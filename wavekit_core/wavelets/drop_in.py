"""The modules of pytorch-wavelets under their own names, for programs that were written for it.

    from wavekit_core.wavelets.drop_in import DWTForward, DWTInverse  # was: from pytorch_wavelets import …

Same arguments and results: `DWTForward(J=3, wave="db2", mode="symmetric")(x)` gives (yl, yh), yh finest first, each
(N, C, 3, h, w). What differs: gradients are right in every mode, short images are reconstructed, any dtype and any leading
dimensions are taken and kept, autocast leaves them alone, and there are no buffers (those in old states are skipped).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pywt
from torch import Tensor, nn

from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.borders import MODES, NON_EXPANSIVE, Mode
from wavekit_core.wavelets.operator import analysis, synthesis

Wave: TypeAlias = Any  # a name, a pywt.Wavelet, a FilterBank, or a pair of filters
ALIASES = {"per": "periodization", "replicate": "constant"}
BUFFERS = ("h0", "h1", "g0", "g1", "h0_col", "h1_col", "h0_row", "h1_row", "g0_col", "g1_col", "g0_row", "g1_row")


class _Module(nn.Module):
    def __init__(self, wave: Wave, mode: str, synthesis_filters: bool) -> None:
        super().__init__()
        self.bank = bank_of(wave, synthesis_filters)
        known = ALIASES.get(mode, mode)
        if known not in MODES:
            raise ValueError(f"there is no mode {mode!r}; there are: {', '.join((*MODES, *ALIASES))}")
        self.mode: Mode = known  # type: ignore[assignment]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in BUFFERS:
            state_dict.pop(prefix + name, None)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _inverse(self, coefficients: tuple[Tensor, Sequence[Tensor | None]], axes: int) -> Tensor:
        low, highs = coefficients
        sizes, stack = [tuple(low.shape[-axes:])], (3,) * (axes == 2)
        details = []
        for high in reversed(highs):
            count = sizes[-1] if high is None else tuple(high.shape[-axes:])
            zeros = high is None
            details.append(low.new_zeros(*low.shape[:-axes], *stack, *count) if zeros else high)
            sizes.append(tuple(self._size(n) for n in count))
        return synthesis(low, details, self.bank, self.mode, sizes[-1]) if details else low  # type: ignore[arg-type]

    def _size(self, count: int) -> int:
        return 2 * count if self.mode in NON_EXPANSIVE else 2 * count - self.bank.length + 2

    def extra_repr(self) -> str:
        return f"{self.bank.name}, mode={self.mode}"


class DWTForward(_Module):
    """x (..., H, W) to yl (..., h, w) and the list yh of `J` details, finest first, (..., 3, h, w)."""

    axes = 2

    def __init__(self, J: int = 1, wave: Wave = "db1", mode: str = "zero") -> None:
        super().__init__(wave, mode, synthesis_filters=False)
        self.J = J

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        if not self.J:
            return x, []
        approx, details = analysis(x, self.bank, self.mode, self.J, self.axes)
        return approx, list(details[::-1])


class DWTInverse(_Module):
    """The pair (yl, yh) to x. None in yh stands for zeros. As in pytorch-wavelets, an odd size comes back one larger."""

    axes = 2

    def __init__(self, wave: Wave = "db1", mode: str = "zero") -> None:
        super().__init__(wave, mode, synthesis_filters=True)

    def forward(self, coeffs: tuple[Tensor, Sequence[Tensor | None]]) -> Tensor:
        return self._inverse(coeffs, self.axes)


class DWT1DForward(DWTForward):
    """x (..., N) to yl (..., n) and the list yh of `J` details, finest first, (..., n)."""

    axes = 1


class DWT1DInverse(DWTInverse):
    """The pair (yl, yh) of a signal to x (..., N)."""

    axes = 1


DWT, IDWT, DWT2D, IDWT2D, DWT1D, IDWT1D = DWTForward, DWTInverse, DWTForward, DWTInverse, DWT1DForward, DWT1DInverse


def bank_of(wave: Wave, synthesis_filters: bool = False) -> FilterBank:
    """The bank of a wavelet as pytorch-wavelets is told it: a name, a `pywt.Wavelet`, or its two filters.

    Of two filters, low- and high-pass, of the analysis or of the synthesis, the other two follow, as aliasing has to cancel.
    Raises ValueError for an unknown name and for filters that no others undo.
    """
    if isinstance(wave, FilterBank):
        return wave
    if isinstance(wave, str):
        return FilterBank.from_pywt(pywt.Wavelet(wave).name)
    if isinstance(wave, pywt.Wavelet):
        dec_lo, dec_hi, rec_lo, rec_hi = (tuple(map(float, taps)) for taps in wave.filter_bank)
        return FilterBank(wave.name or "custom", dec_lo, dec_hi, rec_lo, rec_hi, orthonormal=bool(wave.orthogonal))
    if len(wave) == 4 and all(np.array_equal(a, b) for a, b in zip(wave[:2], wave[2:], strict=True)):
        wave = wave[:2]
    if len(wave) != 2:
        raise ValueError(
            f"a wavelet is a name, a pywt.Wavelet or two filters, and this has {len(wave)}; "
            "filters that differ between columns and rows are not supported"
        )
    low, high = (np.asarray(taps.detach().cpu() if isinstance(taps, Tensor) else taps, float).ravel() for taps in wave)
    signs = (-1.0) ** np.arange(len(low))
    other_low, other_high = signs * high, -signs * low
    # what is left is a sign: the product of both low-pass filters has its largest tap above zero
    if np.convolve(low, other_low)[len(low) - 1] < 0:
        other_low, other_high = -other_low, -other_high
    first, other = (tuple(low.tolist()), tuple(high.tolist())), (tuple(other_low.tolist()), tuple(other_high.tolist()))
    analysis_pair, synthesis_pair = (other, first) if synthesis_filters else (first, other)
    return FilterBank("custom", analysis_pair[0], analysis_pair[1], synthesis_pair[0], synthesis_pair[1])
