"""The command, and the section of the report."""

import json
import sys
from pathlib import Path

import pytest
import torch

from wavekit_core.bands.section import bands
from wavekit_core.recipe.recipe import load
from wavekit_core.report.sections import View
from wavekit_core.session import Session

ROOT = Path(__file__).parents[2]


def test_a_recipe_is_looked_at_in_its_own_bands(wavekit, tmp_path):
    code, out, err = wavekit("data", "stats", "quickstart", "--images", "300", "--json", "b.json", "--html", "b.html")
    assert code == 0, err
    for said in (
        "300 training images, pyramid haar, 2 levels",
        "Signal to noise (WMGM's paper, Fig. 1",
        "dpmpp-2m",
        "cD1",
    ):
        assert said in out
    page = (tmp_path / "b.html").read_text()
    assert page.count("<table>") == 5
    assert "Predicted error of samplers" in page
    result = json.loads((tmp_path / "b.json").read_text())
    assert result["command"] == "wavekit data stats quickstart --images 300"
    shares = {row["figure"]: row["value"] for row in result["rows"] if row["figure"].endswith(": share")}
    names = [f"c{band}" for band in ("A2", "H2", "V2", "D2", "H1", "V1", "D1")]
    assert sum(shares[f"{name}: share"] for name in names) == pytest.approx(1)


def test_the_documentation_takes_the_figures(wavekit, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    sys.modules.pop("tables", None)
    import tables

    assert wavekit("data", "stats", "digits", "-s", "size=8", "--images", "200", "--json", "digits.json")[0] == 0
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    section = tables.section("digits")
    assert section.startswith("## Bands of digits size=8\n")
    assert "| cA1 | 4×4 |" in section
    sys.modules.pop("tables")


def test_a_wavelet_that_is_not_orthonormal_is_said_to_be_none(wavekit):
    code, out, err = wavekit("data", "stats", "quickstart", "-s", "generator.transform.use=bior", "--images", "100")
    assert code == 0, err
    assert "is not orthonormal here: energies are those of its coefficients" in out


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("nonsense",), 2, "no data set and no recipe is called 'nonsense'"),
        (("digits", "-s", "size=7"), 2, "size"),
        (("quickstart", "--images", "0"), 2, "--images"),
        (("quickstart", "--crop", "17"), 2, "crops of 17×17 do not fit into images of 16×16; take smaller ones"),
        (("quickstart", "--json", "."), 2, "is a folder; name a file in it"),
        (("quickstart", "--html", "nowhere/page.html"), 6, "nowhere"),
    ],
)
def test_what_cannot_be_looked_at_is_said_before_any_work(wavekit, argv, code, said):
    ended, _, err = wavekit("data", "stats", *argv)
    assert ended == code, err
    assert said in err
    assert "Traceback" not in err


def test_the_report_of_a_cascade_has_a_section_and_others_have_none():
    def section_of(name):
        return bands(View(None, Session(load(Path(name)), torch.device("cpu")), 0, [], {}))

    found = section_of("wmgm-digits")
    assert found.title == "Bands of the data"
    assert found.body.count("<table>") == 2
    assert "data:image/png" in found.body
    assert section_of("vae") is None
    assert section_of("gmm") is None  # a pyramid, but no parts
