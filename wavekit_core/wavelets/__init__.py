"""The machinery of the separable wavelet transforms: for third-party families, and as functions.

A family is a filter bank and a few typed parameters:

    class Symlet(WaveletTransform):
        def __init__(self, order: Literal[2, 3, 4] = 2, levels: Levels = 1, mode: Mode = "periodization",
                     norm: Norm = "ortho", packet: Packet = False):
            super().__init__(FilterBank.from_pywt(f"sym{order}"), levels, mode, norm, packet)

A filter bank comes from PyWavelets by name (`from_pywt`), from a scaling filter alone if it is orthonormal (`from_scaling`),
or from all four filters. `analysis` and `synthesis` are the operators themselves, on tensors. What computes them is chosen
in `wavekit_core.wavelets.kernels`; `drop_in` has the modules of pytorch-wavelets under their names.
"""

from wavekit_core.filters import FilterBank
from wavekit_core.pyramid import Norm
from wavekit_core.wavelets.borders import MODES, Mode
from wavekit_core.wavelets.kernels import forced
from wavekit_core.wavelets.operator import analysis, synthesis
from wavekit_core.wavelets.transform import Levels, Packet, WaveletTransform

__all__ = [
    "MODES",
    "FilterBank",
    "Levels",
    "Mode",
    "Norm",
    "Packet",
    "WaveletTransform",
    "analysis",
    "forced",
    "synthesis",
]
