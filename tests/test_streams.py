"""Standard streams that are closed or full."""

import subprocess
import sys

import pytest

from tests.runs import run_folders


@pytest.fixture
def run(tmp_path):
    return run_folders.make(tmp_path / "run").path


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_closed_streams_do_not_reach_the_files(run, closed):
    command = f"exec {sys.executable} -m wavekit_cli verify {run} {closed}"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0
    assert ended.stderr == ""


def test_a_full_standard_output_is_a_fault_of_resources(run):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "wavekit_cli", "verify", str(run)]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert ended.returncode == 6
    assert ended.stderr == "error: No space left on device; mend that and run the same command again\n"
