"""Whatever is wrong: a clear message, its exit code, nothing lost, nothing left behind."""

import errno
import os
import shutil
import sys

import pytest
import torch

from tests.conftest import FIXTURES, install
from tests.runs import run_folders
from wavekit_core import registry
from wavekit_core.runs import publish
from wavekit_core.runs.owner import owned

RECIPE = """
name: small
data: {use: digits, size: 8}
generator: {use: tiny-gan}
train: {steps: 8, batch_size: 32, ema: 0.9, checkpoint_every: 4, log_every: 2}
samples: {count: 8, batch_size: 8}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The component `tiny-gan` for this module, and one thread."""
    folder = tmp_path_factory.mktemp("site")
    source = (FIXTURES / "tiny_gan.py").read_text()
    install(folder, "tiny-gan", source, {"wavekit.v1.generator": {"tiny-gan": "tiny_gan:TinyGan"}})
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        registry.installed.cache_clear()
        yield folder
    registry.installed.cache_clear()
    sys.modules.pop("tiny_gan", None)


@pytest.fixture(scope="module")
def finished(site, tmp_path_factory):
    """A recipe, and a finished run of it."""
    from wavekit_cli import main

    folder = tmp_path_factory.mktemp("finished")
    (folder / "small.yaml").write_text(RECIPE)
    assert main(["run", str(folder / "small.yaml"), "--out", str(folder / "run")]) == 0
    return folder / "small.yaml", folder / "run"


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run, to be spoilt."""
    return shutil.copytree(finished[1], tmp_path / "run")


def results(folder):
    """Everything whose bytes a fault on the way must not change."""
    files = [folder / "metrics.jsonl", folder / "evaluation.json"]
    files += [path for part in ("checkpoints", "samples") for path in (folder / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def leavings(folder):
    return [
        path
        for path in folder.rglob("*")
        if path.name.startswith((".tmp-", ".trash-", ".")) and "site" not in path.parts
    ]


def is_clear(err, *words):
    """One screen that begins with `error:` and says these words, without a traceback."""
    last = err[err.index("error: ") :]
    assert all(word in last for word in words), last
    assert "Traceback" not in err
    assert last.count("\n") <= 24


FAULTS = {
    "unknown component": ("-s", "generator={use: tiny-gam}", 2, "tiny-gam", "did you mean 'tiny-gan'"),
    "misspelt key": ("-s", "train.stepps=3", 2, "stepps", "did you mean 'steps'"),
    "wrong type": ("-s", "train.steps=many", 2, "train.steps", "valid integer"),
    "truth for a number": ("-s", "train.steps=true", 2, "train.steps", "valid integer"),
    "out of bounds": ("-s", "generator.width=65", 2, "width", "less than or equal to 64"),
    "not a number": ("-s", "train.clip=.nan", 2, "train.clip", ""),
    "impossible size": ("-s", "data.size=7", 2, "size", ""),
    "shards that do not divide": ("-s", "train.shards=5", 2, "divide", "divisor"),
    "no such set": ("-s", "data={use: image-folder, path: nowhere, size: 8}", 4, "nowhere", ""),
    "no such device": ("--device", "abacus", 6, "abacus", "cpu"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_recipe_that_cannot_run_writes_nothing(site, wavekit, tmp_path, name):
    *argv, code, what, remedy = FAULTS[name]
    (tmp_path / "small.yaml").write_text(RECIPE)
    before = set(tmp_path.iterdir())
    got, _, err = wavekit("run", "small.yaml", "--out", "new/deep/run", *argv)
    is_clear(err, what, remedy)
    assert got == code
    assert set(tmp_path.iterdir()) == before


def image(path, content=None):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), 100).save(path, "PNG")
    if content is not None:
        path.write_bytes(content(path.read_bytes()))


DATA = {
    "an empty folder": lambda root: root.mkdir(),
    "a truncated image": lambda root: image(root / "b.png", lambda raw: raw[:60]),
    "an image that is none": lambda root: image(root / "b.png", lambda raw: b"not an image"),
    "an empty image": lambda root: image(root / "b.png", lambda raw: b""),
    "a file": lambda root: root.write_bytes(b""),
}


@pytest.mark.parametrize("name", DATA)
def test_data_that_cannot_be_read_are_named(site, wavekit, tmp_path, name):
    root = tmp_path / "images"
    if "image" in name:
        image(root / "a.png")
    DATA[name](root)
    (tmp_path / "small.yaml").write_text(RECIPE)
    setting = f"data={{use: image-folder, path: '{root}', size: 8}}"
    code, _, err = wavekit("run", "small.yaml", "--out", "run", "-s", setting)
    is_clear(err, "b.png" if "image" in name else "images")
    assert code == 4
    assert not leavings(tmp_path)


def test_places_that_hold_no_run(site, wavekit, tmp_path):
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_bytes(b"mine")
    (tmp_path / "here").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for out, code, words in (
        ("file", 2, ["is a file, not a folder", "--out"]),
        ("full", 2, ["not empty", "--out"]),
        (".", 2, ["current folder", "--out"]),
        ("/", 2, ["no place for a run"]),
        ("file/below", 6, ["cannot be written", "--out"]),
        ("/proc/none/run", 6, ["cannot be written"]),
    ):
        # before the data are looked at, which may take long
        got, _, err = wavekit(
            "run", "small.yaml", "--out", out, "-s", "data={use: image-folder, path: nowhere, size: 8}"
        )
        is_clear(err, *words)
        assert got == code, out
        assert sorted(tmp_path.rglob("*")) == before


def test_a_run_of_another_recipe_is_left_alone(finished, wavekit, run):
    before = results(run)
    code, _, err = wavekit("run", finished[0], "--out", run, "-s", "train.ema=0.5")
    is_clear(err, "another recipe", "--out", "ema: 0.5")
    assert code == 2
    assert results(run) == before


def test_other_threads_are_refused(finished, run):
    from wavekit_core.errors import RecipeError
    from wavekit_core.recipe.recipe import load
    from wavekit_core.run import start
    from wavekit_core.watch import Watcher

    run_folders.rewrite(run, "lock.json", lambda lock: lock.update(steps=12))
    with pytest.raises(RecipeError, match="runs with 1 threads"):
        start(load(finished[0]), b"", run, torch.device("cpu"), Watcher(), threads=3)


def test_a_second_writer_is_told_who_the_first_is(finished, wavekit, run):
    with owned(run):
        code, _, err = wavekit("run", finished[0], "--out", run)
    is_clear(err, f"process {os.getpid()} on", "writes to it", "--out")
    assert code == 8


@pytest.mark.parametrize("at", [1, 3, 4, 6, 9, 10, 13, 14, 17, 18, 22, 24, 26])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
def test_a_fault_of_the_disk_ends_with_6_and_costs_nothing(finished, wavekit, tmp_path, at, fault):
    recipe, reference = finished
    real, count = publish._write, 0

    def failing(path, content):
        nonlocal count
        count += 1
        if count == at:
            raise OSError(fault, os.strerror(fault))
        real(path, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "_write", failing)
        code, _, err = wavekit("run", recipe, "--out", "run")
    assert code == 6
    is_clear(err, os.strerror(fault), "run the same command again")
    if at > 9:
        is_clear(err, "the last good checkpoint is step")
    assert wavekit("run", recipe, "--out", "run")[0] == 0
    assert results(tmp_path / "run") == results(reference)
    assert not leavings(tmp_path)


def test_a_disk_too_small_is_noticed_before_training(finished, wavekit, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=20_000))
    code, _, err = wavekit("run", finished[0], "--out", "run")
    is_clear(err, "the training", "needs", "0.0 MB free", "make room")
    assert code == 6
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_loss_that_is_not_finite_ends_with_7_and_spoils_nothing(finished, wavekit, tmp_path):
    code, _, err = wavekit("run", finished[0], "--out", "run", "-s", "generator.fault_at=7")
    is_clear(err, "step 7", "is nan", "learning rate", "the last good checkpoint is step 4")
    assert code == 7
    assert wavekit("verify", "run")[1].rstrip().endswith("newest restorable step: 4")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("command", ["sample", "evaluate", "report"])
def test_a_damaged_checkpoint_is_not_drawn_from(wavekit, run, command):
    flip(run / "checkpoints" / "step-00000008" / "model.safetensors")
    code, _, err = wavekit(command, run)
    is_clear(err, "model.safetensors", "--at", "4")
    assert code == 5


def test_weights_that_are_not_finite_are_named(wavekit, run):
    from safetensors.torch import load, save

    from wavekit_core.runs import manifest

    folder = run / "checkpoints" / "step-00000008"
    tensors = load((folder / "averaged.safetensors").read_bytes())
    name = next(iter(tensors))
    tensors[name].view(-1)[0] = torch.nan
    content = save(tensors)
    written = manifest.changed(folder, "averaged.safetensors", content)
    (folder / "averaged.safetensors").write_bytes(content)
    (folder / "manifest.json").write_bytes(written)
    code, _, err = wavekit("sample", run)
    is_clear(err, "averaged.safetensors", name, "not finite")
    assert code == 5


@pytest.mark.parametrize("name", ["lock.json", "manifest.json", "resolved.yaml"])
@pytest.mark.parametrize("command", ["run", "show", "sample", "verify"])
def test_a_head_edited_by_hand_is_refused(finished, wavekit, run, name, command):
    path = run / name
    path.write_text(path.read_text().replace("8", "9", 1))
    code, _, err = wavekit(*(("run", finished[0], "--out", run) if command == "run" else (command, run)))
    is_clear(err, name)
    assert code == 5


def test_arguments_out_of_range(wavekit, run):
    for argv, words in (
        (("sample", run, "--label", "10"), ["--label 10", "classes"]),
        (("sample", run, "--at", "5"), ["no checkpoint of step 5", "4, 8"]),
        (("evaluate", run, "--at", "-1"), ["no checkpoint of step -1", "4, 8"]),
        (("sample", "nowhere"), ["nowhere", "no such run"]),
    ):
        code, _, err = wavekit(*argv)
        is_clear(err, *words)
        assert code == 2


@pytest.mark.parametrize("fault", ["RuntimeError('its own mistake')", "SystemExit(0)"])
def test_a_plugin_that_raises_is_named(finished, wavekit, tmp_path, monkeypatch, fault):
    import tiny_gan

    scope = dict(vars(tiny_gan))
    exec(f"def broken(self, batch): raise {fault}", scope)
    monkeypatch.setattr(tiny_gan.TinyGan, "judge_loss", scope["broken"])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    code, _, err = wavekit("run", finished[0], "--out", "run")
    is_clear(err, "tiny-gan 1.0")
    assert code == 3
