"""Killed at any step and started again with the same command: the same bytes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import FIXTURES, install

RECIPE = """
name: kill
seed: 7
data: {use: digits, size: 8}
generator: {use: tiny-gan}
train: {steps: 30, batch_size: 32, shards: 4, ema: 0.9, checkpoint_every: 8, log_every: 3, warmup: 5, schedule: cosine}
samples: {count: 30, batch_size: 20}
"""


@pytest.fixture(scope="module")
def wavekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """`wavekit(argv, KILL_AT=3)` in a process that can be killed; returns its exit code."""
    site = tmp_path_factory.mktemp("site")
    source = (FIXTURES / "tiny_gan.py").read_text()
    install(site, "tiny-gan", source, {"wavekit.v1.generator": {"tiny-gan": "tiny_gan:TinyGan"}})
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    driver = subprocess.Popen(
        [sys.executable, "-P", str(FIXTURES / "driver.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert driver.stdin
    assert driver.stdout

    def call(*argv: str | Path, log: Path, **env: int) -> int:
        order = {"argv": list(map(str, argv)), "env": {k: str(v) for k, v in env.items()}, "log": str(log)}
        driver.stdin.write(json.dumps(order) + "\n")
        driver.stdin.flush()
        return int(driver.stdout.readline())

    call.site = site
    yield call
    driver.stdin.close()
    driver.wait(10)


@pytest.fixture(scope="module")
def reference(wavekit, tmp_path_factory) -> tuple[Path, dict[str, bytes]]:
    """The recipe, and the results of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("reference")
    path = folder / "kill.yaml"
    path.write_text(RECIPE)
    assert wavekit("run", path, "--out", folder / "run", log=folder / "log") == 0, (folder / "log").read_text()
    return path, results(folder / "run")


def results(run: Path) -> dict[str, bytes]:
    """Everything whose bytes must not depend on interruptions."""
    last = sorted((run / "checkpoints").iterdir())[-1]
    files = [*last.iterdir(), run / "metrics.jsonl", run / "evaluation.json"]
    files += [path for step in (run / "samples").iterdir() for path in step.iterdir()]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def test_sigkill_at_random_steps(wavekit, reference, tmp_path):
    recipe, expected = reference
    rng = random.Random(0)
    for case in range(6):
        run, log = tmp_path / f"run{case}", tmp_path / f"log{case}"
        for _ in range(3):
            code = wavekit("run", recipe, "--out", run, log=log, KILL_AT=rng.randint(1, 20 * 4))
            assert code in (0, -9), log.read_text()
        assert wavekit("run", recipe, "--out", run, log=log) == 0, log.read_text()
        assert results(run) == expected
        assert not [*run.rglob(".tmp-*"), *run.rglob(".trash-*")]
        assert wavekit("verify", run, log=log) == 0


def test_sigkill_right_after_a_checkpoint_is_published(wavekit, reference, tmp_path):
    recipe, expected = reference
    run, log = tmp_path / "run", tmp_path / "log"
    assert wavekit("run", recipe, "--out", run, log=log, KILL_AFTER_SAVE=16) == -9
    assert not (run / "samples" / "step-00000016").exists()
    assert wavekit("run", recipe, "--out", run, log=log) == 0
    assert results(run) == expected


def test_sigterm_saves_the_step_and_ends_with_143(wavekit, reference, tmp_path):
    recipe, expected = reference
    run, log = tmp_path / "run", tmp_path / "log"
    assert wavekit("run", recipe, "--out", run, log=log, TERM_AT=4 * 10 + 1) == 143
    assert (run / "checkpoints" / "step-00000011").exists()
    assert "saved at step 11" in log.read_text()
    assert wavekit("run", recipe, "--out", run, log=log) == 0
    assert "going on from step 11" in log.read_text()
    assert results(run) == expected


def test_a_damaged_checkpoint_falls_back_to_the_one_before(wavekit, reference, tmp_path):
    recipe, expected = reference
    run, log = tmp_path / "run", tmp_path / "log"
    assert wavekit("run", recipe, "--out", run, log=log, KILL_AFTER_SAVE=24) == -9
    victim = run / "checkpoints" / "step-00000024" / "model.safetensors"
    content = bytearray(victim.read_bytes())
    content[-3] ^= 1
    victim.write_bytes(content)
    assert wavekit("verify", run, log=log) == 5
    assert wavekit("run", recipe, "--out", run, log=log) == 0
    assert "step 24 is passed over" in log.read_text()
    assert wavekit("verify", run, log=log) == 0
    assert results(run) == expected


def test_damaged_samples_are_drawn_again(wavekit, reference, tmp_path):
    recipe, expected = reference
    run, log = tmp_path / "run", tmp_path / "log"
    assert wavekit("run", recipe, "--out", run, log=log, KILL_AT=4 * 18) == -9
    victim = run / "samples" / "step-00000016" / "samples.npz"
    victim.write_bytes(victim.read_bytes()[:-1])
    assert wavekit("run", recipe, "--out", run, log=log) == 0
    assert "samples of step 16 are drawn again" in log.read_text()
    assert results(run) == expected


def test_a_signal_in_the_last_step_loses_nothing(wavekit, reference, tmp_path):
    recipe, expected = reference
    run, log = tmp_path / "run", tmp_path / "log"
    assert wavekit("run", recipe, "--out", run, log=log, TERM_AT=4 * 30) == 143
    assert (run / "checkpoints" / "step-00000030").exists()
    assert wavekit("run", recipe, "--out", run, log=log) == 0
    assert results(run) == expected


def test_a_signal_at_a_checkpoint_does_not_write_it_twice(wavekit, reference, tmp_path):
    recipe, expected = reference
    run, log = tmp_path / "run", tmp_path / "log"
    assert wavekit("run", recipe, "--out", run, log=log, TERM_AT=4 * 16, TELL=1) == 143
    assert log.read_text().count("checkpoint 16 is written") == 1
    assert not (run / "samples" / "step-00000016").exists()
    assert wavekit("run", recipe, "--out", run, log=log) == 0
    assert results(run) == expected


def test_a_changed_plugin_is_refused(wavekit, reference, tmp_path):
    recipe, _ = reference
    run, log = tmp_path / "run", tmp_path / "log"
    assert wavekit("run", recipe, "--out", run, log=log, KILL_AFTER_SAVE=8) == -9
    module = wavekit.site / "tiny_gan.py"
    source = module.read_text()
    try:
        module.write_text(source + "# another\n")
        assert wavekit("run", recipe, "--out", run, log=log) == 2
        assert "the sources of tiny-gan 1.0 changed" in log.read_text()
    finally:
        module.write_text(source)
    assert wavekit("run", recipe, "--out", run, log=log) == 0


def test_a_finished_run_is_left_alone_and_extended_on_demand(wavekit, reference, tmp_path):
    recipe, _ = reference
    run, log = tmp_path / "run", tmp_path / "log"
    constant = ("-s", "train.schedule=constant")
    assert wavekit("run", recipe, "--out", run, *constant, log=log) == 0
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert wavekit("run", recipe, "--out", run, *constant, log=log) == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before
    assert wavekit("run", recipe, "--out", run, "--extend", "6", *constant, log=log) == 0
    assert (run / "checkpoints" / "step-00000036").exists()
    assert b'data-step="36"' in (run / "report.html").read_bytes()


def test_an_interrupted_extension_goes_on_and_is_not_extended_again(wavekit, reference, tmp_path):
    recipe, _ = reference
    run, log = tmp_path / "run", tmp_path / "log"
    constant = ("run", recipe, "--out", run, "-s", "train.schedule=constant")
    assert wavekit(*constant, log=log) == 0
    assert wavekit(*constant, "--extend", "6", log=log, KILL_AT=4) == -9
    started = json.loads((run / "lock.json").read_text())
    assert wavekit(*constant, "--extend", "6", log=log) == 0
    assert (run / "checkpoints" / "step-00000036").exists()
    assert json.loads((run / "lock.json").read_text()) == started
    assert started["steps"] == 36


def test_a_cosine_schedule_is_not_extended(wavekit, reference, tmp_path):
    recipe, _ = reference
    run, log = tmp_path / "run", tmp_path / "log"
    assert wavekit("run", recipe, "--out", run, log=log) == 0
    assert wavekit("run", recipe, "--out", run, "--extend", "6", log=log) == 2
    assert "a cosine schedule ends with its run" in log.read_text()


def test_another_recipe_or_environment_is_refused_with_the_difference(wavekit, reference, tmp_path):
    recipe, expected = reference
    run, log = tmp_path / "run", tmp_path / "log"
    assert wavekit("run", recipe, "--out", run, log=log, KILL_AFTER_SAVE=8) == -9
    assert wavekit("run", recipe, "--out", run, "-s", "train.ema=0.8", log=log) == 2
    assert "+  ema: 0.8" in log.read_text()
    lock = json.loads((run / "lock.json").read_text())
    lock["torch"] = "1.0"
    from wavekit_core.runs.publish import publish_listed

    publish_listed(run, "lock.json", json.dumps(lock).encode())
    assert wavekit("run", recipe, "--out", run, log=log) == 2
    assert "torch: 1.0 then" in log.read_text()
    assert wavekit("run", recipe, "--out", run, "--resume-anyway", log=log) == 0
    assert json.loads((run / "lock.json").read_text())["inexact"] is True
    got = results(run)
    assert got["metrics.jsonl"] == expected["metrics.jsonl"]
