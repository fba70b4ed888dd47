"""A paper's claims in a grid: read whole before anything runs, and judged by what the cells measured."""

from __future__ import annotations

import json
import statistics

import pytest

from wavekit_core.grid import Claim, GridFolder, claims_of, parted
from wavekit_core.grid.verdicts import cells_of, judged, verdicts
from wavekit_core.recipe.compose import compose
from wavekit_core.recipe.faults import RecipeFaults
from wavekit_core.recipe.grid import expand
from wavekit_core.recipe.recipe import load

GRID = """
data: {use: digits, size: 8}
generator: {use: gmm, components: 1}
train: {steps: 0, threads: 1}
samples: {count: 10}
evaluate: [{use: nearest}]
grid:
  system: {ours: {generator: {components: 3}}, theirs: {}}
  sampler: [null, {use: prior}, {use: ddim, steps: 2}, {use: ddim, steps: 3}]
  generator.principal: [4, 8]
  seed: [0, 1]
"""


@pytest.fixture
def claims(recipe):
    """`claims(text)`: those of the grid GRID with this text under `claims`."""

    def read(text: str) -> list[Claim]:
        value, given = parted(compose(recipe(f"{GRID}claims:\n{text}\n")))
        return claims_of(given, expand(value))

    return read


def test_a_claim_names_cells_by_values_labels_and_components(claims):
    first, second = claims(
        "- {figure: nearest, of: {system: ours, generator.principal: 8, sampler: prior}, over: {system: theirs}, paper: 2}\n"
        "- {figure: parameters, of: {system: ours, sampler: {use: ddim, steps: 3}}, over: {system: theirs, sampler: null,"
        " generator.principal: 4}, paper: -1.5, as: difference, note: Table 2}"
    )
    rest = {"generator.principal": 8, "sampler": {"use": "prior"}}
    assert (first.of, first.over) == ({"system": "ours", **rest}, {"system": "theirs", **rest})
    assert (first.paper, first.measure, first.note) == (2.0, "ratio", "")
    assert second.of == {"system": "ours", "sampler": {"use": "ddim", "steps": 3}, "generator.principal": 4}
    assert second.over == {"system": "theirs", "sampler": None, "generator.principal": 4}
    assert (second.paper, second.measure, second.note) == (-1.5, "difference", "Table 2")


ALL = "sampler: null, generator.principal: 4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 3", ["a claim is a mapping"]),
        (f"- {{of: {{system: ours, {ALL}}}, over: {{system: theirs}}, paper: 1}}", ["without a `figure`"]),
        (f"- {{figure: x, of: {{system: ours, {ALL}}}, over: {{system: theirs}}}}", ["without `paper`"]),
        (f"- {{figure: x, of: {{system: ours, {ALL}}}, paper: 1}}", ["`over` of a claim is missing", "{system: …}"]),
        ("- {figure: x, of: 3, over: {system: theirs}, paper: 1}", ["`of` of a claim is 3"]),
        (f"- {{figure: x, of: {{sistem: ours, {ALL}}}, over: {{}}, paper: 1}}", ["no axis 'sistem'", "'system'"]),
        (f"- {{figure: x, of: {{system: our, {ALL}}}, over: {{}}, paper: 1}}", ["'our' is no value", "ours, theirs"]),
        ("- {figure: x, of: {sampler: ddim}, over: {}, paper: 1}", ["'ddim' stands for several values"]),
        (f"- {{figure: x, of: {{system: ours, {ALL}}}, over: {{}}, paper: 1}}", ["against themselves"]),
        ("- {figure: x, of: {system: ours}, over: {system: theirs, sampler: null}, paper: 1}", ["`generator.principal` open"]),
        (f"- {{figure: x, of: {{system: ours, seed: 0, {ALL}}}, over: {{system: theirs}}, paper: 1}}", ["over the seeds"]),
        (f"- {{figure: x, of: {{system: ours, {ALL}}}, over: {{system: theirs}}, paper: 0}}", ["`paper` is 0", "above 0"]),
        (f"- {{figure: x, of: {{system: ours, {ALL}}}, over: {{system: theirs}}, paper: yes}}", ["`paper` is 'yes'"]),
        (f"- {{figure: x, of: {{system: ours, {ALL}}}, over: {{system: theirs}}, paper: .nan}}", ["`paper` is nan"]),
        (f"- {{figure: x, of: {{system: ours, {ALL}}}, over: {{system: theirs}}, paper: 1, as: sum}}", ["`as` is 'sum'"]),
        (f"- {{figure: x, of: {{system: ours, {ALL}}}, over: {{system: theirs}}, paper: 1, nota: z}}", ["'nota'", "'note'"]),
        (f"- {{figure: 3, of: {{system: ours, {ALL}}}, over: {{system: theirs}}, paper: 1}}", ["`figure` of a claim is 3"]),
    ],
)  # fmt: skip
def test_faults_of_claims_stand_at_their_line(claims, text, words):
    with pytest.raises(RecipeFaults) as caught:
        claims(text)
    assert [fault.mark.line for fault in caught.value.faults] == [12]
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_all_faults_come_at_once_and_claims_are_a_list(claims, recipe):
    with pytest.raises(RecipeFaults) as caught:
        claims("- {figure: x, of: {a: 1}, over: {b: 2}, paper: 1}\n- 3")
    assert len(caught.value.faults) == 3
    value, given = parted(compose(recipe(f"{GRID}claims: {{figure: x}}\n")))
    with pytest.raises(RecipeFaults, match="`claims` is a list"):
        claims_of(given, expand(value))


def test_claims_need_a_grid_and_go_with_it(recipe):
    alone = "data: {use: digits, size: 8}\ngenerator: {use: gmm}\nclaims: []\n"
    with pytest.raises(RecipeFaults, match="`claims` are of the cells of a grid"):
        load(recipe(alone))
    taken = load(recipe(f"{alone.replace('[]', '[{figure: x}]')}grid: {{seed: [0]}}\n"), ["grid=null"])
    assert "claims" not in taken.plain()
    assert claims_of(None, []) == []


@pytest.mark.parametrize(
    ("paper", "ours", "deviation", "measure", "said"),
    [
        (0.34, 0.34, None, "ratio", "reproduces (within 1 %)"),
        (0.34, 0.365, None, "ratio", "reproduces (within 8 %)"),
        (0.34, 0.20, 0.1, "ratio", "agrees in direction, and goes further"),
        (0.34, 0.80, 0.1, "ratio", "agrees in direction, by less"),
        (0.34, 0.80, 0.3, "ratio", "cannot be told: no change is within the deviation"),
        (0.34, 1.20, 0.1, "ratio", "does not reproduce"),
        (3.0, 2.0, None, "ratio", "agrees in direction, by less"),
        (1.0, 1.5, None, "ratio", "does not reproduce"),
        (-2.0, -2.1, None, "difference", "reproduces (within 5 %)"),
        (-2.0, -5.0, 1.0, "difference", "agrees in direction, and goes further"),
        (-2.0, 0.5, None, "difference", "does not reproduce"),
        (0.0, 0.5, 0.6, "difference", "cannot be told: no change is within the deviation"),
    ],
)
def test_verdicts_follow_from_the_numbers(paper, ours, deviation, measure, said):
    assert judged(paper, ours, deviation, measure) == said


CLAIMED = f"""{GRID.replace("sampler: [null", "samples.count: [10]  # [")}
claims:
  - {{figure: nearest, of: {{system: ours}}, over: {{system: theirs}}, paper: 1}}
  - {{figure: nearest, of: {{generator.principal: 4, system: ours}}, over: {{generator.principal: 8}}, paper: -9, as: difference}}
  - {{figure: latent numbers, of: {{system: ours, generator.principal: 4}}, over: {{system: theirs}}, paper: 2, note: R9}}
"""


def test_the_table_of_a_grid_sets_claims_beside_pairs_of_the_same_seed(wavekit, recipe, tmp_path):
    text = CLAIMED.replace("of: {system: ours},", "of: {system: ours, generator.principal: 8},")
    path = recipe(text)
    code, out, err = wavekit("run", path, "--out", "g")
    assert code == 0, err
    table = json.loads((tmp_path / "g/table.json").read_text())
    found = {
        row["run"]: row["value"] for row in table["rows"] if (row["figure"], row["subject"]) == ("nearest", "model")
    }
    first, second, third = table["claims"]["rows"]
    assert first["pairs"] == [
        found[f"ours-count-10-principal-8-seed-{s}"] / found[f"theirs-count-10-principal-8-seed-{s}"] for s in (0, 1)
    ]
    assert (first["mean"], first["deviation"]) == (statistics.fmean(first["pairs"]), statistics.stdev(first["pairs"]))
    assert second["pairs"] == [
        found[f"ours-count-10-principal-4-seed-{s}"] - found[f"ours-count-10-principal-8-seed-{s}"] for s in (0, 1)
    ]
    assert (third["pairs"], third["text"]) == ([], "not measured")
    lines = table["claims"]["table"]["lines"]
    assert [(line[0], line[3], line[5], line[7]) for line in lines] == [
        ("nearest", "2", "×1", ""),
        ("nearest", "2", "−9", ""),
        ("latent numbers", "0", "×2", "R9"),
    ]
    assert "not measured" in out
    assert "<h2>Claims</h2>" in (tmp_path / "g/report.html").read_text()
    assert "not measured" in wavekit("show", "g")[1]
    assert wavekit("verify", "g")[0] == 0
    before = (tmp_path / "g/cells/ours-count-10-principal-8-seed-0/lock.json").stat().st_mtime_ns
    recipe(text.replace("note: R9", "note: R10"))
    assert wavekit("run", path, "--out", "g")[0] == 0
    assert [claim.note for claim in GridFolder(tmp_path / "g").facts().claims] == ["", "", "R10"]
    assert "R10" in (tmp_path / "g/table.json").read_text()
    assert (tmp_path / "g/cells/ours-count-10-principal-8-seed-0/lock.json").stat().st_mtime_ns == before


def test_a_faulty_claim_is_found_before_anything_runs(wavekit, recipe, tmp_path):
    code, _, err = wavekit("run", recipe(CLAIMED), "--out", "g")
    assert code == 2
    assert "leaves axis `generator.principal` open" in err
    assert not (tmp_path / "g").exists()


class Cell:
    """A run as verdicts read it."""

    def __init__(self, value, count=5, data="d", parameters=None):
        row = {"subject": "model", "name": "gfd", "value": value, "unit": "u", "count": count}
        self.newest, self.lock, self.parameters = {"figures": [row]}, {"data": data}, parameters


def claim(figure="gfd", measure="ratio") -> Claim:
    return Claim(figure=figure, of={"a": 1}, over={"a": 2}, paper=0.5, measure=measure, note="")


def test_facts_are_claimed_like_figures_and_lone_cells_pair_with_nothing():
    cells = [
        ({"a": 1, "seed": 0}, Cell(1.0, parameters=3)),
        ({"a": 2, "seed": 0}, Cell(4.0, parameters=4)),
        ({"a": 1, "seed": 1}, Cell(9.0, parameters=9)),
    ]
    figure, fact = verdicts([claim(), claim("parameters")], cells)
    assert (figure.pairs, figure.deviation, fact.pairs) == ([0.25], None, [0.75])
    assert cells_of([figure]).lines[0] == [
        *("gfd", "a 1", "a 2", "1", "×0.25", "×0.5", "agrees in direction, and goes further", "")
    ]


@pytest.mark.parametrize(("other", "said"), [({"count": 6}, "N"), ({"data": "e"}, "data")])
def test_figures_that_do_not_compare_are_not_set_in_ratio(other, said):
    (found,) = verdicts([claim()], [({"a": 1, "seed": 0}, Cell(1.0)), ({"a": 2, "seed": 0}, Cell(1.0, **other))])
    assert (found.pairs, found.text) == ([], f"not comparable: different {said}")
