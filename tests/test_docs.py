"""The documentation is tested: its plugin is built and used, its figures come from files, its links lead somewhere."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.S)


@pytest.fixture(scope="module")
def installed_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin of docs/first-plugin.md, built as a wheel and installed by pip into a folder of its own."""
    source, site = tmp_path_factory.mktemp("wavekit-polyphase"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(blocks("docs/first-plugin.md", "toml")[0])
    (source / "wavekit_polyphase.py").write_text(blocks("docs/first-plugin.md", "python")[0])
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True)
    return site


def call(site: Path, folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    argv = (sys.executable, "-m", "wavekit_cli", *argv)
    return subprocess.run(argv, capture_output=True, text=True, env=env, cwd=folder)


def test_the_first_plugin_is_as_short_as_it_says():
    source = blocks("docs/first-plugin.md", "python")[0]
    assert len(source.splitlines()) <= 36
    assert len([line for line in source.splitlines() if line.strip()]) <= 28


def test_the_first_plugin_works_from_a_recipe(installed_plugin, tmp_path):
    recipe = blocks("docs/first-plugin.md", "yaml")[0]
    (tmp_path / "phases.yaml").write_text(recipe)
    assert "polyphase" in call(installed_plugin, tmp_path, "plugins", "list").stdout
    assert "factor" in call(installed_plugin, tmp_path, "plugins", "info", "polyphase").stdout
    ended = call(installed_plugin, tmp_path, "check", "phases.yaml")
    assert ended.returncode == 0, ended.stderr
    assert "images 4×8×8" in ended.stdout
    ended = call(installed_plugin, tmp_path, "run", "phases.yaml")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "runs" / "phases" / "report.html").exists()


def test_the_first_plugin_refuses_what_does_not_fit(installed_plugin, tmp_path):
    recipe = blocks("docs/first-plugin.md", "yaml")[0].replace("factor: 2", "factor: 3")
    (tmp_path / "phases.yaml").write_text(recipe)
    ended = call(installed_plugin, tmp_path, "check", "phases.yaml")
    assert ended.returncode == 2
    assert "phases.yaml:3:" in ended.stderr
    assert "divisible by 3" in ended.stderr


def test_the_first_plugin_broken_on_purpose_costs_one_line(installed_plugin, tmp_path):
    (tmp_path / "phases.yaml").write_text(blocks("docs/first-plugin.md", "yaml")[0])
    module = installed_plugin / "wavekit_polyphase.py"
    whole = module.read_text()
    try:
        module.write_text("import nothing_of_that_name\n" + whole)
        ended = call(installed_plugin, tmp_path, "check", "phases.yaml")
        assert ended.returncode == 3
        assert "'polyphase' of wavekit-polyphase 1.0 cannot be loaded: ModuleNotFoundError" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert call(installed_plugin, tmp_path, "check", "gmm").returncode == 0
        assert "polyphase" in call(installed_plugin, tmp_path, "plugins", "list").stdout
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
