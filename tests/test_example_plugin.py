"""The example of a third party's package, as its users have it: built as a wheel, installed by pip, used by name."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.environment import called, environment, wavekit_in

SOURCE = Path(__file__).parents[1] / "docs" / "examples" / "wavekit-daubechies"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An environment that has the package from its wheel."""
    folder = tmp_path_factory.mktemp("example")
    interpreter = environment(folder / "venv")
    source = shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    built = called(folder, interpreter, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", "wheels", source)
    assert built.returncode == 0, built.stderr
    (made,) = (folder / "wheels").iterdir()
    assert made.name == "wavekit_daubechies-1.0.0-py3-none-any.whl"
    installed = called(folder, interpreter, "-m", "pip", "install", made)
    assert installed.returncode == 0, installed.stderr
    shutil.rmtree(source)
    return interpreter


def test_it_is_listed(python, tmp_path):
    ended = wavekit_in(python, tmp_path, "plugins", "list")
    assert re.search(r"transform +daubechies +wavekit-daubechies +1\.0\.0", ended.stdout)


def test_it_holds_to_the_laws_of_transforms(python, tmp_path):
    ended = wavekit_in(python, tmp_path, "plugins", "test", "daubechies", "-s", "order=4", "--json", "laws.json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    verdicts = {(row["law"], row["result"]) for row in json.loads((tmp_path / "laws.json").read_text())}
    assert verdicts >= {(law, "holds") for law in ("reconstruction", "adjointness", "energy", "gradients", "recipe")}
    assert "broken" not in {result for _, result in verdicts}


def test_its_recipe_runs(python, tmp_path):
    ended = wavekit_in(python, tmp_path, "run", "daubechies")
    assert ended.returncode == 0, ended.stderr
    resolved = (tmp_path / "runs" / "daubechies" / "resolved.yaml").read_text()
    assert re.search(r"use: daubechies\b", resolved)
    figures = json.loads((tmp_path / "runs" / "daubechies" / "evaluation.json").read_text())
    assert "mse" in json.dumps(figures)


@pytest.mark.long
def test_its_own_tests_pass(python, tmp_path):
    tests = shutil.copytree(SOURCE / "tests", tmp_path / "tests")
    ended = called(tmp_path, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests)
    assert ended.returncode == 0, ended.stdout
