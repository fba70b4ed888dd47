"""The machinery of the separable two-dimensional wavelet transforms.

A family is a filter bank and a few typed parameters:

    class Symlet(WaveletTransform):
        def __init__(self, order: Literal[2, 3, 4] = 2, levels: Levels = 1, mode: Mode = "periodization",
                     norm: Norm = "ortho"):
            super().__init__(FilterBank.from_pywt(f"sym{order}"), levels, mode, norm)
"""

from wavekit_core.pyramid import Norm
from wavekit_core.wavelets.borders import MODES, Mode
from wavekit_core.wavelets.filters import FilterBank
from wavekit_core.wavelets.kernels import forced
from wavekit_core.wavelets.operator import analysis, synthesis
from wavekit_core.wavelets.transform import Levels, WaveletTransform

__all__ = ["MODES", "FilterBank", "Levels", "Mode", "Norm", "WaveletTransform", "analysis", "forced", "synthesis"]
