"""Other libraries beside ours: they compute the same numbers, and as an engine only what they get right."""

import sys

import gradients
import numpy as np
import pytest
import pywt
import torch

from wavekit_core.errors import PluginError, RecipeError
from wavekit_core.wavelets import FilterBank, analysis, forced, synthesis
from wavekit_core.wavelets.kernels import pytorch_wavelets as engine
from wavekit_core.wavelets.kernels.pytorch_wavelets import refusal
from wavekit_core.wavelets.peers import PEERS, Peer, default_dtype, found, pytorch_wavelets

pytestmark = pytest.mark.filterwarnings("ignore")
needs_pytorch_wavelets = pytest.mark.skipif(
    "pytorch-wavelets" not in found(), reason="pytorch-wavelets is not installed"
)


def draw(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(1))


def close(one: torch.Tensor, other: torch.Tensor, tolerance: float = 1e-12) -> bool:
    return one.shape == other.shape and bool((one - other).abs().max() <= tolerance * (1 + other.abs().max()))


@pytest.mark.parametrize("kind", PEERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("wavelet", ["haar", "db2", "bior4.4"])
@pytest.mark.parametrize("size", [(32, 48), (31, 33)], ids=str)
def test_every_peer_computes_the_numbers_of_pywavelets_and_inverts(
    kind: type[Peer], wavelet: str, size: tuple[int, int]
):
    if kind.name not in found():
        pytest.skip(f"{kind.name} is not installed")
    x = draw(2, 3, *size)
    for mode in kind.modes:
        peer = kind(wavelet, mode, 2, x)
        tensors = peer.split(x)
        approx, details = peer.bands(tensors)
        wanted = pywt.wavedec2(x.numpy(), wavelet, mode, 2)
        assert close(approx, torch.from_numpy(wanted[0]))
        assert all(close(d, torch.from_numpy(np.stack(w, -3))) for d, w in zip(details, wanted[1:], strict=True))
        assert close(peer.join(tensors)[..., : size[0], : size[1]], x, 1e-9)


@needs_pytorch_wavelets
def test_pytorch_wavelets_is_imported_whole_and_its_stand_in_for_setuptools_does_not_stay():
    library = pytorch_wavelets()
    assert "resource_stream" not in vars(sys.modules.get("pkg_resources", object)) or hasattr(
        sys.modules["pkg_resources"], "working_set"
    )
    low, high = library.DTCWTForward(J=2)(torch.ones(1, 1, 16, 16))  # reads its tables through pkg_resources
    assert low.shape == (1, 1, 8, 8)
    assert all(level.abs().max() < 1e-5 for level in high)


@needs_pytorch_wavelets
@pytest.mark.parametrize(
    ("wavelet", "mode", "levels", "size"),
    [
        ("haar", "periodization", 2, (16, 24)),
        ("db3", "periodization", 1, (8, 14)),
        ("bior4.4", "periodization", 2, (24, 28)),
        ("haar", "zero", 3, (9, 7)),
        ("db3", "zero", 2, (15, 4)),
        ("bior4.4", "zero", 3, (13, 22)),
    ],
)
@pytest.mark.parametrize("lead", [(2, 3), (), (2, 1, 2)], ids=str)
def test_the_engine_gives_our_numbers_and_our_gradients(wavelet, mode, levels, size, lead):
    bank, x = FilterBank.from_pywt(wavelet), draw(*lead, *size).requires_grad_()

    def results() -> list[torch.Tensor]:
        approx, details = analysis(x, bank, mode, levels)
        bands = [band.detach().requires_grad_() for band in (approx, *details)]
        image = synthesis(bands[0], bands[1:], bank, mode, size)
        forward = torch.autograd.grad([approx, *details], x, [band.detach().cos() for band in (approx, *details)])
        return [approx, *details, image, *forward, *torch.autograd.grad(image, bands, x.detach().sin())]

    with forced("torch"):
        wanted = results()
    with forced("pytorch-wavelets"):
        given = results()
    assert all(close(one, other) for one, other in zip(given, wanted, strict=True))


@needs_pytorch_wavelets
def test_the_engine_gives_details_a_gradient_where_the_approximation_needs_none():
    bank, x = FilterBank.from_pywt("haar"), draw(1, 1, 8, 8)
    approx, (details,) = analysis(x, bank, "zero", 1)
    leaf = details.clone().requires_grad_()
    with forced("pytorch-wavelets"):
        (gradient,) = torch.autograd.grad(synthesis(approx, [leaf], bank, "zero", (8, 8)), leaf, x)
    assert close(gradient, details)  # Haar is orthonormal: the adjoint of the synthesis is the analysis


@needs_pytorch_wavelets
def test_the_engine_rounds_half_precision_once_and_refuses_an_empty_batch():
    bank, x = FilterBank.from_pywt("bior4.4"), draw(2, 1, 24, 28, dtype=torch.float16)
    with forced("pytorch-wavelets"):
        approx, details = analysis(x, bank, "periodization", 2)
        with pytest.raises(RecipeError, match="no empty batch"):
            analysis(x[:0], bank, "periodization", 2)
        image = synthesis(approx, details, bank, "periodization", (24, 28))
    with forced("torch"):
        wide, _ = analysis(x.float(), bank, "periodization", 2)
    assert approx.dtype == details[0].dtype == image.dtype == torch.float16
    assert close(approx.float(), wide.half().float(), 1e-3)
    assert close(image.float(), x.float(), 1e-2)


@pytest.mark.parametrize(
    ("wavelet", "mode", "size", "said"),
    [
        ("haar", "symmetric", (8, 8), "its gradient in symmetric is wrong"),
        ("haar", "reflect", (8, 8), "its gradient in reflect is wrong"),
        ("db2", "periodic", (8, 8), "its gradient in periodic is wrong"),
        ("db2", "constant", (8, 8), "it has no mode constant"),
        ("bior2.2", "whole-symmetric", (8, 8), "it has no mode whole-symmetric"),
        ("haar", "periodization", (8, 7), "a level has 8×7"),
        ("bior4.4", "periodization", (12, 16), "a level has 6×8"),
        ("haar", "zero", (8,), "images only"),
    ],
)
def test_the_engine_refuses_what_the_library_gets_wrong(wavelet, mode, size, said):
    levels = 2 if wavelet == "bior4.4" else 1
    bank, x = FilterBank.from_pywt(wavelet), draw(1, *size)
    assert said in str(refusal(bank, mode, levels, size))
    bands = analysis(x, bank, mode, levels, axes=len(size))
    with forced("pytorch-wavelets"):
        with pytest.raises(RecipeError, match=said):
            analysis(x, bank, mode, levels, axes=len(size))
        with pytest.raises(RecipeError, match=said):
            synthesis(*bands, bank, mode, size)


def test_the_engine_says_how_to_install_the_library_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_wavelets", None)
    engine._modules.cache_clear()
    with forced("pytorch-wavelets"), pytest.raises(PluginError, match=r"pip install .*setuptools"):
        analysis(draw(1, 8, 8), FilterBank.from_pywt("haar"), "zero")


def test_filters_are_built_in_the_dtype_asked_for_and_the_default_comes_back():
    before = torch.get_default_dtype()
    with default_dtype(torch.float64):
        assert torch.tensor(1.0).dtype == torch.float64
    assert torch.get_default_dtype() == before


class Tripled(torch.autograd.Function):
    """x to 3 x, with a gradient of `factor`."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return 3 * x

    @staticmethod
    def backward(ctx, gradient):
        return ctx.factor * gradient, None


@pytest.mark.parametrize("factor", [3.0, 2.0, -3.0])
def test_the_error_of_a_gradient_is_that_of_its_closed_form(factor):
    error = gradients.error_of(lambda given: [Tripled.apply(given[0], factor)], [torch.Size((1, 1, 2, 3))])
    assert error == pytest.approx(abs(3 - factor) / 3, abs=1e-15)


@needs_pytorch_wavelets
@pytest.mark.parametrize(
    ("mode", "right"), [("zero", True), ("symmetric", False), ("reflect", False), ("periodic", False)]
)
def test_pytorch_wavelets_has_wrong_gradients_in_three_modes_where_ours_are_right(mode, right):
    kind = next(peer for peer in PEERS if peer.name == "pytorch-wavelets")
    peer, size = kind("db2", mode, 1, draw(1)), (8, 10)
    worst, ours = gradients.worst, gradients.ours
    assert worst(*ours("db2", mode, 1, size), size) < 1e-14
    theirs = worst(lambda given: peer.split(given[0]), lambda bands: [peer.join(bands)], size)
    assert (theirs < 1e-14) == right


def test_a_cell_of_the_table_of_gradients_names_the_wavelets_that_are_wrong():
    cell = gradients.cell
    assert cell([("haar", 2e-16), ("db2", 3e-16)]) == "3e-16"
    assert cell([("haar", 2e-16), ("db2", 0.5)]) == "**wrong, 0.5** (db2)"
    assert cell([("haar", float("nan")), ("db2", 0.5)]).startswith("**wrong")
    assert cell([("haar", "fails: too small"), ("db2", 1e-16)]) == "1e-16; fails (haar)"
    assert cell([("haar", None), ("db2", None)]) == "–"


@needs_pytorch_wavelets
def test_the_engine_can_be_differentiated_twice():
    bank, x = FilterBank.from_pywt("db2"), draw(1, 1, 6, 8).requires_grad_()
    with forced("pytorch-wavelets"):

        def there_and_back(x: torch.Tensor) -> torch.Tensor:
            approx, details = analysis(x, bank, "zero", 1)
            return synthesis(approx**2, [details[0] ** 3], bank, "zero", (6, 8))

        assert torch.autograd.gradcheck(there_and_back, x)
        assert torch.autograd.gradgradcheck(there_and_back, x)
