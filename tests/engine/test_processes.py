"""One process and several follow the same trajectory; and a loss that averages no gradients is noticed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import FIXTURES
from wavekit_core.engine.processes import Processes, environment
from wavekit_core.errors import RecipeError


def trained(out: Path, kind: str, shards: int, count: int, *more: str) -> list[subprocess.Popen[str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    return [
        subprocess.Popen(
            [sys.executable, str(FIXTURES / "one_of_many.py"), kind, str(shards), str(out), *more],
            env=os.environ | shared | {"RANK": str(index), "LOCAL_RANK": str(index)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(count)
    ]


def result(out: Path, *how: object) -> dict:
    for process in trained(out, *how):  # type: ignore[arg-type]
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    return json.loads(out.read_text())


@pytest.mark.parametrize(
    ("kind", "shards", "counts", "near"), [("float64", 4, (2, 4), 1e-10), ("float32", 2, (2,), 1e-4)]
)
def test_processes_follow_the_trajectory_of_one(tmp_path, kind, shards, counts, near):
    alone = result(tmp_path / "1.json", kind, shards, 1)
    for count in counts:
        several = result(tmp_path / f"{count}.json", kind, shards, count)
        for name, weights in alone["weights"].items():
            assert weights == pytest.approx(several["weights"][name], rel=0, abs=near)
        for one, other in zip(alone["rows"], several["rows"], strict=True):
            assert one == pytest.approx(other, rel=1e3 * near)


def test_a_loss_that_goes_around_the_step_is_noticed(tmp_path):
    for process in trained(tmp_path / "out.json", "float64", 2, 2, "around"):
        _, said = process.communicate(timeout=120)
        assert process.returncode != 0
        assert "a loss went around Step" in said


def test_shards_are_divided_in_order():
    assert [list(Processes(index, 3).mine(6)) for index in range(3)] == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(RecipeError, match=r"train\.shards=2"):
        Processes(0, 2).mine(3)


def test_one_process_talks_to_nobody():
    alone = Processes()
    assert alone.share({"a": b"1"}) == {"a": b"1"}
    assert alone.range_of(3.0) == (3.0, 3.0)
    assert alone.any(True)
    assert alone.sum(torch.ones(2)).tolist() == [1, 1]


def test_half_an_environment_is_a_fault(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(RecipeError, match="torchrun"):
        environment()
