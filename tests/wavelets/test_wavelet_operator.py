"""One level: equal to PyWavelets, exactly invertible, with the exact adjoint as gradient."""

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from wavekit_core.wavelets import MODES, FilterBank, analysis, synthesis

WAVELETS = ["haar", "db2", "sym5", "coif3", "bior1.3", "bior2.2", "bior3.1", "bior4.4", "bior6.8", "rbio3.9", "rbio5.5"]
EXACT = 1e-10  # PyWavelets' tables are rounded: bior4.4 reconstructs to 2e-12
LEAN = settings(max_examples=120, deadline=None, derandomize=True)
cases = st.tuples(st.sampled_from(WAVELETS), st.sampled_from(MODES), st.integers(2, 65), st.integers(2, 65))


def draw(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def reference(x: torch.Tensor, wavelet: str, mode: str) -> tuple[torch.Tensor, torch.Tensor]:
    approx, details = pywt.dwt2(x.numpy(), wavelet, mode)
    return torch.from_numpy(approx), torch.from_numpy(np.stack(details, -3))


def close(found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> bool:
    return bool((found.double() - wanted.double()).abs().max() <= tolerance * max(1.0, float(wanted.abs().max())))


@LEAN
@given(cases)
def test_equals_pywavelets_and_inverts(case):
    wavelet, mode, height, width = case
    bank = FilterBank.from_pywt(wavelet)
    x = draw(2, height, width)
    found, wanted = analysis(x, bank, mode), reference(x, wavelet, mode)
    again = synthesis(*found, bank, mode, (height, width))
    assert all(close(f, w, 1e-12) for f, w in zip(found, wanted, strict=True))
    assert again.shape == x.shape
    assert close(again, x, EXACT)
    single = analysis(x.float(), bank, mode)
    assert all(close(f, w, 4e-6) for f, w in zip(single, wanted, strict=True))
    assert close(synthesis(*single, bank, mode, (height, width)), x, 4e-6)


@LEAN
@given(cases)
def test_synthesis_of_any_coefficients_equals_pywavelets(case):
    wavelet, mode, height, width = case
    bank = FilterBank.from_pywt(wavelet)
    approx, details = analysis(torch.zeros(height, width, dtype=torch.float64), bank, mode)
    approx, details = draw(*approx.shape), draw(*details.shape, seed=1)
    wanted = pywt.idwt2((approx.numpy(), tuple(details.numpy())), wavelet, mode)[:height, :width]
    assert close(synthesis(approx, details, bank, mode, (height, width)), torch.from_numpy(wanted.copy()), 1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wavelet", [w for w in pywt.wavelist(kind="discrete") if w != "dmey"])
def test_every_wavelet_of_pywavelets(wavelet, mode):
    x, bank = draw(5, 8), FilterBank.from_pywt(wavelet)
    found, wanted = analysis(x, bank, mode), reference(x, wavelet, mode)
    assert all(close(f, w, 1e-12) for f, w in zip(found, wanted, strict=True))
    exact = pywt.idwt2(pywt.dwt2(x.numpy(), wavelet, mode), wavelet, mode)[
        :5, :8
    ]  # coif17 and db38 have rounded tables
    assert close(synthesis(*found, bank, mode, (5, 8)), torch.from_numpy(exact.copy()), 1e-12)


@LEAN
@given(cases)
def test_the_gradient_is_the_adjoint_and_the_map_is_linear(case):
    wavelet, mode, height, width = case
    bank = FilterBank.from_pywt(wavelet)
    x = draw(height, width).requires_grad_()
    approx, details = analysis(x, bank, mode)
    a, d = draw(*approx.shape, seed=1), draw(*details.shape, seed=2)
    inner = (approx * a).sum() + (details * d).sum()
    (pulled,) = torch.autograd.grad(inner, x)
    z = draw(height, width, seed=3)
    far_approx, far_details = analysis(z, bank, mode)
    assert close((z * pulled).sum(), (far_approx * a).sum() + (far_details * d).sum(), 1e-11)
    both, _ = analysis(2 * x - 3 * z, bank, mode)
    assert close(both.detach(), (2 * approx - 3 * far_approx).detach(), 1e-11)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("wavelet", "size"), [("haar", (3, 4)), ("bior2.2", (3, 5)), ("bior4.4", (2, 3))])
def test_gradients_of_every_order(wavelet, size, mode):
    bank = FilterBank.from_pywt(wavelet)
    x = draw(*size).requires_grad_()
    coefficients = tuple(c.detach().requires_grad_() for c in analysis(x, bank, mode))

    def forth(x):
        return analysis(x, bank, mode)

    def back(a, d):
        return synthesis(a, d, bank, mode, size)

    assert gradcheck(forth, x, check_forward_ad=True, check_batched_grad=True)
    assert gradcheck(back, coefficients, check_forward_ad=True)
    # of the squares, because the second derivative of a linear map is zero whatever its first is
    assert gradgradcheck(lambda x: tuple(c**2 for c in forth(x)), x)
    assert gradgradcheck(lambda a, d: back(a, d) ** 2, coefficients)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype, mode):
    bank, x = FilterBank.from_pywt("bior4.4"), draw(3, 9, 14).to(dtype)
    found, wanted = analysis(x, bank, mode), analysis(x.float(), bank, mode)
    assert all(torch.equal(f, w.to(dtype)) for f, w in zip(found, wanted, strict=True))
    again = synthesis(*found, bank, mode, (9, 14))
    assert again.dtype == dtype
    assert close(again, x, 8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("mode", MODES)
def test_complex_images_are_two_real_ones(mode):
    bank, x = FilterBank.from_pywt("db2"), torch.complex(draw(7, 10), draw(7, 10, seed=1))
    found = analysis(x, bank, mode)
    parts = zip(analysis(x.real, bank, mode), analysis(x.imag, bank, mode), strict=True)
    assert all(torch.equal(f, torch.complex(re, im)) for f, (re, im) in zip(found, parts, strict=True))
    assert close(torch.view_as_real(synthesis(*found, bank, mode, (7, 10))), torch.view_as_real(x), 1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_leading_dimensions_and_strides(mode):
    bank, x = FilterBank.from_pywt("bior2.2"), draw(2, 3, 9, 12)
    approx, details = analysis(x, bank, mode)
    for same in (x.contiguous(memory_format=torch.channels_last), x.mT.contiguous().mT, x.flip(0).flip(0)):
        assert torch.equal(analysis(same, bank, mode)[1], details)
    assert torch.equal(analysis(x[1, 2], bank, mode)[0], approx[1, 2])
    assert torch.equal(analysis(x[:, None, ::1], bank, mode)[0], approx[:, None])
    empty_approx, empty_details = analysis(x[:0], bank, mode)
    assert empty_approx.shape == (0, *approx.shape[1:])
    assert empty_details.shape == (0, *details.shape[1:])
    assert synthesis(empty_approx, empty_details, bank, mode, (9, 12)).shape == (0, 3, 9, 12)


@pytest.mark.parametrize("mode", MODES)
def test_meta_vmap_and_forward_mode(mode):
    bank, x = FilterBank.from_pywt("bior2.2"), draw(4, 5, 6)
    approx, details = analysis(x, bank, mode)
    meta = analysis(x.to("meta"), bank, mode)
    assert [c.shape for c in meta] == [approx.shape, details.shape]
    assert synthesis(*meta, bank, mode, (5, 6)).is_meta

    mapped = torch.func.vmap(lambda one: analysis(one, bank, mode))(x)
    assert torch.equal(mapped[1], details)
    energy = torch.func.vmap(torch.func.grad(lambda one: analysis(one, bank, mode)[1].square().sum()))(x)
    tracked = x.clone().requires_grad_()
    analysis(tracked, bank, mode)[1].square().sum().backward()
    assert close(energy, tracked.grad, 1e-12)

    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(analysis(forward_ad.make_dual(x, 2 * x), bank, mode)[0]).tangent
    assert close(tangent, 2 * approx, 1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_the_graph_is_captured_whole(mode):
    bank, x = FilterBank.from_pywt("bior4.4"), draw(2, 7, 8)

    def there_and_back(x):
        return synthesis(*analysis(x, bank, mode), bank, mode, (7, 8))

    assert close(torch.compile(there_and_back, fullgraph=True, backend="eager")(x), x, EXACT)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("mode", MODES)
def test_cuda_equals_the_cpu(mode):
    bank, x = FilterBank.from_pywt("bior4.4"), draw(2, 3, 13, 22)
    found, wanted = analysis(x.cuda(), bank, mode), analysis(x, bank, mode)
    assert all(f.is_cuda and close(f.cpu(), w, 1e-12) for f, w in zip(found, wanted, strict=True))


def test_what_is_refused():
    bank = FilterBank.from_pywt("haar")
    with pytest.raises(TypeError, match="int64"):
        analysis(torch.ones(4, 4, dtype=torch.int64), bank, "zero")
    with pytest.raises(ValueError, match="height, width"):
        analysis(torch.ones(4), bank, "zero")
    with pytest.raises(ValueError, match="2×3 coefficients a band for an image of 4×5"):
        synthesis(torch.ones(2, 2), torch.ones(3, 2, 2), bank, "zero", (4, 5))
