"""The run folder: nothing damaged, forged or foreign in it is taken for what wavekit wrote."""

import json
import os
import random
import shutil

import pytest

from tests.runs import run_folders
from wavekit_core.errors import DamagedError, RecipeError, ResourceError
from wavekit_core.runs import manifest
from wavekit_core.runs.folder import RunFolder
from wavekit_core.runs.verify import verify


@pytest.fixture
def folder(tmp_path):
    return run_folders.make(tmp_path / "run")


def test_a_whole_run_is_verified(folder):
    found = verify(folder.path)
    assert found.step == 20
    assert found.files == 4 + 2 * 5 + 2 * 3
    assert found == verify(folder.path)


def test_the_fingerprint_covers_weights_metrics_and_samples(folder, tmp_path):
    prints = {verify(folder.path).fingerprint}
    for name in ("model.safetensors", "averaged.safetensors"):
        other = run_folders.make(tmp_path / name)
        files = manifest.read_checked(other.checkpoint(20)) | {name: b"other"}
        shutil.rmtree(other.checkpoint(20))
        other.save_checkpoint(20, files, keep=9)
        prints.add(verify(other.path).fingerprint)
    folder.log({"step": 21})
    prints.add(verify(folder.path).fingerprint)
    folder.publish_samples(20, {"grid.png": b"other"})
    prints.add(verify(folder.path).fingerprint)
    assert len(prints) == 5


def flip(path, rng):
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def cut(path, rng):
    os.truncate(path, rng.randrange(path.stat().st_size))


def grow(path, rng):
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randint(1, 99)))


def zero(path, rng):
    path.write_bytes(bytes(path.stat().st_size))


def remove(path, rng):
    path.unlink()


def exchange(path, rng):
    other = rng.choice([one for one in path.parent.iterdir() if one != path])
    mine = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(mine)


def add(path, rng):
    (path.parent / f"extra{rng.randrange(9)}.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")


def link(path, rng):
    path.rename(path.parent.parent / "moved")
    path.symlink_to("../moved")


def pipe(path, rng):
    path.unlink()
    os.mkfifo(path)


def folder_instead(path, rng):
    path.unlink()
    path.mkdir()


CHANGES = [flip, flip, flip, cut, cut, grow, zero, remove, exchange, add, link, pipe, folder_instead]


def corrupt(folder, seed):
    """Damage one file of the newest checkpoint."""
    rng = random.Random(seed)
    files = sorted(folder.checkpoint(20).iterdir())
    rng.choice(CHANGES)(rng.choice(files), rng)


@pytest.mark.parametrize("seed", range(150))
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_is_offered(folder, seed):
    corrupt(folder, seed)
    with pytest.raises(DamagedError, match="step-00000020"):
        verify(folder.path)
    offered = list(folder.restorable())
    assert [step for step, _ in offered] == [20, 10]
    assert isinstance(offered[0][1], DamagedError)
    assert isinstance(offered[1][1], dict)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(150, 3000))
def test_every_damaged_checkpoint_is_noticed(folder, seed):
    corrupt(folder, seed)
    with pytest.raises(DamagedError):
        verify(folder.path)


@pytest.mark.parametrize("name", ["recipe.yaml", "resolved.yaml", "lock.json", "evaluation.json", "manifest.json"])
@pytest.mark.parametrize("change", [flip, cut, grow, remove, link, pipe, folder_instead])
def test_a_damaged_head_is_noticed(folder, name, change):
    change(folder.path / name, random.Random(1))
    with pytest.raises(DamagedError):
        verify(folder.path)


@pytest.mark.parametrize("change", [flip, cut, remove, exchange, add, link, pipe, folder_instead])
def test_damaged_samples_are_noticed(folder, change):
    change(folder.sample_folder(10) / "grid.png", random.Random(1))
    with pytest.raises(DamagedError, match="step-00000010"):
        verify(folder.path)


@pytest.mark.parametrize("change", [flip, cut, zero, remove, link, pipe, folder_instead])
def test_a_damaged_log_is_noticed(folder, change):
    change(folder.metrics, random.Random(1))
    with pytest.raises(DamagedError, match=r"metrics\.jsonl"):
        verify(folder.path)


@pytest.mark.parametrize("name", ["checkpoints", "samples"])
def test_checkpoints_and_samples_are_folders_of_the_run(folder, name):
    (folder.path / name).rename(folder.path.parent / "moved")
    (folder.path / name).symlink_to(folder.path.parent / "moved")
    with pytest.raises(DamagedError, match=name):
        verify(folder.path)


@pytest.mark.parametrize("name", ["recipe.yaml", "resolved.yaml", "lock.json"])
def test_a_head_that_lists_too_little_is_refused(folder, name):
    listed = manifest.listing(folder.path)
    del listed[name]
    (folder.path / "manifest.json").write_bytes(manifest._written(listed))
    with pytest.raises(DamagedError, match=f"does not list {name}"):
        folder.head()


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_checkpoint_that_lists_too_little_is_refused(folder, name):
    path = folder.checkpoint(20)
    listed = manifest.listing(path)
    del listed[name]
    (path / name).unlink()
    (path / "manifest.json").write_bytes(manifest._written(listed))
    with pytest.raises(DamagedError, match=f"has no {name}"):
        verify(folder.path)


def test_what_cannot_be_read_now_is_not_offered_as_damaged(folder, monkeypatch):
    real = os.open

    def failing(path, *args, **kwargs):
        if "step-00000020" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(ResourceError, match="cannot be read"):
        list(folder.restorable())


@pytest.mark.parametrize(
    "name", ["step-0000000020", "step-٠٠٠٠٠٠٢٠", "step-20", "step-000000200", ".tmp-step-00000030"]
)
def test_only_names_that_wavekit_writes_are_checkpoints(folder, name):
    shutil.copytree(folder.checkpoint(20), folder.checkpoints / name)
    assert folder.steps() == [10, 20]


def test_the_newest_is_chosen_by_step_and_the_oldest_pruned(folder):
    os.utime(folder.checkpoint(10))
    for step in (5, 30):
        folder.save_checkpoint(step, run_folders.checkpoint(folder, step), keep=3)
    assert folder.steps() == [10, 20, 30]
    assert next(folder.restorable())[0] == 30


def test_the_log_is_cut_back_to_a_checkpoint(folder):
    length = len(folder.metrics.read_bytes())
    folder.log({"step": 21})
    with open(folder.metrics, "ab") as file:
        file.write(b'{"half a li')
    folder.truncate_metrics(length)
    assert [row["step"] for row in folder.rows()] == [10, 20]


@pytest.mark.parametrize("line", [b"no json\n", b"[]\n", b"\xff\n", b"{\n"])
def test_a_log_line_that_is_no_row_is_named(folder, line):
    with open(folder.metrics, "ab") as file:
        file.write(line)
    with pytest.raises(DamagedError, match=r"metrics\.jsonl"):
        folder.rows()


def test_a_killed_writers_leavings_are_removed_and_its_promise_kept(folder):
    path = folder.path
    new = json.dumps(run_folders.LOCK | {"steps": 30}).encode()
    (path / ".tmp-lock.json").write_bytes(new)
    (path / "manifest.json").write_bytes(manifest.changed(path, "lock.json", new))
    assert folder.lock()["steps"] == 30
    for left in (path / ".tmp-report.html", path / "checkpoints" / ".tmp-step-00000030"):
        left.mkdir()
    for left in (path / "samples" / ".trash-step-00000010", path.parent / ".tmp-run", path.parent / ".trash-run"):
        left.mkdir()
        (left / "x").write_bytes(b"x")
    folder.tidy()
    assert folder.lock()["steps"] == 30
    assert {one.name for one in path.parent.iterdir()} == {"run"}
    assert not [one for one in path.rglob("*") if one.name.startswith(".")]
    verify(path)


def test_a_new_run_wants_an_empty_place(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "broken").symlink_to("nowhere")
    for name, what in {"file": "is a file", "broken": "is a file", ".": "not empty"}.items():
        with pytest.raises(RecipeError, match=what):
            RunFolder(tmp_path / name).require_free()
    (tmp_path / "empty").mkdir()
    RunFolder(tmp_path / "empty").require_free()
    RunFolder(tmp_path / "new").require_free()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(RecipeError, match="current folder"):
        RunFolder(tmp_path / "empty").require_free()
