"""The command line: light to start, complete in its exit codes, quiet where nobody listens."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from wavekit_cli.app import COMMANDS

from wavekit_core.errors import DataError

DENIED = ("torch", "numpy", "numba", "pydantic", "rich", "pluggy", "ruamel", "yaml", "wavekit_core", "click")


def test_help_imports_nothing_heavy():
    code = "import sys; from wavekit_cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ended.stderr.split()}
    assert not loaded & set(DENIED)
    assert "Train, sample, measure and report" in ended.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(wavekit, name):
    code, out, _ = wavekit(*name.split(), "--help")
    assert code == 0
    assert "Usage" in out


@pytest.mark.parametrize(
    "argv",
    [
        ("nonsense",),
        ("run",),
        ("run", "x.yaml", "--nonsense"),
        ("check", "nowhere.yaml"),
        ("verify", "nowhere"),
        ("sample", "x"),
    ],
)
def test_wrong_usage_is_exit_2(wavekit, argv):
    code, _, err = wavekit(*argv)
    assert code == 2
    assert err
    assert "Traceback" not in err


def test_version_and_lists(wavekit):
    assert "wavekit-core 0.1.0" in wavekit("--version")[1]
    assert "haar" in wavekit("plugins", "list")[1]
    assert "wavekit-wmgm-sgm" in wavekit("plugins", "search", "score")[1]
    assert "levels" in wavekit("plugins", "info", "haar")[1]
    assert "quickstart" in wavekit("recipes", "list")[1]
    assert "digits" in wavekit("data", "list")[1]
    assert "10 classes" in wavekit("data", "info", "digits")[1]
    assert "torch" in wavekit("doctor")[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(wavekit, shell):
    assert "_WAVEKIT_COMPLETE" in wavekit("completion", shell)[1]


def test_completion_knows_the_commands():
    env = os.environ | {"_WAVEKIT_COMPLETE": "complete_bash", "COMP_WORDS": "wavekit pl", "COMP_CWORD": "1"}
    code = "from wavekit_cli import entry; entry()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert ended.stdout.split() == ["plugins"]


def test_shipped_recipes_are_listed_copied_and_checked(wavekit, tmp_path):
    assert wavekit("recipes", "copy", "quickstart", tmp_path / "mine.yaml")[0] == 0
    assert wavekit("recipes", "copy", "quickstart", tmp_path / "mine.yaml")[0] == 2
    assert wavekit("check", tmp_path / "mine.yaml")[0] == 0


def test_a_closed_pipe_is_quiet():
    command = f"{sys.executable} -m wavekit_cli plugins list | head -1"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in ended.stderr
    assert ended.stderr == ""


def test_sigint_while_modules_are_imported_is_no_traceback():
    child = subprocess.Popen(
        [sys.executable, "-m", "wavekit_cli", "doctor"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        child.wait(0.4)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert "Traceback" not in err
    assert child.returncode in (0, 130, -signal.SIGINT)


def test_a_crash_is_a_short_message_and_a_file(wavekit, monkeypatch):
    def explode() -> None:
        raise AssertionError("deep inside")

    monkeypatch.setattr("wavekit_cli.commands.recipes_list.command", explode)
    code, _, err = wavekit("recipes", "list")
    assert code == 1
    assert "a fault of wavekit itself" in err
    assert "wavekit-crash-" in err


def test_progress_on_a_terminal(tmp_path):
    """A preview's own phase stands inside that of the training."""
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "data: {use: digits, size: 8}\ngenerator: {use: vae, levels: 1, width: 4}\nsampler: {use: posterior-fit, components: 1}\n"
        "train: {steps: 6, batch_size: 8, checkpoint_every: 2}\nsamples: {count: 10, batch_size: 10}\n"
    )
    master, slave = os.openpty()
    argv = [sys.executable, "-m", "wavekit_cli", "run", str(recipe), "--out", str(tmp_path / "run")]
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=slave, env=os.environ | {"TERM": "xterm"})
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert child.wait() == 0, shown.decode()
    assert b"images/s" in shown
    assert b"fitting the sampler" in shown


def test_samples_need_no_data(wavekit, tmp_path, monkeypatch):
    (tmp_path / "r.yaml").write_text(
        "data: {use: digits, size: 8}\ngenerator: {use: vae, levels: 1, width: 4}\nsampler: {use: posterior-fit, components: 1}\n"
        "train: {steps: 2, batch_size: 8}\nsamples: {count: 10, batch_size: 10}\n"
    )
    code, _, err = wavekit("run", "r.yaml", "--out", "run")
    assert code == 0, err
    with monkeypatch.context() as gone:
        gone.setattr(
            "wavekit_core.data.digits.Digits.__init__", lambda self, size=16: (_ for _ in ()).throw(DataError("gone"))
        )
        code, _, err = wavekit("sample", "run", "-n", "10", "-o", "s.npz")
        assert code == 0, err
        assert wavekit("evaluate", "run")[0] == 4  # that needs them
    with np.load(tmp_path / "s.npz") as drawn, np.load(next((tmp_path / "run" / "samples").rglob("*.npz"))) as kept:
        assert np.array_equal(drawn["images"], kept["images"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wvae", ["list of regularizers", "a transform", 'number above 0, or "learned"', "{use: haar, levels: 2}"]),
        ("npz", ["whole number of at least 1, or number above 0 and below 1, or text", "nothing", "true or false"]),
        ("bior", ['"bior1.1"', '"rbio6.8"']),
        ("image-folder", ["whole number from 1 to 4096", 'one of "file", "folder"', "one of 1, 3"]),
    ],
)
def test_what_a_component_takes_is_said_in_words_and_whole(wavekit, name, said):
    code, out, err = wavekit("plugins", "info", name)
    assert code == 0, err
    for words in said:
        assert words in out
    for jargon in ("Literal", "FieldInfo", "Annotated", "ge="):
        assert jargon not in out


@pytest.mark.parametrize(
    ("argv", "hint"),
    [(("chek",), "'check'?"), (("data", "ino"), "'info'?"), (("data", "zzz"), "there are: list, info")],
)
def test_an_unknown_command_gives_the_nearest(wavekit, argv, hint):
    code, _, err = wavekit(*argv)
    assert (code, hint in err) == (2, True)


def test_a_label_of_a_run_without_classes_is_refused(wavekit, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8))
    text = "data: {use: npz, path: x.npy}\ngenerator: {use: gmm, components: 1}\nsamples: {count: 4, batch_size: 4}\n"
    (tmp_path / "r.yaml").write_text(text + "evaluate: [{use: class-agreement}]\n")
    code, _, err = wavekit("run", "r.yaml", "--out", "run")
    assert code == 0, err
    assert "needs classes, and the data set has none" in err.partition("writing the report")[0]
    assert "has nothing to measure" not in err
    code, _, err = wavekit("sample", "run", "--label", "3")
    assert (code, "trained without classes; leave --label out" in err) == (2, True)
