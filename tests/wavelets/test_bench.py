"""The measurement of the transforms: what it measures, what it writes, what it refuses. Never how fast anything is."""

import json
import re
import runpy
from pathlib import Path

import pytest
import torch
from wavekit_cli.commands import bench_transforms

from wavekit_core.errors import RecipeError
from wavekit_core.wavelets import bench, forced
from wavekit_core.wavelets.bench import Case, measured, served
from wavekit_core.wavelets.kernels import names, unavailable
from wavekit_core.wavelets.peers import found

ROOT = Path(__file__).parents[2]
TINY = (Case((2, 1, 16, 16), "haar", levels=2), Case((2, 1, 16, 16), "bior4.4", "whole-symmetric", 1))
CPU = torch.device("cpu")
needs_numba = pytest.mark.skipif("haar" in unavailable(), reason="numba cannot be imported")
TIMES = {"forward": ("preallocated", "fresh"), "inverse": ("preallocated", "fresh")}
TIMES |= {"forward+backward": ("fresh",), "inverse+backward": ("fresh",)}


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    before = torch.get_num_threads()
    rows = measured(TINY, threads=(1, 2), rounds=2)
    assert torch.get_num_threads() == before
    return rows


def test_there_is_a_row_a_case_operation_number_of_threads_and_kind_of_memory(rows):
    wanted = {
        (case.wavelet, case.mode, threads, operation, memory)
        for case in TINY
        for threads in (1, 2)
        for operation, memories in TIMES.items()
        for memory in memories
    }
    keys = ("wavelet", "mode", "threads", "operation", "memory")
    assert len(rows) == len(wanted)
    assert {tuple(row[key] for key in keys) for row in rows} == wanted
    for row in rows:
        assert row["shape"] == [2, 1, 16, 16]
        assert row["levels"] == (2 if row["wavelet"] == "haar" else 1)
        assert row["kernel"] in names()
        assert row["why"]
        assert all(value > 0 for key, value in row.items() if key.endswith("_ms"))


def test_peers_stand_in_the_fresh_rows_of_the_modes_that_they_have(rows):
    with_gradient = set(found()) - {"PyWavelets"}
    for row in rows:
        peers = {key.removesuffix("_ms") for key in row if key.endswith("_ms")} - {"ours", "copy"}
        if row["memory"] == "preallocated" or row["mode"] == "whole-symmetric":
            assert not peers
        else:
            assert peers == (with_gradient if "backward" in row["operation"] else set(found()))


@needs_numba
def test_it_is_said_which_kernel_serves_and_why():
    assert served(Case((1, 1, 8, 8), "haar"), CPU) == ("haar", "the first that is tried")
    assert served(Case((1, 1, 8, 8), "bior4.4"), CPU) == ("lifting", "haar does not serve it")
    assert served(Case((1, 1, 8, 8), "db4"), CPU) == ("polyphase", "haar, lifting does not serve it")
    with forced("torch"):
        assert served(Case((1, 1, 8, 8), "haar"), CPU) == ("torch", "forced")


def test_without_peers_ours_stand_alone():
    rows = measured(TINY[:1], threads=(1,), rounds=2, peers=False)
    assert [key for row in rows for key in row if key.endswith("_ms")] == ["ours_ms", "copy_ms"] * 6


@needs_numba
def test_cases_that_a_forced_kernel_does_not_serve_are_left_out():
    rows = measured(TINY, threads=(1,), kernel="haar", rounds=2)
    assert {(row["wavelet"], row["kernel"], row["why"]) for row in rows} == {("haar", "haar", "forced")}


def test_an_unknown_kernel_and_a_kernel_that_serves_nothing_are_refused():
    with pytest.raises(RecipeError, match=r"no transform kernel 'fast'; there are: .*polyphase"):
        measured(TINY, kernel="fast")
    with pytest.raises(RecipeError, match=r"none of the cases can be computed: .*triton"):
        measured(TINY, kernel="triton", rounds=2)
    with pytest.raises(RecipeError, match=r"none of the cases can be computed: .*whole-symmetric"):
        measured(TINY[1:], kernel="pytorch-wavelets", rounds=2)


def test_tables_say_the_share_of_the_copy_and_the_best_peer():
    common = {"shape": [1, 1, 8, 8], "wavelet": "haar", "mode": "zero", "levels": 1, "threads": 1, "kernel": "haar"}
    made = [
        {"operation": "forward", "memory": "preallocated", "ours_ms": 2.0, "copy_ms": 1.0},
        {"operation": "inverse", "memory": "preallocated", "ours_ms": 4.0, "copy_ms": 1.0},
        {"operation": "forward", "memory": "fresh", "ours_ms": 2.0, "copy_ms": 1.5, "a_ms": 9.0, "b_ms": 6.0},
        {"operation": "forward+backward", "memory": "fresh", "ours_ms": 4.0, "copy_ms": 1.5, "a_ms": 10.0},
    ]
    (first, copies), (second, peers) = bench_transforms.tables([common | row for row in made])
    assert (first, second) == ("preallocated, 1 thread, ms", "fresh, 1 thread, ms")
    assert list(copies.lines) == [["1×1×8×8 haar, zero", "haar", "1", "2", "0.50", "4", "0.25"]]
    assert peers.head[-4:] == ["share", "a", "b", "best peer / ours"]
    assert [line[-4:] for line in peers.lines] == [["0.75", "9", "6", "3.0×"], ["0.75", "10", "", "2.5×"]]


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(bench, "QUICK", TINY)


def test_the_command_prints_tables_and_writes_figures_that_the_documentation_takes(
    tiny, wavekit, tmp_path, monkeypatch
):
    argv = (
        "bench",
        "transforms",
        "--quick",
        "--rounds",
        "2",
        "--threads",
        "1",
        "--json",
        "t.json",
        "--picture",
        "t.png",
    )
    code, out, err = wavekit(*argv)
    assert code == 0, err
    assert "2×1×16×16 haar, periodization" in out
    assert "bior4.4 (whole-symmetric)" in out
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    result = json.loads((tmp_path / "t.json").read_text())
    assert {"shape", "wavelet", "levels", "mode", "operation", "threads", "kernel", "ours_ms", "copy_ms"} <= set(
        result["rows"][0]
    )
    assert result["versions"]["torch"] == torch.__version__.partition("+")[0] or torch.__version__
    tables = runpy.run_path(str(ROOT / "docs" / "tables.py"))
    monkeypatch.setitem(tables["read"].__globals__, "RESULTS", tmp_path)
    text = tables["section"]("t")
    assert "| fresh, 1 thread, ms | operation |" in text
    assert "| 2×1×16×16 haar, periodization |" in text
    assert "`wavekit bench transforms --quick --rounds 2 --threads 1`" in text


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("--kernel", "fast"), 2, "there are: haar"),
        (("--threads", "0"), 2, "--threads"),
        (("--json", "."), 2, "is a folder"),
        (("--json", "nowhere/t.json"), 6, "cannot be written"),
        (("--picture", "nowhere/t.png"), 6, "cannot be written"),
        (("--device", "gpu"), 6, "is no device"),
    ],
)
def test_what_cannot_be_measured_or_written_is_said_before_anything_is_measured(tiny, wavekit, argv, code, said):
    found_code, out, err = wavekit("bench", "transforms", "--quick", *argv)
    assert (found_code, out) == (code, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_cuda_device_none_is_measured(tiny, wavekit):
    code, _, err = wavekit("bench", "transforms", "--quick", "--device", "cuda")
    assert code == 6
    assert "there is no CUDA device here" in err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_cuda_device_is_measured_by_its_own_clock():
    rows = measured(TINY, "cuda", rounds=2)
    assert all(row["ours_ms"] > 0 and row["copy_ms"] > 0 and "PyWavelets_ms" not in row for row in rows)


def test_doctor_has_a_line_a_kernel_and_says_what_is_forced(wavekit, monkeypatch):
    monkeypatch.delenv("WAVEKIT_KERNEL", raising=False)
    code, out, _ = wavekit("doctor")
    assert code == 0
    lines = out.splitlines()
    for name in names():
        assert sum(line.startswith(f"transform kernel {name}: ") for line in lines) == 1
    assert "transform kernel torch: usable" in lines
    assert "forced kernel: none" in lines
    assert any(line.startswith(("numba ", "numba: ")) for line in lines)
    monkeypatch.setenv("WAVEKIT_KERNEL", "torch")
    assert "forced kernel: torch (WAVEKIT_KERNEL)" in wavekit("doctor")[1]
    monkeypatch.setenv("WAVEKIT_KERNEL", "fast")
    code, out, _ = wavekit("doctor")
    assert code == 0
    assert "broken: WAVEKIT_KERNEL: there is no transform kernel 'fast'" in out


def test_what_the_page_on_transforms_shows_does_what_it_says():
    shown: dict = {}
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "transforms.md").read_text(), re.S):
        exec(block, shown)
    x, approx, details, y = (shown[name] for name in ("x", "approx", "details", "y"))
    assert approx.shape == (8, 3, 8, 7)
    assert [d.shape[-2:] for d in details] == [(8, 7), (16, 13), (32, 25)]
    assert (x - y).abs().max() < 1e-5
    low, high = shown["DWTForward"](J=2, wave="db2", mode="zero")(x)
    assert (shown["DWTInverse"]("db2", "zero")((low, high))[..., :63, :50] - x).abs().max() < 1e-5
