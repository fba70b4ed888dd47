"""The modules under pytorch-wavelets' names: PyWavelets' numbers in its order, and its tests where they are right."""

import numpy as np
import pytest
import pywt
import torch
from torch.autograd import gradcheck

from wavekit_core.wavelets.drop_in import DWT1DForward, DWT1DInverse, DWTForward, DWTInverse, bank_of

MODES = ["zero", "symmetric", "reflect", "periodization", "constant", "periodic", "per", "replicate"]
REAL = {"per": "periodization", "replicate": "constant"}
pytestmark = pytest.mark.filterwarnings("ignore:Level value")


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wave", ["db1", "db4", "bior3.5", "sym7", "coif2"])
@pytest.mark.parametrize("size", [(16, 16), (17, 12), (5, 9)])
@pytest.mark.parametrize("J", [1, 3])
def test_forward_and_inverse(wave, J, mode, size):
    x = draw(2, 3, *size)
    yl, yh = DWTForward(J=J, wave=wave, mode=mode)(x)
    approx, *details = pywt.wavedec2(x.numpy(), wave, REAL.get(mode, mode), J)
    np.testing.assert_allclose(yl, approx, atol=1e-10)
    assert len(yh) == J
    for found, wanted in zip(yh, details[::-1], strict=True):
        np.testing.assert_allclose(found, np.stack(wanted, 2), atol=1e-10)
    back = DWTInverse(wave=wave, mode=mode)((yl, yh))
    assert back.shape[-2:] == tuple(n + n % 2 for n in size)
    torch.testing.assert_close(back[..., : size[0], : size[1]], x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mode", ["symmetric", "periodization"])
def test_none_stands_for_zeros(mode):
    x, inverse = draw(1, 2, 16, 24), DWTInverse("db2", mode)
    yl, yh = DWTForward(3, "db2", mode)(x)
    for missing in ([0], [2], [0, 1, 2]):
        zeros = [torch.zeros_like(h) if i in missing else h for i, h in enumerate(yh)]
        nones = [None if i in missing else h for i, h in enumerate(yh)]
        torch.testing.assert_close(inverse((yl, nones))[..., :16, :24], inverse((yl, zeros))[..., :16, :24])


@pytest.mark.parametrize("mode", MODES[:6])
def test_signals(mode):
    x = draw(2, 3, 21)
    yl, yh = DWT1DForward(J=2, wave="db3", mode=mode)(x)
    approx, *details = pywt.wavedec(x.numpy(), "db3", mode, 2)
    np.testing.assert_allclose(yl, approx, atol=1e-11)
    for found, wanted in zip(yh, details[::-1], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-11)
    torch.testing.assert_close(DWT1DInverse("db3", mode)((yl, yh))[..., :21], x)


@pytest.mark.parametrize("mode", MODES[:6])
def test_gradients_are_right_where_pytorch_wavelets_are_not(mode):
    forward, inverse = DWTForward(2, "db2", mode), DWTInverse("db2", mode)
    x = draw(1, 1, 5, 6).requires_grad_()
    assert gradcheck(lambda x: (lambda yl, yh: (yl, *yh))(*forward(x)), x, fast_mode=True)
    assert gradcheck(lambda x: inverse(forward(x)), x, fast_mode=True)


@pytest.mark.parametrize("name", ["db2", "bior4.4", "rbio2.2"])
def test_a_wavelet_may_be_given_by_its_filters(name):
    wavelet, x = pywt.Wavelet(name), draw(1, 1, 12, 12)
    wanted = DWTForward(1, name, "symmetric")(x)
    for wave in (wavelet, (wavelet.dec_lo, wavelet.dec_hi), [np.array(f) for f in wavelet.filter_bank[:2] * 2]):
        found = DWTForward(1, wave, "symmetric")(x)
        torch.testing.assert_close(found[1][0], wanted[1][0])
    for wave in (wavelet, (wavelet.rec_lo, wavelet.rec_hi)):
        torch.testing.assert_close(DWTInverse(wave, "symmetric")(wanted), x, rtol=0, atol=1e-10)
    derived, known = bank_of((wavelet.dec_lo, wavelet.dec_hi)), bank_of(name)
    assert derived.rec_lo == pytest.approx(known.rec_lo, abs=1e-9)
    assert derived.rec_hi == pytest.approx(known.rec_hi, abs=1e-9)


def test_old_states_and_dtypes():
    module = DWTForward(1, "db2", "zero")
    module.load_state_dict({"h0_col": torch.ones(1, 1, 4, 1), "h1_row": torch.ones(1, 1, 1, 4)})
    assert not module.state_dict()
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.complex64):
        assert module(torch.ones(2, 1, 8, 8, dtype=dtype))[0].dtype == dtype
    with torch.autocast("cpu", torch.bfloat16):
        assert module(torch.ones(2, 1, 8, 8))[0].dtype == torch.float32
    assert DWTForward(J=0)(draw(1, 1, 4, 4))[1] == []


def test_what_is_refused():
    with pytest.raises(ValueError, match="no mode 'wrap'; there are: periodization"):
        DWTForward(mode="wrap")
    with pytest.raises(ValueError, match="and this has 3"):
        DWTForward(wave=([1.0, 1.0], [1.0, -1.0], [1.0, 1.0]))
    with pytest.raises(ValueError, match="do not reconstruct perfectly"):
        DWTForward(wave=([1.0, 0.5], [0.3, -1.0]))
