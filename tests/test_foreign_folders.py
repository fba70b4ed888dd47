"""Folders that wavekit did not write, or that somebody changed."""

import os

import pytest

from tests.runs import run_folders


@pytest.fixture
def run(tmp_path):
    return run_folders.make(tmp_path / "run").path


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), os.mkdir])
@pytest.mark.parametrize("name", ["lock.json", "metrics.jsonl", "checkpoints/step-00000020/state.json"])
def test_links_and_pipes_in_a_run_folder_are_refused(wavekit, run, name, make):
    (run / name).unlink()
    make(run / name)
    code, _, err = wavekit("verify", run)
    assert err.startswith("error: ")
    assert name.rpartition("/")[2] in err
    assert code == 5


def test_a_folder_that_is_no_run(wavekit, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "lock.json").write_text("{}")
    for command in ("show", "sample", "verify", "report", "evaluate"):
        code, _, err = wavekit(command, "other")
        assert "manifest.json: missing" in err
        assert code == 5
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
