"""The kernels on CUDA: equal to plain torch, by Triton's interpreter on the CPU and, where there is one, on a device.

Triton looks for TRITON_INTERPRET when it is imported, so the checks by the interpreter have a process of their own.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from wavekit_core.wavelets import MODES, FilterBank, analysis, forced, kernels, synthesis
from wavekit_core.wavelets.kernels import cuda
from wavekit_core.wavelets.plan import Plan, plan_of

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
MISSING = importlib.util.find_spec("triton") is None
needs_triton = pytest.mark.skipif(MISSING, reason="no Triton")
needs_device = pytest.mark.skipif(bool(cuda.unavailable()), reason="no CUDA device for Triton")

CASES = [(w, m) for w in ("haar", "db2", "bior2.2", "bior4.4") for m in MODES if m != "whole-symmetric" or w != "db2"]
LONG = [
    (w, m)
    for w in ("db1", "sym5", "coif3", "bior1.3", "rbio3.9", "bior6.8", "db20", "coif17")
    for m in MODES
    if m != "whole-symmetric" or w in ("db1", "bior6.8")
]
SIZES = [(5, 8), (22, 13), (2, 70), (67, 40), (9,), (141,), (64, 48)]
NEAR = {torch.float64: 1e-12, torch.float32: 4e-6}


def draw(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def drawn_bands(plan: Plan, planes: int) -> list[torch.Tensor]:
    """An approximation and details, coarse to fine."""
    stack = (3,) * (plan.axes == 2)
    shapes = [plan.sizes[-1], *((*stack, *count) for count in plan.sizes[:0:-1])]
    return [draw(planes, *shape, seed=i) for i, shape in enumerate(shapes)]


def plain(operator: str, plan: Plan, given):
    """`operator` of the plan in plain torch: of a transposed plan, the gradient of the other operator."""

    def forth(x):
        approx, details = analysis(x, plan.bank, plan.mode, plan.levels, plan.axes)
        return [approx, *details]

    def back(bands):
        return synthesis(bands[0], bands[1:], plan.bank, plan.mode, plan.size)

    with forced("torch"):
        if not plan.transposed:
            return forth(given) if operator == "split" else back(given)
        if operator == "split":
            bands = [b.requires_grad_() for b in drawn_bands(plan, len(given))]
            return torch.autograd.grad(back(bands), bands, given)
        x = draw(len(given[0]), *plan.size).requires_grad_()
        return torch.autograd.grad(forth(x), x, given)[0]


def check(plan: Plan, where: str = "cpu", planes: int = 2) -> None:
    """Both operators of the plan and of its transpose, in both precisions, equal plain torch."""
    x, bands = draw(planes, *plan.size), drawn_bands(plan, planes)
    for one in (plan, plan.T):
        images, coefficients = plain("join", one, bands), plain("split", one, x)
        for dtype, near in NEAR.items():
            found = [torch.full_like(b, torch.nan, dtype=dtype, device=where) for b in bands]
            cuda.run("split", one, x.to(where, dtype), found[0], found[:0:-1])
            image = torch.full_like(x, torch.nan, dtype=dtype, device=where)
            given = [b.to(where, dtype) for b in bands]
            cuda.run("join", one, image, given[0], given[:0:-1])
            for f, w in zip([*found, image], [*coefficients, images], strict=True):
                torch.testing.assert_close(
                    f.cpu().double(), w.detach(), rtol=0, atol=near * max(1, float(w.abs().max()))
                )


@pytest.fixture
def launched(monkeypatch):
    """The kernels launched so far."""
    names, launch = [], cuda._launch
    monkeypatch.setattr(cuda, "_launch", lambda *a, **k: names.append(a[0]) or launch(*a, **k))
    return names


@pytest.fixture
def hopper(monkeypatch):
    """Launches compile for a Hopper GPU, which need not be there, and do nothing else. What was compiled, as PTX."""
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    class Hopper:
        get_current_device = get_current_stream = staticmethod(lambda *_: 0)
        get_current_target = staticmethod(lambda: GPUTarget("cuda", 90, 32))
        get_active_torch_device = staticmethod(lambda: torch.device("cuda"))

    texts: list[str] = []

    def launch(kernel, programs, *arguments, **constants):
        text = kernel.warmup(*arguments, grid=(programs,), enable_fp_fusion=True, **constants).asm["ptx"]
        if text not in texts:
            texts.append(text)

    monkeypatch.setattr(cuda, "_launch", launch)
    monkeypatch.setattr(driver, "_active", Hopper())
    return texts


def drive(plan: Plan, dtype: torch.dtype) -> None:
    """Launches both operators, for nothing."""
    x, bands = draw(2, *plan.size).to(dtype), [b.to(dtype) for b in drawn_bands(plan, 2)]
    for operator in ("split", "join"):
        cuda.run(operator, plan, x, bands[0], bands[:0:-1])


class TestInterpreted:
    """Run by `TestHere.test_with_the_interpreter`."""

    __test__ = INTERPRETED

    @pytest.mark.parametrize(("wavelet", "mode"), CASES)
    def test_images_and_adjoints_equal_plain_torch(self, wavelet, mode):
        check(plan_of(FilterBank.from_pywt(wavelet), mode, 1, (5, 8)), planes=1)

    @pytest.mark.parametrize(
        ("wavelet", "mode", "size", "levels"),
        [
            ("haar", "periodization", (1, 3), 1),
            ("db3", "periodic", (2, 3), 2),
            ("haar", "symmetric", (16, 8), 3),
            ("bior2.2", "whole-symmetric", (38, 3), 1),
            ("db2", "constant", (3, 140), 1),
            ("bior4.4", "symmetric", (6, 7), 2),
        ],
    )
    def test_sizes_below_the_filter_of_several_blocks_and_levels(self, wavelet, mode, size, levels):
        check(plan_of(FilterBank.from_pywt(wavelet), mode, levels, size), planes=1)

    def test_taps_far_apart_need_smaller_blocks(self):
        near = FilterBank.from_pywt("db2").rec_lo
        taps = [tap for one in near for tap in (one, 0.0, 0.0)]  # H(z³) reconstructs as H(z) does
        plan = plan_of(FilterBank.from_scaling("far", taps), "periodization", 1, (40, 6))
        table = cuda.down_table(plan, "split", 40, torch.float64, torch.device("cpu"), torch.int32)
        assert table.step < (table.rows.shape[1] - 4) // 2 + 1
        check(plan, planes=1)

    @pytest.mark.parametrize("wavelet", ["haar", "bior2.2"])
    @pytest.mark.parametrize("mode", MODES)
    def test_signals_and_adjoints_equal_plain_torch(self, wavelet, mode):
        check(plan_of(FilterBank.from_pywt(wavelet), mode, 2, (13,)), planes=3)

    @pytest.mark.parametrize(("size", "levels", "launches"), [((18, 13), 1, 1), ((6, 135), 3, 1), ((18, 13), 4, 2)])
    def test_haar_needs_a_launch_for_three_levels(self, size, levels, launches, launched):
        check(plan_of(FilterBank.from_pywt("haar"), "symmetric", levels, size), planes=1)
        assert len(launched) == 8 * launches  # two operators of two plans in two precisions

    def test_another_bank_needs_a_launch_a_level(self, launched):
        check(plan_of(FilterBank.from_pywt("bior2.2"), "whole-symmetric", 3, (9, 12)), planes=1)
        assert len(launched) == 8 * 3

    def test_indices_of_64_bits_give_the_same(self, monkeypatch):
        monkeypatch.setattr(cuda, "FAR", 0)
        check(plan_of(FilterBank.from_pywt("bior2.2"), "reflect", 1, (7, 10)))

    def test_the_empty_place_of_whole_symmetric_is_not_read(self):
        plan = plan_of(FilterBank.from_pywt("bior4.4"), "whole-symmetric", 1, (7, 9))
        approx, details = drawn_bands(plan, 2)
        wanted = plain("join", plan, [approx, details])
        details[:, [0, 2], -1, :] = details[:, 1:, :, -1] = torch.nan
        image = torch.empty_like(wanted)
        cuda.run("join", plan, image, approx, [details])
        torch.testing.assert_close(image, wanted, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("wavelet", ["haar", "bior2.2"])
    def test_behind_the_operators_with_gradients_and_half_precision(self, wavelet, monkeypatch, launched):
        kernel = kernels.Kernel("triton", lambda plan, *_: cuda.serves(plan), cuda.run)
        monkeypatch.setattr(kernels, "available", lambda: (kernel,))
        bank, x = FilterBank.from_pywt(wavelet), draw(2, 3, 5, 6).requires_grad_()
        found = []
        for name in ("triton", "torch"):
            with forced(name):
                approx, details = analysis(x, bank, "symmetric", 2)
                image = synthesis(approx**2, details, bank, "symmetric", (5, 6))
                found.append([approx, *details, image, *torch.autograd.grad(image.sin().sum(), x)])
                half = analysis(x.detach().half(), bank, "symmetric")[0]
            single = analysis(x.detach().half().float(), bank, "symmetric")[0]
            assert torch.equal(half, single.half()) or name == "torch"
        assert launched
        for f, w in zip(*found, strict=True):
            torch.testing.assert_close(f, w, rtol=0, atol=1e-11)

    def test_filters_that_are_too_long_are_not_served(self):
        for length, served in ((128, True), (130, False)):
            bank = FilterBank.from_scaling("far", (0.5**0.5, *(0.0,) * (length - 2), 0.5**0.5))
            assert cuda.serves(plan_of(bank, "zero", 1, (4, 4))) is served

    @pytest.mark.long
    @pytest.mark.parametrize(("wavelet", "mode"), CASES + LONG)
    def test_more_wavelets_sizes_and_levels(self, wavelet, mode):
        at = (CASES + LONG).index((wavelet, mode))
        size = SIZES[at % len(SIZES)]
        check(plan_of(FilterBank.from_pywt(wavelet), mode, 1 if min(size) < 9 else 4, size), planes=1 + at % 3)


@needs_triton
class TestHere:
    """Without the interpreter."""

    __test__ = not INTERPRETED

    @pytest.mark.parametrize("part", ["not long", pytest.param("long", marks=pytest.mark.long)])
    def test_with_the_interpreter(self, part):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-m", part, __file__],
            env={**environment, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert ended.stdout.count("PASSED") >= (50 if part == "not long" else len(CASES + LONG))

    def test_factors_of_the_last_sample_are_those_of_the_kernel_on_the_cpu(self):
        haar = pytest.importorskip("wavekit_core.wavelets.kernels.haar")
        served = 0
        for mode in MODES:
            for size in ((5, 8), (4, 9), (7, 3)):
                for plan in (plan_of(haar.HAAR, mode, 2, size), plan_of(haar.HAAR, mode, 2, size).T):
                    for operator in ("split", "join"):
                        if haar.serves(plan):
                            assert cuda._haar_factors(plan, operator) == haar.ends(plan, operator)
                            served += 1
        assert served == 5 * 3 * 2 * 2

    def test_only_pairs_of_samples_are_taken_for_haar(self):
        for wavelet, mode, size in (("db2", "zero", (4, 4)), ("haar", "periodic", (5, 4)), ("haar", "zero", (4,))):
            assert cuda._haar_factors(plan_of(FilterBank.from_pywt(wavelet), mode, 1, size), "split") is None
        assert cuda._haar_factors(plan_of(FilterBank.from_pywt("haar"), "periodic", 1, (4, 6)), "split")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device")
    def test_a_missing_device_is_named_and_nothing_served(self):
        assert cuda.unavailable() == "needs a CUDA device, and there is none"
        cuda._works.cache_clear()
        with pytest.warns(UserWarning, match="Triton fails here, so plain torch"):
            assert not cuda.serves(plan_of(FilterBank.from_pywt("haar"), "zero", 1, (4, 4)))

    @pytest.mark.long
    @pytest.mark.parametrize("dtype", NEAR)
    def test_the_kernels_compile_for_hopper_once_for_many_sizes(self, dtype, hopper):
        for wavelet in ("haar", "bior4.4", "db20"):
            for size in ((4096,), (333, 222), (128, 128)):
                drive(plan_of(FilterBank.from_pywt(wavelet), "periodization", 1, size), dtype)
        drive(plan_of(FilterBank.from_pywt("haar"), "periodization", 5, (1024, 1024)), dtype)
        assert not any("atom." in text for text in hopper)  # sums in a fixed order
        compiled = len(hopper)
        assert compiled > 8
        for levels, size in ((5, (1280, 2048)), (1, (160, 640)), (1, (335, 226))):
            drive(plan_of(FilterBank.from_pywt("haar"), "periodization", levels, size), dtype)
        for size in ((335, 226), (777, 333), (160, 640), (16384,)):
            drive(plan_of(FilterBank.from_pywt("bior4.4"), "periodization", 1, size), dtype)
        assert len(hopper) == compiled

    @needs_device
    @pytest.mark.parametrize("mode", MODES)
    def test_a_device_equals_plain_torch(self, mode):
        for wavelet in (w for w, m in CASES + LONG if m == mode):
            for size in ((7, 10), (32, 32), (129, 200), (1000,)):
                check(plan_of(FilterBank.from_pywt(wavelet), mode, 2, size), "cuda")

    @needs_device
    @pytest.mark.parametrize("wavelet", ["haar", "bior4.4"])
    def test_a_device_gives_the_same_each_time(self, wavelet):
        plan = plan_of(FilterBank.from_pywt(wavelet), "symmetric", 5, (255, 257))
        x, found = draw(8, 255, 257, dtype=torch.float32).cuda(), []
        for _ in range(3):
            bands = [torch.empty_like(b, dtype=torch.float32, device="cuda") for b in drawn_bands(plan, 8)]
            cuda.run("split", plan, x, bands[0], bands[:0:-1])
            found.append(bands)
        assert all(torch.equal(a, b) for bands in found[1:] for a, b in zip(found[0], bands, strict=True))
