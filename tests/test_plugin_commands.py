"""`wavekit plugins new` and `wavekit plugins test`: what they do, and everything that they refuse."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from wavekit_cli.commands import plugins_new, plugins_test

from tests.conftest import SAME
from wavekit_core.kinds import KINDS
from wavekit_core.registry import installed
from wavekit_core.testing import Law, NotApplicable

GROUP = "wavekit.v1.transform"
ROOT = Path(__file__).parents[1]


# new


@pytest.fixture
def made(wavekit, tmp_path, monkeypatch):
    """`made(kind)` writes a package and lays its metadata down beside it, as an editable installation does."""

    def make(kind: str) -> Path:
        name = f"my-{kind}-x"
        code, _, err = wavekit("plugins", "new", kind, name)
        assert code == 0, err
        folder = tmp_path / f"wavekit-{name}"
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        info = folder / f"wavekit_{name.replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        points = "".join(
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in inside.items())
            for group, inside in project["entry-points"].items()
        )
        (info / "entry_points.txt").write_text(points)
        monkeypatch.syspath_prepend(str(folder))
        installed.cache_clear()
        return folder

    yield make
    installed.cache_clear()
    for module in [module for module in sys.modules if module.startswith("wavekit_my_")]:
        del sys.modules[module]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_is_complete_and_its_recipe_fits(made, wavekit, kind):
    folder = made(kind)
    module, name = f"wavekit_my_{kind}_x", f"my-{kind}-x"
    files = {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "dist-info" not in str(path)
    }
    below = {"__init__.py", f"recipes/{name}.yaml"}
    assert files == {
        "pyproject.toml",
        "README.md",
        f"tests/test_my_{kind}_x.py",
        *(f"{module}/{file}" for file in below),
    }
    for path in folder.rglob("*.*"):
        if path.is_file():
            assert not re.search(r"my-part|my_part|MyPart|a-kind", path.read_text()), path
    code, out, err = wavekit("check", name)
    assert code == 0, err
    code, out, err = wavekit("plugins", "info", name)
    assert code == 0, err
    assert f"wavekit-{name} 0.1.0, {module}:My{kind.capitalize()}X" in out


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_passes_its_tests_holds_to_the_laws_and_runs(made, wavekit, tmp_path, kind):
    folder = made(kind)
    env = os.environ | {"PYTHONPATH": str(folder)}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    ended = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=folder)
    assert ended.returncode == 0, ended.stdout
    code, out, err = wavekit("plugins", "test", f"my-{kind}-x")
    assert code == 0, out + err
    code, out, err = wavekit("run", f"my-{kind}-x")
    assert code == 0, err
    figures = json.loads((tmp_path / "runs" / f"my-{kind}-x" / "evaluation.json").read_text())
    assert figures


@pytest.mark.long
def test_the_wheel_of_the_command_line_has_every_template(tmp_path):
    source = shutil.copytree(ROOT / "cli", tmp_path / "cli", ignore=shutil.ignore_patterns("__pycache__"))
    argv = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", *argv, str(source)], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        packed = {name for name in archive.namelist() if "/templates/" in name}
    for kind in KINDS:
        assert packed >= {f"wavekit_cli/templates/{kind}/{file}" for file in plugins_new.OWN}
    assert packed >= {f"wavekit_cli/templates/{file}" for file in plugins_new.COMMON}


def test_the_next_commands_are_printed(wavekit, tmp_path):
    code, out, _ = wavekit("plugins", "new", "metric", "brightness", "--out", "deep/a folder")
    assert code == 0
    assert out.splitlines()[1:] == [
        "  pip install -e './deep/a folder'",
        "  wavekit plugins test brightness",
        "  wavekit run brightness",
    ]
    assert (tmp_path / "deep" / "a folder" / "wavekit_brightness" / "__init__.py").exists()


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("transfrom", "shear", "did you mean 'transform'?"),
        ("pipeline", "shear", "there are: transform, regularizer"),
        ("transform", "Shear", "lower-case letters"),
        ("transform", "2d", "the first a letter"),
        ("transform", "two--dashes", "single hyphens"),
        ("transform", "../shear", "cannot name"),
        ("transform", "a" * 41, "at most 40"),
        ("transform", "wavekit-shear", "leave `wavekit` out"),
        ("transform", "core", "wavekit-core 0.1.0 is installed"),
        ("transform", "haar", "a transform of wavekit-haar"),
        ("metric", "haar", "a transform of wavekit-haar"),
        ("metric", "psnr", "a metric of wavekit-core"),
        ("transform", "lwd-mask", "of the catalogue, in wavekit-lwd-mask"),
        ("generator", "quickstart", "is a recipe that is installed"),
        ("transform", "tensor", "would be called Tensor"),
        ("transform", "none", "would be called None"),
    ],
)
def test_a_name_that_cannot_be_is_refused(wavekit, tmp_path, kind, name, said):
    code, _, err = wavekit("plugins", "new", kind, name)
    assert (code, said in err) == (2, True), err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_left_alone(wavekit, tmp_path):
    (tmp_path / "wavekit-shear").mkdir()
    code, _, err = wavekit("plugins", "new", "transform", "shear")
    assert (code, "nothing is overwritten" in err) == (2, True)
    assert not list((tmp_path / "wavekit-shear").iterdir())


def test_a_folder_that_cannot_be_written_is_told_and_leaves_nothing(wavekit, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = wavekit("plugins", "new", "transform", "shear", "--out", "file/below")
    assert (code, "cannot be written" in err) == (6, True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# test


@pytest.fixture
def laws(plugins, monkeypatch):
    """`laws(one, two)`: the component `same` whose laws are these functions, each a law by its name and docstring."""
    plugins("wk-same", SAME, {GROUP: {"same": "wk_same:Same"}})

    def give(*checks):
        asked = []

        def laws_of(component, *arguments):
            asked.append((component, *arguments))
            return [Law(check.__name__, check.__doc__ or "It holds.", check) for check in checks]

        monkeypatch.setattr(plugins_test, "laws_of", laws_of)
        return asked

    return give


def holds():
    """A law that holds."""
    return "off by 3e-16"


def does_not_apply():
    raise NotApplicable("it has no inverse")


def broken():
    raise AssertionError("found 3, expected 4")


def test_laws_that_hold_or_do_not_apply_are_a_table_and_exit_0(laws, wavekit, tmp_path):
    laws(holds, does_not_apply)
    code, out, err = wavekit("plugins", "test", "same", "--json", "laws.json")
    assert code == 0, err
    rows = [re.split(r" {2,}", line.strip()) for line in out.splitlines()]
    assert ["holds", "A law that holds.", "holds", "off by 3e-16"] in rows
    assert ["does_not_apply", "It holds.", "does not apply", "it has no inverse"] in rows
    assert out.startswith("transform same: wk-same 1.0, wk_same:Same")
    verdicts = json.loads((tmp_path / "laws.json").read_text())
    assert [(row["component"], row["law"], row["result"], row["note"]) for row in verdicts] == [
        ("wk-same:same", "holds", "holds", "off by 3e-16"),
        ("wk-same:same", "does_not_apply", "does not apply", "it has no inverse"),
    ]


def test_a_broken_law_is_exit_3_with_what_was_found_and_the_others_are_checked(laws, wavekit, tmp_path):
    laws(broken, holds)
    code, out, err = wavekit("plugins", "test", "wk-same:same", "--json", "laws.json")
    assert code == 3
    assert "broken: broken: found 3, expected 4" in out
    assert "off by 3e-16" in out
    assert "same: broken: broken; mend the plugin" in err
    assert [row["result"] for row in json.loads((tmp_path / "laws.json").read_text())] == ["broken", "holds"]


@pytest.mark.parametrize(
    "error", [ValueError("no luck\nat all"), SystemExit(0), RecursionError(), NotImplementedError()]
)
def test_whatever_a_check_raises_is_a_sentence_and_no_traceback(laws, wavekit, error):
    def explodes():
        raise error

    laws(explodes, holds)
    code, out, err = wavekit("plugins", "test", "same")
    assert code == 3
    assert f"broken: explodes: {type(error).__name__}{': no luck' if 'luck' in str(error) else ''}" in out
    assert "Traceback" not in out + err


def test_debug_shows_the_traceback_of_a_broken_law(laws, wavekit, monkeypatch):
    monkeypatch.setenv("WAVEKIT_DEBUG", "")  # set by --debug, taken back after the test
    laws(broken)
    assert "found 3, expected 4" in wavekit("--debug", "plugins", "test", "same")[2].partition("Traceback")[2]


def test_a_law_that_is_broken_in_one_case_of_several_is_broken(laws, wavekit, monkeypatch):
    laws()
    three = [
        Law("size", "It has its size.", check, case) for check, case in ((holds, "a"), (broken, "b"), (holds, "c"))
    ]
    monkeypatch.setattr(plugins_test, "laws_of", lambda *_: three)
    code, out, _ = wavekit("plugins", "test", "same")
    assert code == 3
    assert "in 1 of 3 cases" in out


def test_settings_are_the_arguments(laws, wavekit):
    asked = laws(holds)
    assert wavekit("plugins", "test", "same", "-s", "levels=3", "-s", "inner={use: haar}")[0] == 0
    assert asked[0][1] == {"levels": 3, "inner": {"use": "haar"}}


def test_a_distribution_stands_for_all_its_components(laws, wavekit, plugins):
    two = {GROUP: {"one": "wk_two:Same", "two": "wk_two:Same"}}
    plugins("wk-two", SAME, two)
    laws(holds)
    code, out, _ = wavekit("plugins", "test", "wk-two")
    assert code == 0
    assert re.findall(r"^transform (\w+):", out, re.M) == ["one", "two"]
    code, _, err = wavekit("plugins", "test", "wk-two", "-s", "levels=3")
    assert (code, "stands for 2 components" in err) == (2, True)


def test_a_component_that_cannot_be_tested_keeps_no_other_of_its_plugin_from_it(laws, wavekit, plugins):
    plugins("wk-two", SAME, {GROUP: {"gone": "wk_two:Gone", "two": "wk_two:Same"}})
    laws(holds)
    code, out, err = wavekit("plugins", "test", "wk-two")
    assert code == 3
    assert "not tested: transform 'gone' of wk-two 1.0 cannot be loaded" in out
    assert "off by 3e-16" in out
    assert "1 of 2 components could not be tested" in err


def test_a_kind_without_laws_is_told(laws, wavekit):
    laws()
    code, out, _ = wavekit("plugins", "test", "same")
    assert (code, "a transform has no laws" in out) == (0, True)


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("hare",), 2, "did you mean 'haar'?"),
        (("nothing-like-it",), 2, "see `wavekit plugins list`"),
        (("wavekit-nowhere:haar",), 2, "no transform is called"),
        (("wavekit-lwd-mask",), 3, "is planned and not yet written"),
        (("same", "-s", "levels"), 2, "write -s KEY=VALUE"),
        (("same", "-s", "levels=["), 2, "is no YAML"),
    ],
)
def test_what_cannot_be_tested_is_told(laws, wavekit, argv, code, said):
    laws(holds)
    got, _, err = wavekit("plugins", "test", *argv)
    assert (got, said in err) == (code, True), err


def test_a_plugin_that_cannot_be_imported_is_exit_3(plugins, wavekit):
    plugins("wk-same", "import nothing_of_that_name", {GROUP: {"same": "wk_same:Same"}})
    code, _, err = wavekit("plugins", "test", "same")
    assert (code, "cannot be loaded: ModuleNotFoundError" in err) == (3, True)


def test_a_component_whose_laws_cannot_be_listed_is_a_sentence(plugins, wavekit):
    needs = SAME.replace(
        "def target", "def __init__(self, size: int):\n            super().__init__()\n\n        def target"
    )
    plugins("wk-same", needs, {GROUP: {"same": "wk_same:Same"}})
    code, _, err = wavekit("plugins", "test", "same")
    assert (code, "needs size" in err, "-s KEY=VALUE" in err) == (2, True, True), err


def test_the_kit_finds_what_is_wrong_with_a_plugin(plugins, wavekit):
    plugins("wk-same", SAME.replace("return y", "return 2 * y"), {GROUP: {"same": "wk_same:Same"}})
    code, out, err = wavekit("plugins", "test", "same")
    assert code == 3
    assert "broken: reconstruction:" in out
    assert "reconstruction" in err
