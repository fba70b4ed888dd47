"""The biorthogonal wavelet transforms"""

from typing import Literal

from wavekit_core.wavelets import FilterBank, Levels, Mode, Norm, Packet, WaveletTransform

# fmt: off
Wavelet = Literal[
    "bior1.1", "bior1.3", "bior1.5", "bior2.2", "bior2.4", "bior2.6", "bior2.8", "bior3.1", "bior3.3", "bior3.5",
    "bior3.7", "bior3.9", "bior4.4", "bior5.5", "bior6.8",
    "rbio1.1", "rbio1.3", "rbio1.5", "rbio2.2", "rbio2.4", "rbio2.6", "rbio2.8", "rbio3.1", "rbio3.3", "rbio3.5",
    "rbio3.7", "rbio3.9", "rbio4.4", "rbio5.5", "rbio6.8",
]
# fmt: on


class Bior(WaveletTransform):
    """Symmetric biorthogonal splines (Cohen, Daubechies & Feauveau 1992), by their names in PyWavelets.

    Images (..., C, H, W) to a pyramid with details (..., C, 3, h, w). `bior2.2` is the 5/3 and `bior4.4` the 9/7
    wavelet of JPEG 2000; `rbio` changes analysis and synthesis filters over. Not orthonormal: the energy of the
    coefficients is not that of the pixels, and the gradient of the transform is not its inverse. The kernels are
    `wavekit_core.wavelets.kernels.lifting` (5/3 and 9/7) and `wavekit_core.wavelets.kernels.polyphase`.
    """

    def __init__(
        self,
        wavelet: Wavelet = "bior4.4",
        levels: Levels = 1,
        mode: Mode = "periodization",
        norm: Norm = "ortho",
        packet: Packet = False,
    ) -> None:
        super().__init__(FilterBank.from_pywt(wavelet), levels, mode, norm, packet)
