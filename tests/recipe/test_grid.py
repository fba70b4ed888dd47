"""The cells of a grid: their recipes, names and order, and the faults of its axes."""

from __future__ import annotations

import re

import pytest

from wavekit_core.recipe.compose import compose, put
from wavekit_core.recipe.faults import Mark, RecipeFaults
from wavekit_core.recipe.grid import expand, is_grid, single
from wavekit_core.recipe.source import parse

BASE = """
    name: base
    data: {use: digits, size: 8}
    generator: {use: vae, code: 4, width: 8}
    train: {steps: 5}
"""


@pytest.fixture
def cells(recipe):
    """`cells(text)` expands the recipe BASE with `grid:` and this text."""

    def make(grid: str, *settings: str):
        recipe(BASE, "base.yaml")
        lines = "".join(f"  {line.strip()}\n" for line in grid.strip().splitlines())
        return expand(compose(recipe(f"extends: base.yaml\ngrid:\n{lines}"), settings))

    return make


def test_cells_are_the_product_with_the_first_axis_slowest(cells):
    found = cells("generator.code: [8, 16]\nseed: [0, 1, 2]")
    assert [cell.name for cell in found] == [f"code-{c}-seed-{s}" for c in (8, 16) for s in (0, 1, 2)]
    assert [cell.settings for cell in found] == [{"generator.code": c, "seed": s} for c in (8, 16) for s in (0, 1, 2)]
    for cell in found:
        plain = cell.value.plain()
        assert plain["generator"] == {"use": "vae", "code": cell.settings["generator.code"], "width": 8}
        assert plain["seed"] == cell.settings["seed"]
        assert plain["name"] == cell.name
        assert "grid" not in plain


def test_a_component_with_another_use_replaces_and_one_with_the_same_merges(cells):
    vae, wvae = cells("generator: [{use: vae, code: 9}, {use: wvae, width: 16}]")
    assert vae.value.plain()["generator"] == {"use": "vae", "code": 9, "width": 8}
    assert wvae.value.plain()["generator"] == {"use": "wvae", "width": 16}
    assert (vae.name, wvae.name) == ("vae", "wvae")


def test_labels_of_an_axis_name_partial_recipes(cells):
    text = "system: {as-it-is: {}, long: {train: {steps: 900}, generator: {code: 2}}}\nseed: [3]"
    short, long = cells(text)
    assert short.value.plain()["train"] == {"steps": 5}
    assert long.value.plain()["train"] == {"steps": 900}
    assert long.value.plain()["generator"] == {"use": "vae", "code": 2, "width": 8}
    assert [cell.name for cell in (short, long)] == ["as-it-is-seed-3", "long-seed-3"]
    assert long.settings == {"system": "long", "seed": 3}


def test_later_axes_are_set_on_what_earlier_ones_made(cells):
    found = cells("generator: [{use: vae}, {use: wvae}]\ngenerator.width: [4, 6]")
    assert [cell.value.plain()["generator"] for cell in found] == [
        {"use": "vae", "code": 4, "width": 4},
        {"use": "vae", "code": 4, "width": 6},
        {"use": "wvae", "width": 4},
        {"use": "wvae", "width": 6},
    ]


@pytest.mark.parametrize(
    ("axis", "names"),
    [
        ("train.ema: [0, 0.5, 1e-3]", ["ema-0", "ema-0.5", "ema-0.001"]),
        ("train.compile: [true, 1, no]", ["compile-true", "compile-1", "compile-no"]),
        ("sampler: [null, {use: prior}]", ["sampler-none", "prior"]),
        ("generator.widths: [[4, 8], [8], []]", ["widths-4-8", "widths-8", "widths-none"]),
        (
            "evaluate: [[{use: mse}, {use: psnr}], [{use: mse}], []]",
            ["mse-psnr", "mse", "evaluate-none"],
        ),
        ("generator: [{use: vae, code: 1}, {use: vae, code: 2}]", ["vae", "vae-2"]),
        ("generator: [{use: 'wavekit-wvae:vae'}]", ["vae"]),
        ("generator.act: ['a/b', '../..', 'ä']", ["act-a-b", "act-..-..", "act--"]),
        ("system: {'ä b': {}, '..': {}, A: {}, a: {}}", ["x-b", "x..", "A", "a-2"]),
        ("generator.width: [8]\ncontrol.width: [4]", ["generator.width-8-control.width-4"]),
        ("a: {b: {}, b-c: {}}\nd: {c-e: {}, e: {}}", ["b-c-e", "b-e", "b-c-c-e", "b-c-e-2"]),
    ],
)
def test_names_are_readable_legal_and_distinct(cells, axis, names):
    found = [cell.name for cell in cells(axis)]
    assert found == names
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) for name in found)
    assert len({name.lower() for name in found}) == len(found)


def test_a_long_name_is_cut_and_stays_distinct(cells):
    first, second = (cell.name for cell in cells(f"data.path: [{'a' * 150}1, {'a' * 150}2]"))
    assert len(first) == len(second) == 100
    assert first[:91] == second[:91] == f"path-{'a' * 86}"
    assert re.fullmatch(r"-[0-9a-f]{8}", first[91:])
    assert first != second


def test_another_value_at_the_end_renames_no_cell(cells):
    few = {cell.name for cell in cells("generator: [{use: vae, code: 1}, {use: vae, code: 2}]\nseed: [0]")}
    many = {
        cell.name for cell in cells("generator: [{use: vae, code: 1}, {use: vae, code: 2}, {use: vae}]\nseed: [0, 1]")
    }
    assert few < many


def test_settings_of_the_command_line_change_axes(cells):
    axes = "generator.code: [8, 16]\nseed: [0, 1, 2]"
    assert [cell.name for cell in cells(axes, "grid.seed=[5]")] == ["code-8-seed-5", "code-16-seed-5"]
    assert [cell.name for cell in cells(axes, "grid={generator.code: [3]}", "grid.seed=null")] == ["code-3"]
    assert [cell.value.plain()["train"] for cell in cells(axes, "train.steps=9")] == [{"steps": 9}] * 6
    assert [cell.name for cell in cells(axes, "grid.generator.code=[3]", "grid.seed=[1]")] == ["code-3-seed-1"]
    labels = "system: {a: {}, b: {train: {steps: 7}}}"
    assert [c.value.plain()["train"] for c in cells(labels, "grid.system.b.train.steps=8")] == [
        {"steps": 5},
        {"steps": 8},
    ]
    assert [c.name for c in cells(labels, "grid.system.a=null")] == ["b"]


def test_a_recipe_that_extends_a_grid_may_replace_an_axis_or_end_it(recipe):
    recipe(BASE, "base.yaml")
    recipe("extends: base.yaml\ngrid: {seed: [0, 1], generator.code: [8, 16]}\n", "parent.yaml")
    child = compose(recipe("extends: parent.yaml\ngrid: {seed: [7]}\n", "child.yaml"))
    assert [cell.name for cell in expand(child)] == ["seed-7-code-8", "seed-7-code-16"]
    alone = compose(recipe("extends: parent.yaml\ngrid: null\n", "alone.yaml"))
    assert not is_grid(alone)
    assert "grid" not in single(alone).plain()


def test_the_values_of_a_cell_keep_their_places_in_the_grid(cells):
    (cell,) = cells("generator.code: [8]\nsystem: {a: {train: {steps: 7}}}")
    assert (cell.value.at(["generator", "code"]).mark.line, cell.value.data["generator"].keys["code"].line) == (3, 3)
    assert cell.value.at(["train", "steps"]).mark.line == 4
    assert cell.value.at(["generator", "width"]).mark.file.endswith("base.yaml")


@pytest.mark.parametrize(
    ("grid", "line", "words"),
    [
        ("seed: []", 3, ["axis `seed` has no values", "take the axis away"]),
        ("seed: 3", 3, ["axis `seed` is 3", "[3]"]),
        ("seed: null", 2, ["`grid` has no axis", "seed: [0, 1, 2]"]),
        ("system: {}", 3, ["axis `system` has no labels"]),
        ("system: {a: null}", 3, ["axis `system` has no labels"]),
        ("system: {a: 3}", 3, ["`a` of axis `system` is no partial recipe"]),
        ("generator: {code: [8, 16]}", 3, ["`code` of axis `generator`", "`generator.code: […]`"]),
        ("generator: {v: {use: vae}}", 3, ["`v` of axis `generator` is a component", "{generator: {use: …}}"]),
        ("generator: {use: vae, code: 3}", 3, ["axis `generator` is a component", "[{use: …}]"]),
        ("train: [{steps: 3}]", 3, ["neither plain nor a component", "`system: {small:"]),
        ("generator..code: [8]", 3, ["`generator..code` is no path"]),
        ("name: [a, b]", 3, ["`name` cannot be an axis"]),
        ("system: {a: {name: x}}", 3, ["`name` cannot stand in a cell"]),
        ("system: {a: {extends: quickstart}}", 3, ["`extends` cannot stand in a cell"]),
        ("name.x.y: [1]", 3, ["`name` cannot be an axis"]),
        ("data.size.x: [1, 2]", 3, ["'x' cannot be set below the plain value 8"]),
        ("seed: [[{a: 1}]]", 3, ["neither plain"]),
        ("seed: [0, 1]\ntrain.steps: [" + ", ".join(map(str, range(501))) + "]", 2, ["2 × 501 = 1,002 cells", "1,000"]),
    ],
)
def test_faults_of_axes_say_what_was_found_and_what_to_do(cells, grid, line, words):
    with pytest.raises(RecipeFaults) as caught:
        cells(grid)
    assert [fault.mark.line for fault in caught.value.faults] == [line]
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_all_faults_of_all_axes_come_at_once(cells):
    with pytest.raises(RecipeFaults) as caught:
        cells("seed: []\nsystem: {a: 3, b: {name: x}}\ntrain: [{steps: 1}, {steps: 2}]")
    assert [fault.mark.line for fault in caught.value.faults] == [3, 4, 4, 5, 5]


def test_a_grid_that_is_no_mapping_is_a_fault(recipe):
    with pytest.raises(RecipeFaults, match="`grid` is a mapping of axes"):
        expand(compose(recipe("data: {use: digits}\ngrid: [1, 2]\n")))


def test_a_grid_is_no_single_recipe(cells, recipe):
    cells("seed: [0, 1]")
    with pytest.raises(RecipeFaults, match=r"this is a grid of 2 cells \(seed-0, …\)"):
        single(compose(recipe("extends: base.yaml\ngrid: {seed: [0, 1]}\n")))


def test_put_goes_into_lists_and_changes_nothing_in_place():
    root = parse("a: [{b: 1}, {b: 2}]", "x.yaml")
    key = Mark("key")
    assert put(root, ["a", "1", "b"], parse("3", "y"), key).plain() == {"a": [{"b": 1}, {"b": 3}]}
    assert put(root, ["c", "d"], parse("3", "y"), key).plain() == {"a": [{"b": 1}, {"b": 2}], "c": {"d": 3}}
    assert root.plain() == {"a": [{"b": 1}, {"b": 2}]}
    for path in (["a", "2", "b"], ["a", "x"], ["a", "-1"]):
        with pytest.raises(RecipeFaults, match="is no index of a list of 2"):
            put(root, path, parse("3", "y"), key)
