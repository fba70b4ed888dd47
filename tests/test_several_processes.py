"""`wavekit run --processes 2`: killed anywhere and started again, the same bytes; signals and exit codes pass through."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load

from tests.conftest import FIXTURES, install
from tests.test_resume import results

RECIPE = """
name: several
seed: 7
data: {use: digits, size: 8}
generator: {use: tiny-gan}
train: {steps: 24, batch_size: 32, shards: 4, ema: 0.9, checkpoint_every: 8, log_every: 3, threads: 1, keep: 4}
samples: {count: 30, batch_size: 20}
"""
PER_STEP = 2  # shards of one of two processes


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Callable[..., subprocess.Popen[str]]:
    """`start(run, processes, KILL_AT=3)` starts `wavekit run` on the recipe."""
    site = tmp_path_factory.mktemp("site")
    install(
        site,
        "tiny-gan",
        (FIXTURES / "tiny_gan.py").read_text(),
        {"wavekit.v1.generator": {"tiny-gan": "tiny_gan:TinyGan"}},
    )
    (site / "recipe.yaml").write_text(RECIPE)
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])

    def begin(run: Path, processes: int, *more: str, **env: object) -> subprocess.Popen[str]:
        argv = ["run", str(site / "recipe.yaml"), "--out", str(run), "--processes", str(processes), *more]
        return subprocess.Popen(
            [sys.executable, "-m", "wavekit_cli", *argv],
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | {k: str(v) for k, v in env.items()},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    return begin


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def weights(run: Path, step: int = 24) -> dict:
    folder = run / "checkpoints" / f"step-{step:08d}"
    return load((folder / "model.safetensors").read_bytes()) | {
        f"averaged {k}": v for k, v in load((folder / "averaged.safetensors").read_bytes()).items()
    }


@pytest.fixture(scope="module")
def reference(start, tmp_path_factory) -> dict[str, bytes]:
    run = tmp_path_factory.mktemp("several") / "run"
    code, said = ended(start(run, 2))
    assert code == 0, said
    return results(run)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_run_and_the_same_command_goes_on(start, reference, tmp_path, rank):
    run = tmp_path / "run"
    code, said = ended(start(run, 2, KILL_AT=12 * PER_STEP, KILL_RANK=rank))
    assert code == 6, said
    assert f"process {rank + 1} of 2 was ended by SIGKILL" in said
    code, said = ended(start(run, 2))
    assert code == 0, said
    assert "going on from step 8" in said
    assert results(run) == reference
    assert not [*run.rglob(".tmp-*"), *run.rglob(".trash-*")]


def test_a_signal_saves_the_step_and_ends_every_process(start, reference, tmp_path):
    run = tmp_path / "run"
    process = start(run, 2, TERM_AT=14 * PER_STEP, KILL_RANK=1)
    code, said = ended(process)  # the signal reached one process only: they stop together all the same
    assert code == 143, said
    assert "saved at step 14" in said
    code, said = ended(start(run, 2))
    assert code == 0, said
    assert "going on from step 14" in said
    assert results(run) == reference


def test_no_process_outlives_its_launcher(start, tmp_path):
    run = tmp_path / "run"
    process = start(run, 2, "-s", "train.steps=1000000")
    while not (run / "checkpoints").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    ended(process)
    until = time.monotonic() + 20
    while (lock := run.parent / ".run.lock").exists() and _held(lock):
        assert time.monotonic() < until
        time.sleep(0.1)


def _held(lock: Path) -> bool:
    import fcntl

    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_another_number_of_processes_goes_on_up_to_the_order_of_sums(start, tmp_path):
    run, straight = tmp_path / "run", tmp_path / "straight"
    stops = [(2, 6), (1, 15), (2, None)]
    for processes, stop in stops:
        per_step = 4 // processes
        done = {2: 0, 1: 6}.get(processes, 0) if stop else 0
        extra = {"TERM_AT": (stop - done) * per_step} if stop else {}
        code, said = ended(start(run, processes, **extra))
        assert code == (143 if stop else 0), said
    assert "2 instead of 1 processes: the same up to the order of sums" in said
    assert json.loads((run / "lock.json").read_text())["inexact"]
    assert ended(start(straight, 1))[0] == 0
    ours, theirs = weights(run), weights(straight)
    for name, tensor in ours.items():
        assert tensor == pytest.approx(theirs[name], rel=1e-4, abs=1e-5), name


def test_faults_are_said_once_with_their_exit_code(start, tmp_path):
    code, said = ended(start(tmp_path / "a", 2, "-s", "train.shards=3", "-s", "train.batch_size=33"))
    assert (code, said.count("error:")) == (2, 1), said
    assert "2 processes cannot share train.shards: 3" in said
    code, said = ended(start(tmp_path / "b", 2, "-s", "generator.fault_at=7"))
    assert (code, said.count("error:")) == (7, 1), said
    assert "step 4" in said
