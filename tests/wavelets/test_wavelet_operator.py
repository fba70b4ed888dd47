"""The operators, by every kernel: equal to PyWavelets, invertible, with the exact adjoint as gradient."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from wavekit_core.compiled import places
from wavekit_core.errors import RecipeError
from wavekit_core.wavelets import MODES, FilterBank, analysis, forced, synthesis
from wavekit_core.wavelets.borders import coefficient_count
from wavekit_core.wavelets.kernels import available, cpu
from wavekit_core.wavelets.plan import plan_of

pytestmark = pytest.mark.filterwarnings("ignore:Level value", "ignore:.*functorch")

PYWAVELETS = [mode for mode in MODES if mode != "whole-symmetric"]
WAVELETS = ["haar", "db2", "sym5", "coif3", "bior1.3", "bior2.2", "bior3.1", "bior4.4", "bior6.8", "rbio3.9", "rbio5.5"]
SYMMETRIC = ["haar", "bior2.2", "bior2.6", "bior4.4", "bior6.8"]
EXACT = 1e-10  # PyWavelets' tables are rounded: bior4.4 reconstructs to 2e-12
LEAN = settings(max_examples=60, deadline=None, derandomize=True)
cases = st.one_of(
    st.tuples(st.sampled_from(WAVELETS), st.sampled_from(PYWAVELETS)),
    st.tuples(st.sampled_from(SYMMETRIC), st.just("whole-symmetric")),
)
sizes = st.tuples(st.integers(2, 65), st.integers(2, 65))


def draw(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def flat(bands: tuple) -> list[torch.Tensor]:
    return [bands[0], *bands[1]]


def fitting(bank: FilterBank, mode: str, size: tuple[int, ...], levels: int) -> int:
    """At most `levels`, as many as have something to split."""
    for level in range(levels):
        if min(size) < 2:
            return max(level, 1)
        size = tuple(coefficient_count(n, bank.length, mode) for n in size)
    return levels


def kernels(bank: FilterBank, mode: str, levels: int, size: tuple[int, ...], dtype: torch.dtype) -> list[str]:
    plan = plan_of(bank, mode, levels, size)
    return ["torch", *(k.name for k in available() if k.serves(plan, torch.device("cpu"), dtype))]


def reference(x: torch.Tensor, wavelet: str, mode: str, levels: int) -> list[torch.Tensor]:
    approx, *details = pywt.wavedec2(x.numpy(), wavelet, mode, levels)
    return [torch.from_numpy(approx), *(torch.from_numpy(np.stack(d, -3)) for d in details)]


def close(found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> bool:
    found, wanted = found.detach().double(), wanted.detach().double()
    return bool((found - wanted).abs().max() <= tolerance * max(1.0, float(wanted.abs().max())))


@LEAN
@given(st.sampled_from(WAVELETS), st.sampled_from(PYWAVELETS), sizes, st.integers(1, 5))
def test_equals_pywavelets_and_inverts(wavelet, mode, size, levels):
    bank = FilterBank.from_pywt(wavelet)
    levels = fitting(bank, mode, size, levels)
    x = draw(2, *size)
    wanted = reference(x, wavelet, mode, levels)
    for dtype, equal, inverse in ((torch.float64, 1e-12, EXACT), (torch.float32, 4e-6, 4e-6)):
        for kernel in kernels(bank, mode, levels, size, dtype):
            with forced(kernel):
                found = analysis(x.to(dtype), bank, mode, levels)
                assert all(close(f, w, equal) for f, w in zip(flat(found), wanted, strict=True)), (kernel, dtype)
                again = synthesis(*found, bank, mode, size)
                assert again.shape == x.shape
                assert close(again, x, inverse), (kernel, dtype)


@LEAN
@given(st.sampled_from(WAVELETS), st.sampled_from(PYWAVELETS), sizes, st.integers(1, 3))
def test_synthesis_of_any_coefficients_equals_pywavelets(wavelet, mode, size, levels):
    bank = FilterBank.from_pywt(wavelet)
    levels = fitting(bank, mode, size, levels)
    approx, *details = (torch.randn_like(b) for b in reference(draw(*size), wavelet, mode, levels))
    wanted = approx.numpy()
    for band in details:
        wanted = wanted[tuple(slice(n) for n in band.shape[1:])]  # PyWavelets gives one row more for an odd size
        wanted = pywt.idwt2((wanted, tuple(band.numpy())), wavelet, mode)
    wanted = torch.from_numpy(wanted[: size[0], : size[1]].copy())
    for kernel in kernels(bank, mode, levels, size, torch.float64):
        with forced(kernel):
            assert close(synthesis(approx, details, bank, mode, size), wanted, 1e-12), kernel


@LEAN
@given(st.sampled_from(SYMMETRIC), sizes, st.integers(1, 5))
def test_whole_symmetric_has_as_many_coefficients_as_pixels_and_inverts(wavelet, size, levels):
    bank, mode = FilterBank.from_pywt(wavelet), "whole-symmetric"
    levels = fitting(bank, mode, size, levels)
    x = draw(2, *size)
    with forced("torch"):
        wanted = analysis(x, bank, mode, levels)
    numbers = wanted[0][0].numel()
    height, width = size
    for details in reversed(wanted[1]):
        cH, cV, cD = details[0]
        h, w = cH.shape
        assert not cH[height // 2 :].any()
        assert not cD[height // 2 :].any()
        assert not cV[:, width // 2 :].any()
        assert not cD[:, width // 2 :].any()
        numbers += height // 2 * w + h * (width // 2) + height // 2 * (width // 2)
        height, width = h, w
    assert numbers == x[0].numel()
    for dtype, tolerance in ((torch.float64, EXACT), (torch.float32, 4e-6)):
        for kernel in kernels(bank, mode, levels, size, dtype):
            with forced(kernel):
                found = analysis(x.to(dtype), bank, mode, levels)
                near = 1e-12 if dtype == torch.float64 else 4e-6
                assert all(close(f, w, near) for f, w in zip(flat(found), flat(wanted), strict=True)), (kernel, dtype)
                assert close(synthesis(*found, bank, mode, size), x, tolerance), (kernel, dtype)


@pytest.mark.parametrize("wavelet", ["bior2.2", "bior4.4"])
@pytest.mark.parametrize("size", [2, 3, 5, 8, 13, 64])
def test_whole_symmetric_is_a_filter_on_the_mirrored_signal(wavelet, size):
    bank, x = FilterBank.from_pywt(wavelet), draw(size)
    mirrored = np.pad(x.numpy(), 32, "reflect")
    approx, (details,) = analysis(x, bank, "whole-symmetric", axes=1)
    for band, taps, first in ((approx, bank.dec_lo, 0), (details, bank.dec_hi, 0)):
        # PyWavelets' filters meet sample 2i at tap F / 2
        wanted = [
            np.dot(taps[::-1], mirrored[k - bank.length // 2 + 1 :][: bank.length]) for k in range(32, 32 + size, 2)
        ]
        real = size // 2 if band is details else (size + 1) // 2
        np.testing.assert_allclose(band[first:real], wanted[:real], atol=1e-12)


@pytest.mark.parametrize("mode", PYWAVELETS)
@pytest.mark.parametrize("wavelet", [w for w in pywt.wavelist(kind="discrete") if w != "dmey"])
def test_every_wavelet_of_pywavelets(wavelet, mode):
    x, bank = draw(5, 8), FilterBank.from_pywt(wavelet)
    found, wanted = analysis(x, bank, mode), reference(x, wavelet, mode, 1)
    assert all(close(f, w, 1e-12) for f, w in zip(flat(found), wanted, strict=True))
    # coif17 and db38 have rounded tables
    exact = pywt.idwt2(pywt.dwt2(x.numpy(), wavelet, mode), wavelet, mode)[:5, :8]
    assert close(synthesis(*found, bank, mode, (5, 8)), torch.from_numpy(exact.copy()), 1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 3), (4, 1), (1, 1)])
def test_axes_of_one_sample_invert(mode, size):
    x = draw(*size)
    for wavelet in ("haar", "bior2.2", "bior4.4"):
        bank = FilterBank.from_pywt(wavelet)
        for kernel in kernels(bank, mode, 1, size, torch.float64):
            with forced(kernel):
                assert close(synthesis(*analysis(x, bank, mode), bank, mode, size), x, EXACT), kernel


@LEAN
@given(cases, sizes, st.integers(1, 3))
def test_the_gradient_is_the_adjoint_and_the_map_is_linear(case, size, levels):
    bank, mode = FilterBank.from_pywt(case[0]), case[1]
    levels = fitting(bank, mode, size, levels)
    for dtype, tolerance in ((torch.float64, 1e-11), (torch.float32, 4e-5)):
        for kernel in kernels(bank, mode, levels, size, dtype):
            with forced(kernel):
                x, z = draw(*size).to(dtype).requires_grad_(), draw(*size, seed=3).to(dtype)
                bands = flat(analysis(x, bank, mode, levels))
                y = [draw(*b.shape, seed=i).to(dtype) for i, b in enumerate(bands)]
                (pulled,) = torch.autograd.grad(bands, x, y)
                far = flat(analysis(z, bank, mode, levels))
                assert close((z * pulled).sum(), sum((f * a).sum() for f, a in zip(far, y, strict=True)), tolerance)
                both = flat(analysis(2 * x - 3 * z, bank, mode, levels))
                assert all(close(b, 2 * f - 3 * g, tolerance) for b, f, g in zip(both, bands, far, strict=True))

                given_ = [b.clone().requires_grad_() for b in y]
                image = synthesis(given_[0], given_[1:], bank, mode, size)
                pulled_bands = torch.autograd.grad(image, given_, z)
                inner = sum((p * b).sum() for p, b in zip(pulled_bands, y, strict=True))
                assert close(inner, (image * z).sum(), tolerance), kernel


@pytest.mark.parametrize("kernel", ["torch", "polyphase", "haar"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("wavelet", "size", "levels"), [("haar", (3, 4), 2), ("bior2.2", (3, 5), 1), ("bior4.4", (2, 3), 1)]
)
def test_gradients_of_every_order(wavelet, size, levels, mode, kernel):
    bank = FilterBank.from_pywt(wavelet)
    levels = fitting(bank, mode, size, levels)
    if kernel not in kernels(bank, mode, levels, size, torch.float64):
        pytest.skip(f"{kernel} does not serve {wavelet} in {mode}")
    x = draw(*size).requires_grad_()
    with forced(kernel):
        coefficients = tuple(c.detach().requires_grad_() for c in flat(analysis(x, bank, mode, levels)))

        def forth(x):
            return tuple(flat(analysis(x, bank, mode, levels)))

        def back(approx, *details):
            return synthesis(approx, details, bank, mode, size)

        assert gradcheck(forth, x, check_forward_ad=True)
        assert gradcheck(back, coefficients, check_forward_ad=True)
        # of the squares, because the second derivative of a linear map is zero whatever its first is
        assert gradgradcheck(lambda x: tuple(c**2 for c in forth(x)), x)
        assert gradgradcheck(lambda *c: back(*c) ** 2, coefficients)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype, mode, monkeypatch):
    monkeypatch.setattr("wavekit_core.wavelets.faces.CHUNK", 300)  # several chunks
    bank, x = FilterBank.from_pywt("bior4.4"), draw(3, 2, 9, 14).to(dtype)
    found, wanted = analysis(x, bank, mode, 2), analysis(x.float(), bank, mode, 2)
    assert all(torch.equal(f, w.to(dtype)) for f, w in zip(flat(found), flat(wanted), strict=True))
    again = synthesis(*found, bank, mode, (9, 14))
    assert again.dtype == dtype
    assert close(again, x, 8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("mode", MODES)
def test_complex_images_are_two_real_ones(mode):
    bank, x = FilterBank.from_pywt("bior2.2"), torch.complex(draw(7, 10), draw(7, 10, seed=1)).requires_grad_()
    found = flat(analysis(x, bank, mode))
    parts = zip(flat(analysis(x.real, bank, mode)), flat(analysis(x.imag, bank, mode)), strict=True)
    assert all(torch.equal(f, torch.complex(re, im)) for f, (re, im) in zip(found, parts, strict=True))
    again = synthesis(found[0], found[1:], bank, mode, (7, 10))
    assert close(torch.view_as_real(again), torch.view_as_real(x), 1e-11)
    again.abs().square().sum().backward()
    assert close(torch.view_as_real(x.grad), torch.view_as_real(2 * x), 1e-10)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wavelet", ["haar", "bior2.2"])
def test_leading_dimensions_and_strides(mode, wavelet):
    bank, x = FilterBank.from_pywt(wavelet), draw(2, 3, 9, 12)
    approx, (details,) = analysis(x, bank, mode)
    last = x.contiguous(memory_format=torch.channels_last)
    for same in (last, x.mT.contiguous().mT, x.flip(0).flip(0)):
        assert torch.equal(analysis(same, bank, mode)[1][0], details)
    assert analysis(last, bank, mode)[0].is_contiguous(memory_format=torch.channels_last)
    coefficients = approx.contiguous(memory_format=torch.channels_last)
    again = synthesis(coefficients, [details], bank, mode, (9, 12))
    assert again.is_contiguous(memory_format=torch.channels_last)
    assert close(again, x, EXACT)
    assert torch.equal(analysis(x[1, 2], bank, mode)[0], approx[1, 2])
    assert torch.equal(analysis(x[:, None, ::1], bank, mode)[0], approx[:, None])
    empty_approx, (empty_details,) = analysis(x[:0], bank, mode)
    assert empty_approx.shape == (0, *approx.shape[1:])
    assert empty_details.shape == (0, *details.shape[1:])
    assert synthesis(empty_approx, [empty_details], bank, mode, (9, 12)).shape == (0, 3, 9, 12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wavelet", ["haar", "bior2.2"])
def test_meta_vmap_and_forward_mode(mode, wavelet):
    bank, x = FilterBank.from_pywt(wavelet), draw(4, 5, 6)
    approx, (details,) = analysis(x, bank, mode)
    meta = analysis(x.to("meta"), bank, mode)
    assert [c.shape for c in flat(meta)] == [approx.shape, details.shape]
    assert synthesis(*meta, bank, mode, (5, 6)).is_meta

    mapped = torch.func.vmap(lambda one: analysis(one, bank, mode), in_dims=1)(x.movedim(0, 1))
    assert torch.equal(mapped[1][0], details)
    energy = torch.func.vmap(torch.func.grad(lambda one: analysis(one, bank, mode)[1][0].square().sum()))(x)
    tracked = x.clone().requires_grad_()
    analysis(tracked, bank, mode)[1][0].square().sum().backward()
    assert close(energy, tracked.grad, 1e-12)
    one_approx = torch.func.vmap(lambda d: synthesis(approx[0], [d], bank, mode, (5, 6)))(details)
    assert close(one_approx[0], x[0], EXACT)

    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(analysis(forward_ad.make_dual(x, 2 * x), bank, mode)[0]).tangent
    assert close(tangent, 2 * approx, 1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel", [None, "torch"])
def test_the_graph_is_captured_whole_with_its_gradients(mode, kernel):
    bank, x = FilterBank.from_pywt("bior4.4"), draw(2, 7, 8).requires_grad_()

    def bent(x):
        approx, details = analysis(x, bank, mode, 2)
        return synthesis(approx.square(), details, bank, mode, (7, 8))

    torch._dynamo.reset()
    with forced(kernel):
        compiled = torch.compile(bent, fullgraph=True, backend="aot_eager")
        assert close(compiled(x), bent(x), EXACT)
        found, wanted = (torch.autograd.grad(f(x).sin().sum(), x)[0] for f in (compiled, bent))
        assert close(found, wanted, 1e-9)


@pytest.mark.parametrize("mode", MODES)
def test_custom_operators_keep_their_promises(mode):
    from wavekit_core.wavelets.faces import described, join_op, split_op

    bank, x = FilterBank.from_pywt("bior2.2"), draw(2, 5, 6).requires_grad_()
    arguments = (*described(bank), mode, 2, [5, 6], False)
    torch.library.opcheck(split_op, (x, *arguments))
    bands = [b.detach().requires_grad_() for b in flat(analysis(x, bank, mode, 2))]
    torch.library.opcheck(join_op, (bands, *described(bank), mode, [5, 6], False))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wavelet", ["haar", "db3", "bior4.4"])
@pytest.mark.parametrize("size", [1, 2, 7, 16, 33])
def test_signals_are_transformed_along_their_axis(wavelet, mode, size):
    bank = FilterBank.from_pywt(wavelet)
    if mode == "whole-symmetric" and not bank.whole_symmetric:
        pytest.skip("not a symmetric wavelet")
    levels = fitting(bank, mode, (size,), 3)
    x = draw(3, size)
    for kernel in ("torch", "polyphase"):
        with forced(kernel):
            approx, details = analysis(x, bank, mode, levels, axes=1)
            again = synthesis(approx, details, bank, mode, (size,))
        assert close(again, x, EXACT)
        if mode != "whole-symmetric" and not (size == 1 and mode == "reflect"):  # PyWavelets refuses that
            low, high = pywt.dwt(x.numpy(), wavelet, mode)
            finest = analysis(x, bank, mode, 1, axes=1)
            assert close(finest[0], torch.from_numpy(low), 1e-12)
            assert close(finest[1][0], torch.from_numpy(high), 1e-12)


@pytest.mark.parametrize("kernel", ["torch", None])
@pytest.mark.parametrize("wavelet", ["haar", "bior4.4"])
def test_results_can_go_into_tensors_that_are_there(wavelet, kernel):
    bank, x = FilterBank.from_pywt(wavelet), draw(2, 3, 16, 12, dtype=torch.float32)
    with forced(kernel):
        wanted = analysis(x, bank, "periodization", 2)
        out = torch.empty_like(wanted[0]), tuple(torch.empty_like(d) for d in wanted[1])
        found = analysis(x, bank, "periodization", 2, out=out)
        assert found[0].data_ptr() == out[0].data_ptr()
        assert all(torch.equal(f, w) for f, w in zip(flat(out), flat(wanted), strict=True))
        image = torch.empty_like(x)
        assert synthesis(*out, bank, "periodization", (16, 12), out=image) is image
        assert close(image, x, 4e-6)
        with pytest.raises(ValueError, match="no gradient"):
            analysis(x.requires_grad_(), bank, "periodization", 2, out=out)
        with pytest.raises(ValueError, match="out has details of 2 levels, and the transform has 1"):
            analysis(x.detach(), bank, "periodization", 1, out=out)
        with pytest.raises(ValueError, match="contiguous"):
            synthesis(*out, bank, "periodization", (16, 12), out=image.double())


def test_results_do_not_depend_on_the_number_of_threads():
    x, before = draw(40, 64, 64, dtype=torch.float32), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            for wavelet in ("haar", "bior2.2", "db2"):
                bank = FilterBank.from_pywt(wavelet)
                bands = analysis(x, bank, "periodization", 3)
                found.append([*flat(bands), synthesis(*bands, bank, "periodization", (64, 64))])
    finally:
        torch.set_num_threads(before)
    for again in (found[3:6], found[6:]):
        assert all(
            torch.equal(a, b)
            for one, other in zip(again, found[:3], strict=True)
            for a, b in zip(one, other, strict=True)
        )


def test_large_results_go_past_the_caches_and_are_the_same():
    x = draw(5, 3, 128, 192, dtype=torch.float32)
    for wavelet in ("haar", "bior2.2", "bior4.4"):
        bank = FilterBank.from_pywt(wavelet)
        found = analysis(x, bank, "periodization", 3)
        for i in range(5):  # one image is below the limit
            few = analysis(x[i], bank, "periodization", 3)
            assert all(torch.equal(f, w[i]) for f, w in zip(flat(few), flat(found), strict=True))
            image = synthesis(*few, bank, "periodization", (128, 192))
            assert torch.equal(image, synthesis(*found, bank, "periodization", (128, 192))[i])


def test_the_room_to_work_in_is_less_than_a_level(monkeypatch):
    asked = []
    room = cpu._room
    monkeypatch.setattr(cpu, "_room", lambda size: asked.append(size) or room(size))
    before = torch.get_num_threads()
    x = draw(1, 1, 512, 512, dtype=torch.float32)
    try:
        torch.set_num_threads(1)
        for wavelet in ("haar", "bior4.4", "db4"):
            synthesis(*analysis(x, FilterBank.from_pywt(wavelet), "periodization", 4), FilterBank.from_pywt(wavelet),
                      "periodization", (512, 512))  # fmt: skip
    finally:
        torch.set_num_threads(before)
    rows = 4 * 20 * 512  # of numbers of four bytes: a handful of rows
    assert len(asked) == 6
    assert max(asked) <= x.nbytes * (1 / 4 + 1 / 16) + rows


def test_a_long_compilation_says_what_it_does(monkeypatch, caplog):
    monkeypatch.setattr(cpu, "PATIENCE", 0.01)
    with cpu._announced():
        time.sleep(0.2)
    assert "compiling the kernels of this transform" in caplog.text
    caplog.clear()
    with cpu._announced():
        pass
    time.sleep(0.05)
    assert not caplog.text


def test_kernels_are_kept_under_the_digest_of_their_sources(tmp_path):
    script = (
        "import torch; from wavekit_core.wavelets import FilterBank, analysis\n"
        "analysis(torch.ones(1, 4, 4), FilterBank.from_pywt('haar'), 'zero')\n"
        "from wavekit_core.wavelets.kernels import haar; print(sum(haar.split.stats.cache_hits.values()))"
    )
    found = []
    for _ in range(2):
        env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
        found.append(
            subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
        )
    assert [int(one.stdout) for one in found] == [0, 1]
    assert [folder.name for folder in tmp_path.iterdir()] == [places(Path(cpu.__file__).parent)[0].name]


def test_a_kernel_can_be_forced_and_says_what_it_does_not_serve(monkeypatch):
    bank, x = FilterBank.from_pywt("db2"), draw(4, 4)
    with forced("haar"), pytest.raises(RecipeError, match="'haar' does not serve db2 in zero"):
        analysis(x, bank, "zero")
    with pytest.raises(RecipeError, match="no transform kernel 'fast'; there are: haar"), forced("fast"):
        pass
    monkeypatch.setenv("WAVEKIT_KERNEL", "lifting")
    with pytest.raises(RecipeError, match="'lifting' does not serve"):
        analysis(x, bank, "zero")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("mode", MODES)
def test_cuda_equals_the_cpu(mode):
    bank, x = FilterBank.from_pywt("bior4.4"), draw(2, 3, 13, 22)
    found, wanted = analysis(x.cuda(), bank, mode, 2), analysis(x, bank, mode, 2)
    assert all(f.is_cuda and close(f.cpu(), w, 1e-12) for f, w in zip(flat(found), flat(wanted), strict=True))


def test_what_is_refused():
    bank = FilterBank.from_pywt("haar")
    with pytest.raises(TypeError, match="int64"):
        analysis(torch.ones(4, 4, dtype=torch.int64), bank, "zero")
    with pytest.raises(ValueError, match="height, width"):
        analysis(torch.ones(4), bank, "zero")
    with pytest.raises(ValueError, match="2×3 coefficients a band for an image of 4×5"):
        synthesis(torch.ones(2, 2), [torch.ones(3, 2, 2)], bank, "zero", (4, 5))
    with pytest.raises(ValueError, match="at least one level, not 0"):
        analysis(torch.ones(4, 4), bank, "zero", 0)
    with pytest.raises(ValueError, match="whole-symmetric needs"):
        analysis(torch.ones(4, 4), FilterBank.from_pywt("db2"), "whole-symmetric")
