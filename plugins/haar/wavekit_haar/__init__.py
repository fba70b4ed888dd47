"""The Haar wavelet transform"""

from wavekit_core.wavelets import FilterBank, Levels, Mode, Norm, Packet, WaveletTransform


class Haar(WaveletTransform):
    """Sums and differences of neighbouring pixels; orthonormal, of two taps (Haar, Math. Annalen 69, 1910).

    Images (..., C, H, W) to a pyramid with details (..., C, 3, H / 2^k, W / 2^k), rounded up. A 2×2 block `a b / c d`
    gives cA = (a+b+c+d)/2, cH = (a+b-c-d)/2, cV = (a-b+c-d)/2, cD = (a-b-c+d)/2. One detail of level k is seen in
    2^k×2^k pixels and nowhere else. At even sizes all modes are the same. The kernel is `wavekit_core.wavelets.kernels.haar`.
    """

    def __init__(
        self, levels: Levels = 1, mode: Mode = "periodization", norm: Norm = "ortho", packet: Packet = False
    ) -> None:
        super().__init__(FilterBank.from_pywt("haar"), levels, mode, norm, packet)
