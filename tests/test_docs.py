"""The documentation is tested: its plugin is built and used, its figures come from files, its links lead somewhere."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.environment import called, environment, wavekit_in

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.S)


FIRST = "docs/first-plugin.md"


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An empty folder after the commands that docs/first-plugin.md begins with, and the interpreter they were called with."""
    folder = tmp_path_factory.mktemp("empty")
    python = environment(tmp_path_factory.mktemp("environment") / "venv")
    commands = re.findall(r"^\$ (.+)$", blocks(FIRST, "console")[0], re.M)
    assert [" ".join(command.split()[:3]) for command in commands] == [
        "wavekit plugins new",
        "pip install -e",
        "wavekit plugins test",
        "wavekit run block-dct",
    ]
    modules = {"wavekit": "wavekit_cli", "pip": "pip"}
    for command in commands:
        program, *argv = shlex.split(command)
        ended = called(folder, python, "-m", modules[program], *argv)
        assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
    return folder, python


def test_the_first_plugin_holds_to_the_laws_and_runs(walk):
    folder, python = walk
    assert (folder / "runs" / "block-dct" / "report.html").exists()
    assert "images 16×4×4 in [-4, 4]" in wavekit_in(python, folder, "check", "block-dct").stdout


def test_the_page_shows_the_files_of_the_first_plugin(walk):
    package = walk[0] / "wavekit-block-dct"
    assert blocks(FIRST, "python")[0] == (package / "wavekit_block_dct" / "__init__.py").read_text()
    assert blocks(FIRST, "yaml")[0] == (package / "wavekit_block_dct" / "recipes" / "block-dct.yaml").read_text()
    assert blocks(FIRST, "toml")[0] in (package / "pyproject.toml").read_text()
    own = (package / "tests" / "test_block_dct.py").read_text()
    assert all(line in own for line in blocks(FIRST, "python")[1].splitlines())


def test_the_first_plugin_refuses_what_does_not_fit(walk):
    folder, python = walk
    (folder / "three.yaml").write_text(blocks(FIRST, "yaml")[0].replace("block: 4", "block: 3"))
    ended = wavekit_in(python, folder, "check", "three.yaml")
    assert ended.returncode == 2
    assert "three.yaml:4:" in ended.stderr
    assert "needs images with sides divisible by 3" in ended.stderr


def test_the_first_plugin_broken_on_purpose_costs_one_line(walk):
    folder, python = walk
    (folder / "block-dct.yaml").write_text(blocks(FIRST, "yaml")[0])
    module = folder / "wavekit-block-dct" / "wavekit_block_dct" / "__init__.py"
    whole = module.read_text()
    try:
        module.write_text("import nothing_of_that_name\n" + whole)
        ended = wavekit_in(python, folder, "check", "block-dct.yaml")
        assert ended.returncode == 3
        (shown,) = re.findall(r"^(error: block-dct\.yaml.*)…$", blocks(FIRST, "console")[1], re.M)
        assert ended.stderr.startswith(shown)
        assert "Traceback" not in ended.stderr
        assert wavekit_in(python, folder, "check", "gmm").returncode == 0
        module.write_text(whole.replace("D, D, frequencies", "D, -D, frequencies"))
        ended = wavekit_in(python, folder, "plugins", "test", "block-dct")
        assert ended.returncode == 3
        assert "broken: reconstruction:" in ended.stdout
    finally:
        module.write_text(whole)


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "tables.py"))


def test_tables_are_those_of_the_result_files(tables):
    files = {path.stem for path in (ROOT / "docs" / "results").glob("*")}
    for page in PAGES:
        text = page.read_text()
        assert set(re.findall(r"<!-- results: ([\w-]+)", text)) <= files, (
            f"{page.name} names a result file that is gone"
        )
        assert tables["renewed"](text) == text, f"{page.name} is stale: run `python docs/tables.py`"
    page = (ROOT / "docs" / "results.md").read_text()
    assert page == tables["page"](), "docs/results.md is stale: run `python docs/tables.py`"
    shown = set(re.findall(r"\(results/([\w-]+)\.json\)", page))
    assert shown == files, "a file in docs/results/ is orphaned or missing"


WHENCE = {"command": "wavekit bench", "machine": "a machine", "commit": "abc"}


def test_a_general_result_has_a_column_a_key_and_the_paper_s_value_beside_ours(tables, tmp_path, monkeypatch):
    rows = [{"name": "psnr", "value": 30.25, "unit": "dB", "N": 10, "seeds": [0, 1], "paper": 31.0}]
    rows += [{"name": "ssim", "value": 0.9, "unit": "", "N": 10, "paper": None, "set": "a|b"}]
    result = WHENCE | {"title": "Of paper", "note": "A note.", "rows": rows}
    (tmp_path / "mine.json").write_text(json.dumps(result))
    monkeypatch.setitem(tables["read"].__globals__, "RESULTS", tmp_path)
    text = tables["section"]("mine")
    assert text.splitlines() == [
        "## Of paper",
        "",
        "A note.",
        "",
        "| figure | value | N | seeds | the paper's | set |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| psnr (dB) | 30.25 | 10 | 0, 1 | 31 |  |",
        "| ssim | 0.9 | 10 |  |  | a\\|b |",
        "",
        "`wavekit bench`; a machine. Commit abc. [mine.json](results/mine.json)",
    ]


def test_a_comparison_gives_its_own_tables(tables, tmp_path, monkeypatch):
    made = [{"head": ["figure", "a", "b"], "lines": [["mse (u)", "0.1*", "0.2"]]}, {"head": ["fact"], "lines": [["x"]]}]
    rows = [{"figure": "mse", "run": "a", "value": 0.1}]
    (tmp_path / "c.json").write_text(
        json.dumps(WHENCE | {"title": "c", "rows": rows, "tables": made, "notes": ["Said."]})
    )
    monkeypatch.setitem(tables["read"].__globals__, "RESULTS", tmp_path)
    text = tables["section"]("c")
    for part in ("Said.", "| mse (u) | 0.1* | 0.2 |", "| fact |\n| --- |\n| x |"):
        assert part in text


@pytest.mark.parametrize(
    "result",
    [
        WHENCE,
        WHENCE | {"rows": []},
        WHENCE | {"rows": [{"name": "x"}]},
        WHENCE | {"rows": [{"value": 1.0}]},
        {"rows": [{"name": "x", "value": 1.0}], "command": "c", "machine": "m"},
        WHENCE | {"command": 3, "rows": [{"name": "x", "value": 1.0}]},
    ],
)
def test_a_result_that_does_not_say_what_or_whence_is_refused(tables, tmp_path, monkeypatch, result):
    (tmp_path / "bad.json").write_text(json.dumps(result))
    monkeypatch.setitem(tables["read"].__globals__, "RESULTS", tmp_path)
    with pytest.raises(ValueError, match=r"bad\.json is in none of the three forms"):
        tables["read"]("bad")


def test_the_page_on_cascades_shows_what_check_says_of_its_recipe(tmp_path):
    (tmp_path / "cascade.yaml").write_text(blocks("docs/cascades.md", "yaml")[0])
    ended = wavekit_in(Path(sys.executable), tmp_path, "check", "cascade.yaml")
    shown = blocks("docs/cascades.md", "console")[0].splitlines()[1:]
    assert [line.rstrip() for line in ended.stdout.splitlines()] == shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_every_command_that_the_readme_names_exists():
    from wavekit_cli.app import COMMANDS, GROUPS

    known = set(GROUPS) | {name.split()[0] for name in COMMANDS}
    for page in PAGES:
        for word in re.findall(r"`wavekit ([a-z]+)", page.read_text()):
            assert word in known, (page.name, word)
