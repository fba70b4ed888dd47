"""`wavekit plugins install` and `uninstall`: pip, in an environment of the tests' own, with a folder of wheels for an index."""

import re
import sys
import venv

import pytest
from wavekit_cli import pip
from wavekit_cli.commands.plugins_install import requirement

from tests.conftest import SAME
from tests.environment import OFFLINE, environment, wheel
from wavekit_core.errors import PluginError, RecipeError, ResourceError
from wavekit_core.registry import installed

GROUP = "wavekit.v1.transform"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment to install into."""
    return environment(tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture
def shelf(tmp_path, python, monkeypatch):
    """A folder of wheels that stands for the index of that environment, in which the command line of this process works."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name, value in (OFFLINE | {"PIP_FIND_LINKS": str(folder)}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.syspath_prepend(str(next((python.parents[1] / "lib").glob("*/site-packages"))))
    installed.cache_clear()
    yield folder
    installed.cache_clear()


def table(out):
    return [line.split() for line in out.splitlines()]


def test_a_plugin_is_shown_installed_announced_and_removed(shelf, wavekit):
    wheel(shelf, "wk-helper", "2.1")
    wheel(shelf, "wk-shear", requires=["wk-helper", "numpy"], points={GROUP: {"shear": "wk_shear:Shear"}}, source=SAME)
    code, out, err = wavekit("plugins", "install", "wk-shear")
    assert code == 2
    assert table(out)[1:] == [["wk-helper", "2.1"], ["wk-shear", "1.0"]]
    assert "nothing is changed: there is no terminal to ask on; agree with --yes" in err
    assert pip.version_of("wk-shear") is None

    code, out, err = wavekit("plugins", "install", "wk-shear", "--yes")
    assert code == 0, err
    assert "new: transform shear, of wk-shear 1.0" in out
    assert (pip.version_of("wk-shear"), pip.version_of("wk-helper")) == ("1.0", "2.1")
    assert wavekit("plugins", "install", "wk-shear")[:2] == (0, "nothing to do: all of it is installed\n")

    wheel(shelf, "wk-shear", "1.1", points={GROUP: {"shear": "wk_shear:Shear"}}, source=SAME)
    newer = shelf / "wk_shear-1.1-py3-none-any.whl"
    installed.cache_clear()
    code, out, err = wavekit("plugins", "install", newer, "--yes")
    assert code == 0, err
    assert table(out)[1:2] == [["wk-shear", "1.0", "1.1"]]
    assert "no component is new" in out

    installed.cache_clear()
    code, out, err = wavekit("plugins", "uninstall", "wk-shear")
    assert code == 2
    assert table(out)[1:] == [["wk-shear", "1.1", "transform", "shear"]]
    assert pip.version_of("wk-shear") == "1.1"
    code, out, err = wavekit("plugins", "uninstall", "wk-shear", "--yes")
    assert code == 0, err
    assert "removed: wk-shear" in out
    assert pip.version_of("wk-shear") is None


def test_a_terminal_is_asked(shelf, wavekit, monkeypatch):
    wheel(shelf, "wk-asked")
    done = []
    monkeypatch.setattr(pip, "install", lambda requirements, changes: done.append(requirements))
    monkeypatch.setattr(pip, "components", lambda: ([], []))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for answer in ("", "n", "what"):
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        code, out, _ = wavekit("plugins", "install", "wk-asked")
        assert (code, "nothing is changed" in out, done) == (0, True, [])
    monkeypatch.setattr("builtins.input", lambda question: "Y")
    code, out, err = wavekit("plugins", "install", "wk-asked")
    assert (code, "no component is new" in out, done) == (0, True, [["wk-asked"]]), err


def test_the_newest_release_that_leaves_numpy_alone_is_taken(shelf, wavekit):
    wheel(shelf, "numpy", "1.26.4")
    wheel(shelf, "wk-old", "0.9", requires=["numpy"])
    wheel(shelf, "wk-old", "1.0", requires=["numpy<2"])
    _, out, _ = wavekit("plugins", "install", "wk-old")
    assert table(out)[1:] == [["wk-old", "0.9"]]


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_torch_and_numpy_are_never_moved_unasked(shelf, wavekit, name, monkeypatch):
    wheel(shelf, name, "1.0")
    wheel(shelf, "wk-mover", requires=[f"{name}==1.0"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: pytest.fail("asked"))
    code, out, err = wavekit("plugins", "install", "wk-mover")
    assert code == 2
    assert [name, pip.version_of(name), "1.0"] in table(out)
    assert f"would move {name} from {pip.version_of(name)} to 1.0" in err
    assert pip.version_of("wk-mover") is None


def test_with_yes_numpy_moves(shelf, wavekit, monkeypatch):
    wheel(shelf, "numpy", "1.0")
    wheel(shelf, "wk-mover", requires=["numpy==1.0"])
    done = []
    monkeypatch.setattr(pip, "install", lambda requirements, changes: done.extend(changes))
    monkeypatch.setattr(pip, "components", lambda: ([], []))
    assert wavekit("plugins", "install", "wk-mover", "--yes")[0] == 0
    assert pip.Change("numpy", pip.version_of("numpy"), "1.0") in done


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        ("wk-nowhere", 2, "Could not find a version that satisfies the requirement wk-nowhere"),
        ("wk-shelf>7", 2, "(from versions: 1.0)"),
        ("wk shelf!", 2, "Invalid requirement"),
        ("./nowhere", 2, "File './nowhere' does not exist"),
        ("wavekit", 2, "the project `wavekit` of the public index is another one"),
        ("Wavekit>=1", 2, "the project `wavekit` of the public index is another one"),
        ("lwd-mask", 3, "wavekit-lwd-mask is planned and not yet written"),
        ("wavekit-lwd-mask", 3, "is planned and not yet written"),
        ("./unbuildable", 3, "cannot be built: ValueError: Invalid version"),
    ],
)
def test_a_spec_that_cannot_be_installed_is_a_sentence(shelf, wavekit, tmp_path, spec, code, said):
    wheel(shelf, "wk-shelf")
    (tmp_path / "unbuildable").mkdir()
    (tmp_path / "unbuildable" / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "wk-unbuildable"\nversion = "oops!"\n'
    )
    got, out, err = wavekit("plugins", "install", spec)
    assert (got, said in err) == (code, True), err
    told = [line for line in err.splitlines() if not line.startswith("asking pip")]  # progress, on a slow machine
    assert len(told) == 1
    assert not out


def test_an_option_of_pip_is_no_spec(wavekit):
    code, _, err = wavekit("plugins", "install", "--", "--index-url=http://somewhere")
    assert (code, "is an option" in err) == (2, True)


def test_contradicting_requirements_are_told_with_pip_s_reason(shelf, wavekit):
    wheel(shelf, "wk-base", "1.0")
    wheel(shelf, "wk-base", "2.0")
    wheel(shelf, "wk-low", requires=["wk-base<2"])
    wheel(shelf, "wk-high", requires=["wk-base>=2"])
    code, _, err = wavekit("plugins", "install", "wk-low", "wk-high")
    assert code == 2
    assert "wk-low 1.0 depends on wk-base<2; wk-high 1.0 depends on wk-base>=2" in err


def test_an_index_that_cannot_be_reached_is_exit_6(shelf, wavekit, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    code, _, err = wavekit("plugins", "install", "wk-far")
    assert (code, "the package index cannot be reached: " in err, "Connection refused" in err) == (6, True, True), err


def test_an_environment_without_pip_is_exit_6(wavekit, tmp_path, monkeypatch):
    venv.create(tmp_path / "bare", symlinks=True, with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    code, _, err = wavekit("plugins", "install", "wk-any")
    assert (code, "has no pip" in err, "-m ensurepip" in err) == (6, True, True)


MANAGED = "error: externally-managed-environment\n\n× This environment is externally managed\n╰─> To install Python packages …\n"
OLD = "\nUsage:   \n  pip install [options] <requirement specifier> ...\n\nno such option: --report\n"
FULL = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"


@pytest.mark.parametrize(
    ("err", "kind", "said"),
    [
        (MANAGED, ResourceError, "managed by the system"),
        (OLD, ResourceError, "too old"),
        (FULL, ResourceError, "No space left on device"),
        ("", ResourceError, "no reason given"),
        ("ERROR: Invalid requirement: 'x y'\n", RecipeError, "Invalid requirement: 'x y'"),
        (
            "  error: subprocess-exited-with-error\n  │ boom\n      [end of output]\n",
            PluginError,
            "cannot be built: boom",
        ),
    ],
)
def test_every_refusal_of_pip_is_one_of_our_faults(err, kind, said):
    fault = pip.refusal("", err)
    assert type(fault) is kind
    assert said in str(fault)


def test_a_catalogue_name_means_its_distribution():
    assert requirement("bior") == "wavekit-bior"
    assert requirement("gmm>=0.1,<1") == "wavekit-wvae>=0.1,<1"
    assert requirement("wavekit-haar==0.1.0") == "wavekit-haar==0.1.0"
    assert requirement("./bior") == "./bior"
    assert requirement("bior-0.1.0-py3-none-any.whl") == "bior-0.1.0-py3-none-any.whl"
    assert requirement("somebodys[extra]>=2") == "somebodys[extra]>=2"


def test_a_catalogue_plugin_that_no_index_has_is_in_the_repository(shelf, wavekit, monkeypatch):
    monkeypatch.setattr(pip, "resolve", lambda _: (_ for _ in ()).throw(pip.refusal("", NOT_FOUND)))
    code, _, err = wavekit("plugins", "install", "bior")
    assert (code, "wavekit plugins install ./plugins/bior" in err) == (2, True), err


NOT_FOUND = (
    "ERROR: Could not find a version that satisfies the requirement wavekit-bior (from versions: none)\n"
    "ERROR: No matching distribution found for wavekit-bior\n"
)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("wavekit-core", 2, "is wavekit itself"),
        ("core", 2, "is wavekit itself"),
        ("wavekit-cli", 2, "is wavekit itself"),
        ("torch", 2, "is no plugin of wavekit: it registers nothing"),
        ("gmm", 2, "is one of the components of wavekit-wvae; to remove that: wavekit plugins uninstall wavekit-wvae"),
        ("hare", 2, "did you mean 'haar'?"),
        ("nothing-like-it", 2, "see `wavekit plugins list`"),
    ],
)
def test_what_is_no_plugin_is_not_uninstalled(wavekit, monkeypatch, name, code, said):
    monkeypatch.setattr(pip, "uninstall", lambda names: pytest.fail("uninstalled"))
    got, _, err = wavekit("plugins", "uninstall", name, "--yes")
    assert (got, said in err) == (code, True), err


def test_what_depends_on_a_plugin_is_told(wavekit, plugins, monkeypatch):
    info = plugins("wk-user", SAME, {GROUP: {"same": "wk_user:Same"}})
    with (info / "METADATA").open("a") as file:
        file.write("Requires-Dist: Wavekit_Haar>=0.1\nRequires-Dist: wavekit-bior; extra == 'more'\n")
    installed.cache_clear()
    monkeypatch.setattr(pip, "uninstall", lambda names: pytest.fail("uninstalled"))
    code, out, err = wavekit("plugins", "uninstall", "haar", "bior")
    assert (code, "agree with --yes" in err) == (2, True)
    haar, bior = (
        next(line for line in out.splitlines() if line.startswith(f"wavekit-{name} ")) for name in ("haar", "bior")
    )
    assert "transform haar" in haar
    assert re.search(r"wk-user, \d+ recipes: ([a-z0-9-]+, )*gmm, ", haar)
    assert "wk-user" not in bior


def test_a_plugin_of_another_environment_is_left_where_it_is(shelf, wavekit):
    code, _, err = wavekit("plugins", "uninstall", "bior", "--yes")
    assert code == 6
    assert "pip leaves it: Not uninstalling wavekit-bior at" in err or "outside environment" in err
    assert pip.version_of("wavekit-bior")


def test_a_plugin_with_broken_metadata_can_still_be_removed(wavekit, plugins, monkeypatch):
    info = plugins("wk-same", SAME, {GROUP: {"same": "wk_same:Same"}})
    (info / "entry_points.txt").write_text("[wavekit.v1.transform\nsame")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wk-same\nVersion: 1.0\n")
    installed.cache_clear()
    removed = []
    monkeypatch.setattr(pip, "uninstall", removed.extend)
    monkeypatch.setattr(pip, "components", lambda: ([], []))
    code, _, err = wavekit("plugins", "uninstall", "wk-same", "--yes")
    assert (code, removed) == (0, ["wk-same"]), err
