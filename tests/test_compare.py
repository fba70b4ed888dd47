"""Comparing runs: which figures compare, which is best, time from rates, means over seeds, and what is damaged."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from rich.cells import cell_len
from wavekit_cli.figures import laid_out

from tests.runs.run_folders import LOCK, rewrite
from wavekit_core.compare import compare, compare_page, compare_rows
from wavekit_core.compare.collect import collect
from wavekit_core.compare.rows import facts_of, figures_of, legend_of, means_of, settings_of
from wavekit_core.errors import DamagedError, RecipeError
from wavekit_core.pictures import png
from wavekit_core.report.cells import Cells
from wavekit_core.runs.folder import RunFolder
from wavekit_core.runs.publish import publish_folder, publish_listed

RESOLVED = "name: {name}\nseed: {seed}\ndata: {{use: digits}}\nwidth: {width}\ntrain: {{batch_size: 8}}\n"
ONE = LOCK | {"processes": 1, "parameters": {"toy": 3}, "flops": None, "latent": None, "classes": []}
ONE |= {"space": {"channels": 1, "height": 8, "width": 8, "low": 0.0, "high": 1.0}, "steps": 10}


def figure(name="mse", value=0.5, better="lower", count=100, floor=None, subject="model", unit="u"):
    return {"subject": subject, "name": name, "value": value, "unit": unit, "better": better, "count": count} | {
        "floor": floor
    }


@pytest.fixture
def run(tmp_path):
    """`run(path, figures)` lays a finished run of ten steps of eight images down."""

    def made(path="a", figures=(), seed=0, width=1, name="made", step=10, averaged=True, data="d", rates=(), **lock):
        facts = ONE | {"seed": seed, "name": name, "data": data} | lock
        head = {
            "recipe.yaml": b"",
            "resolved.yaml": RESOLVED.format(name=name, seed=seed, width=width).encode(),
            "lock.json": json.dumps(facts).encode(),
        }
        publish_folder(tmp_path / path, head)
        folder = RunFolder(tmp_path / path)
        for at in (5, step):
            folder.log({"step": at, "images": at * 8, "toy/loss": 1 / at, "rate": 1.0})
        for row in rates:
            folder.log_timing(row)
        if figures:
            evaluation = {"step": step, "averaged": averaged, "figures": list(figures)}
            publish_listed(folder.path, "evaluation.json", json.dumps(evaluation).encode())
        return folder

    return made


def test_the_best_is_marked_in_the_direction_that_each_figure_says(run):
    def figures(*values):
        low, high, real = values
        return [figure("l", low), figure("h", high, "higher"), figure("r", real, "real", floor=1.0)]

    found = compare(
        [run("a", figures(1.0, 1.0, 0.5)), run("b", figures(2.0, 2.0, 1.2)), run("c", figures(1.0, 0, 1.3))]
    )
    assert {line.name: set(line.best) for line in found.lines} == {"l": {0, 2}, "h": {1}, "r": {1}}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"figures": [figure(count=99)]}, "N"),
        ({"figures": [figure()], "averaged": False}, "weights"),
        ({"figures": [figure()], "data": "e"}, "data"),
        ({"figures": [figure(unit="v")]}, "unit"),
    ],
)
def test_figures_that_do_not_compare_are_shown_and_said_so_and_none_is_best(run, other, said):
    found = compare([run("a", [figure(value=0.1)]), run("b", **other)])
    (line,) = found.lines
    assert (line.apart, line.best) == (said, frozenset())
    assert [row["value"] for row in line.rows] == [0.1, 0.5]
    rows = compare_rows([one.folder for one in found.runs])["rows"]
    assert [row["not comparable"] for row in rows] == [said, said]


def test_a_figure_that_one_run_lacks_leaves_its_place_empty(run):
    found = compare([run("a", [figure("x")]), run("b", [figure("y"), figure("x")]), run("c")])
    assert [(line.name, [bool(row) for row in line.rows]) for line in found.lines] == [
        ("x", [True, True, False]),
        ("y", [False, True, False]),
    ]
    assert any("c has not been evaluated" in note for note in found.notes)


def test_seconds_are_images_over_rates_and_what_was_trained_again_counts_once(run):
    rates = [{"step": 4, "images_per_second": 8.0}, {"step": 8, "images_per_second": 2.0}]
    again = [{"step": 8, "images_per_second": 4.0}, {"step": 10, "images_per_second": 16.0}]
    one = collect(run("a", rates=rates + again, flops=7), "a")
    assert one.seconds == [(4, 4.0), (8, 12.0), (10, 13.0)]
    assert [one.place(step, "seconds") for step in (2, 4, 6, 10, 11)] == [2.0, 4.0, 8.0, 13.0, None]
    assert [one.place(3, axis) for axis in ("steps", "images", "flops")] == [3.0, 24.0, 21.0]
    assert collect(run("b", flops=None), "b").place(3, "flops") is None


def test_runs_that_differ_only_in_seed_and_name_are_a_group_with_mean_and_deviation(run):
    values = {"a": (0, 1, 1.0), "b": (1, 1, 3.0), "c": (0, 2, 5.0), "d": (1, 2, 6.0), "e": (2, 2, 10.0)}
    folders = [run(p, [figure(value=v)], seed, width, name=f"w{width}") for p, (seed, width, v) in values.items()]
    means = {mean.group: mean for mean in compare(folders).means if mean.name == "mse"}
    assert (means["w1"].value, means["w1"].count, means["w1"].ratio, means["w1"].difference) == (2.0, 2, 1.0, None)
    assert means["w1"].deviation == pytest.approx(math.sqrt(2))
    assert (means["w2"].value, means["w2"].count, means["w2"].ratio) == (7.0, 3, 3.5)
    assert means["w2"].deviation == pytest.approx(math.sqrt(((5 - 7) ** 2 + (6 - 7) ** 2 + (10 - 7) ** 2) / 2))
    turned = {mean.group: mean.ratio for mean in compare(folders, folders[3]).means if mean.name == "mse"}
    assert turned == {"w2": 1.0, "w1": pytest.approx(2 / 7)}


def test_runs_of_other_data_or_length_are_no_group_and_single_runs_have_no_means(run):
    found = compare([run("a", [figure()]), run("b", [figure()], seed=1, data="e"), run("c", [figure()], 2, steps=11)])
    assert [group.members for group in found.groups] == [[0], [1], [2]]
    assert found.means == []
    (single,) = [
        m for m in compare([one.folder for one in found.runs[:1]], found.runs[0].folder).means if m.name == "mse"
    ]
    assert (single.deviation, single.ratio) == (None, 1.0)


def test_a_group_is_called_as_its_recipe_unless_something_else_is(run):
    twins = [run("a", [figure()], name="vae"), run("b", [figure()], 1, name="vae")]
    assert [group.name for group in compare(twins).groups] == ["vae"]
    assert [group.name for group in compare([*twins, run("vae", width=2)]).groups] == ["a", "vae"]
    assert [group.name for group in compare([*twins, run("c", width=2, name="vae")]).groups] == ["a", "c"]


def test_controls_and_floors_of_many_runs_are_given_as_one_value_each_or_their_range(run):
    def table(*values):
        folders = [
            run(f"{len(values)}/{i}", [figure(floor=v), figure(value=2.0, subject="control")], i)
            for i, v in enumerate(values)
        ]
        (line,) = figures_of(compare(folders)).lines
        return line[-5:-3]

    assert table(1.0, 1.0) == ["2", "1"]
    assert table(1.0, 3.0, 2.0) == ["2", "1 / 3 / 2"]
    assert table(1.0, 4.0, 2.0, 3.0) == ["2", "1 … 4"]


@pytest.mark.parametrize(("better", "said"), [("lower", "×2"), ("higher", "+10"), ("real", "+10")])
def test_means_are_set_in_ratio_where_lower_is_better_and_else_in_difference(run, better, said):
    floor = 0.0 if better == "real" else None
    values = {"a": (0, 1, 9.0), "b": (1, 1, 11.0), "c": (0, 2, 19.0), "d": (1, 2, 21.0)}
    folders = [run(p, [figure("f", v, better, floor=floor)], seed, width) for p, (seed, width, v) in values.items()]
    found = compare(folders)
    line = means_of(found).lines[0]
    assert (line[1], line[2], line[3]) == ("10 ± 1.4", "20 ± 1.4", said)
    mean = next(mean for mean in found.means if (mean.name, mean.group) == ("f", "c"))
    assert (mean.ratio, mean.difference) == ((2.0, None) if better == "lower" else (None, 10.0))
    back = compare(folders, folders[2])
    assert means_of(back).lines[0][3] == ("×0.5" if better == "lower" else "−10")
    assert [text[0] for text in legend_of(means_of(found))] == ["×"]


def test_settings_that_differ_are_listed_by_their_path_and_a_missing_one_is_empty(run, tmp_path):
    run("a", seed=0, width=1, name="one")
    other = run("b", seed=0, width=2, name="two")
    rewrite_recipe(
        other.path, "data: {use: digits, parts: [{use: x}, {use: y, on: true}]}\ntrain: {batch_size: 8}\nwidth: 1.0\n"
    )
    found = compare([RunFolder(tmp_path / "a"), other])
    assert found.settings == {
        "seed": [0, None],
        "width": [1, 1.0],
        "data.parts.0.use": [None, "x"],
        "data.parts.1.use": [None, "y"],
        "data.parts.1.on": [None, True],
    }
    assert settings_of(found).lines[0] == ["seed", "0", ""]
    assert settings_of(found).lines[-1] == ["data.parts.1.on", "", "true"]
    assert compare_rows([run.folder for run in found.runs])["settings"]["width"] == {"a": 1, "b": 1.0}
    assert "<h2>Settings that differ</h2>" in compare_page("x", [run.folder for run in found.runs]).decode()
    assert compare([other]).settings == {}


def rewrite_recipe(path, text):
    publish_listed(path, "resolved.yaml", text.encode())


def test_controls_and_real_images_have_no_column_without_a_value_and_marks_are_explained(run):
    plain = figures_of(compare([run("a", [figure(value=1.0)]), run("b", [figure(value=2.0)])]))
    assert plain.head == ["figure", "a", "b", "N", "step", "better"]
    assert plain.lines == [["mse (u)", "1*", "2", "100", "10", "lower"]]
    assert [text[0] for text in legend_of(plain)] == ["*"]
    with_control = [[figure(floor=0.1), figure(value=v, subject="control")] for v in (2.0, 3.0)]
    cells = figures_of(compare([run("c", with_control[0]), run("d", with_control[1])]))
    assert cells.head[3:5] == ["control", "real images"]
    assert cells.lines[0][3:5] == ["2 / 3", "0.1"]
    assert [text[:5] for text in legend_of(cells)] == ["* the", "a / b"]
    assert legend_of(facts_of(compare([run("e")]))) == []


@pytest.mark.parametrize("width", [36, 60, 80, 100, 240])
def test_a_table_on_a_narrow_terminal_is_split_and_nothing_of_it_is_cut(width):
    head = ["figure", *(f"wavelet-seed-{i}" for i in range(6)), "real images", "N", "better"]
    names = ["nearest-ratio (share of the floor)", "gfd[lenet-fashion] (squared feature, against held-out)"]
    lines = [[name, *(f"{0.1234 + i:.4f}*" for i in range(6)), "0.8491 / 1", "1000", "lower"] for name in names]
    tables = laid_out(Cells(head, lines), width)
    assert max(cell_len(line) for top, body in tables for line in [*top, *body]) <= width
    assert (len(tables) == 1) == (width == 240)
    words = [word for top, body in tables for line in [*top, *body] for word in line.split()]
    for given in (*head[1:], *lines[0][1:]):
        assert set(given.split()) <= set(words)
    for top, body in tables:
        assert top[0].startswith("figure ")
        assert [line.split()[0] for line in body if line.startswith(("near", "gfd"))] == [
            "nearest-ratio",
            "gfd[lenet-fashion]",
        ]
    assert words.count("gfd[lenet-fashion]") == len(tables)
    assert words.count("(squared") == 1  # the tables below repeat the names only


def test_units_are_dropped_where_they_leave_too_little_room():
    cells = Cells(["figure", "a", "b"], [["x (of-one-long-word) [not comparable: different N]", "0.1234*", "0.5678"]])
    ((_, roomy),) = laid_out(cells, 40)
    assert roomy[0].split() == ["x", "(of-one-long-word)", "0.1234*", "0.5678"]
    ((_, narrow),) = laid_out(cells, 30)
    assert narrow == ["x [not         0.1234*  0.5678", "comparable:", "different N]"]


def test_a_cell_that_is_wider_than_the_terminal_is_wrapped_whole():
    ((top, body),) = laid_out(Cells(["setting", "run"], [["data.path", "x" * 50]]), 30)
    assert top == ["setting    run"]
    assert [line.split()[-1] for line in body] == ["x" * 19, "x" * 19, "x" * 12]


def test_images_of_an_interrupted_run_are_those_up_to_the_step_reached(run, wavekit):
    folder = run("a", rates=[{"step": 5, "images_per_second": 8.0}], steps=20)
    assert "training: 80 images, the first 40 in 5 s, 8 images/s" in wavekit("show", folder.path)[1]


def test_a_repeated_seed_is_not_passed_off_as_another(run):
    notes = compare([run("a", [figure()], name="same"), run("b", [figure()], name="same")]).notes
    assert any("same holds runs of the same seed" in note for note in notes)


def test_names_are_the_shortest_ends_of_the_paths_that_differ(run):
    found = compare([run("x/a"), run("y/a"), run("b")])
    assert [one.name for one in found.runs] == ["x/a", "y/a", "b"]


def test_the_same_run_twice_a_baseline_from_outside_and_no_run_are_refused(run, tmp_path):
    first, second = run("a"), run("b")
    for folders, baseline, words in [
        ([first, first], None, "named twice"),
        ([first], second, "is the baseline"),
        ([], None, "no run to compare"),
        ([first, RunFolder(tmp_path / "none")], None, "there is no such run"),
    ]:
        with pytest.raises(RecipeError, match=words):
            compare(folders, baseline)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("timing.jsonl", '{"step": 10, "images_per_second": -1}'),
        ("timing.jsonl", '{"step": "ten", "images_per_second": 1.0}'),
        ("timing.jsonl", "{"),
        ("metrics.jsonl", '{"step": 10, "toy/loss": "low"}'),
        ("metrics.jsonl", '{"toy/loss": 1.0}'),
        ("metrics.jsonl", "[]"),
    ],
)
def test_a_damaged_log_is_named_and_ends_with_code_5(run, wavekit, file, content):
    folder = run("a", [figure()])
    (folder.path / file).write_text(content + "\n")
    code, _, err = wavekit("compare", folder.path)
    assert code == 5
    assert file in err
    assert "Traceback" not in err


@pytest.mark.parametrize("change", [{"value": "high"}, {"value": math.nan}, {"better": "more"}, {"count": None}])
def test_a_damaged_figure_is_named(run, change):
    folder = run("a", [figure()])
    rewrite(folder.path, "evaluation.json", lambda data: data["figures"][0].update(change))
    with pytest.raises(DamagedError, match=f"figures of step 10.*{next(iter(change))}"):
        compare([folder])


def test_stored_evaluations_are_read_by_step_and_checked(run):
    folder = run("a", [figure(value=1.0)])
    folder.publish_evaluation(5, json.dumps({"step": 5, "averaged": True, "figures": [figure(value=2.0)]}).encode())
    assert [(one["step"], one["figures"][0]["value"]) for one in collect(folder, "a").evaluations] == [
        (5, 2.0),
        (10, 1.0),
    ]
    folder.publish_evaluation(6, json.dumps({"step": 7, "averaged": True, "figures": []}).encode())
    with pytest.raises(DamagedError, match="holds step 7"):
        compare([folder])


def test_the_command_line_writes_rows_that_stand_for_themselves_and_a_page_that_needs_nothing_else(
    run, wavekit, tmp_path
):
    control = figure(value=0.3, subject="control")
    run("a", [figure(value=0.1, floor=0.05), control], rates=[{"step": 10, "images_per_second": 4.0}], flops=5)
    run("b", [figure(value=0.2, floor=0.05)], seed=1)
    pixels = png(np.zeros((9, 9), np.uint8))
    for name in ("a", "b"):
        RunFolder(tmp_path / name).publish_samples(10, {"grid.png": pixels, "reconstructions.png": pixels})
    code, out, err = wavekit("compare", "a", "b", "--json", "c.json", "--html", "c.html", "--against", "images")
    assert (code, err) == (0, "")
    assert "0.1*" in out
    assert "0.15 ± 0.071" in out
    data = json.loads((tmp_path / "c.json").read_text())
    assert data["rows"][0] == {
        **{"figure": "mse", "run": "a", "subject": "model", "value": 0.1, "unit": "u", "better": "lower", "count": 100},
        **{"floor": 0.05, "step": 10, "averaged": True, "seed": 0, "best": True, "not comparable": ""},
    }
    assert data["runs"]["a"]["training seconds"] == 20.0
    assert data["runs"]["b"]["images"] == 80
    text = (tmp_path / "c.html").read_text()
    assert re.findall(r'id="axis-(\w+)"( checked)?', text) == [
        ("steps", ""),
        ("images", " checked"),
        ("seconds", ""),
        ("flops", ""),
    ]
    assert not re.search(r"https?:|<script|url\(", re.sub(r"base64,[A-Za-z0-9+/=]*", "", text))
    for title in ("Figures", "Over seeds", "Facts", "Curves", "Samples", "Reconstructions"):
        assert f"<h2>{title}</h2>" in text


def test_what_a_folder_or_a_figure_is_called_is_text_on_the_page(run):
    text = compare_page("<u>", [run("<i>a", [figure("<b>$x_$")])]).decode()
    assert not {"<i>", "<b>", "<u>"} & set(re.findall(r"<\w+>", text))
    assert "&lt;b&gt;$x_$" in text


def test_a_run_that_has_only_begun_is_compared(run, tmp_path):
    lock = json.dumps(ONE).encode()
    resolved = RESOLVED.format(name="m", seed=0, width=1).encode()
    publish_folder(tmp_path / "begun", {"recipe.yaml": b"", "resolved.yaml": resolved, "lock.json": lock})
    found = compare([RunFolder(tmp_path / "begun"), run("a", [figure()])])
    assert found.runs[0].step == 0
    assert any("begun is not finished: step 0 of 10" in note for note in found.notes)
    assert b"begun" in compare_page("x", [one.folder for one in found.runs])
