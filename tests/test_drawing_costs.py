"""What drawing costs: network evaluations counted by stage, seconds measured, and both in comparisons."""

from __future__ import annotations

import json
import re

import pytest
import torch

from wavekit_core.compare import compare, compare_page, compare_rows
from wavekit_core.compare.comparison import families
from wavekit_core.compare.rows import facts_of, means_of, rows_of
from wavekit_core.diffusion.samplers import DDIM, Heun
from wavekit_core.errors import RecipeError
from wavekit_core.evaluation import measured
from wavekit_core.kinds import DetailGenerator
from wavekit_core.pipeline import Pipeline
from wavekit_core.recipe.recipe import load
from wavekit_core.run import start
from wavekit_core.runs.folder import RunFolder
from wavekit_core.session import Session, build_pipeline
from wavekit_core.spaces import ImageSpace
from wavekit_core.testing.known import gaussian_denoiser
from wavekit_core.watch import Watcher

CASCADE = """
    data: {use: digits, size: 16}
    transform: {use: haar, levels: 2}
    generator:
      use: cascade
      coarse: {use: wmgm-sgm, network: mlp, width: 8, classes: 10}
      detail: {use: wsgm, width: 8}
      share_scales: false
    sampler: {use: heun, steps: 4}
"""
GMM = """
    data: {use: digits, size: 8}
    generator: {use: gmm, components: 1, principal: 2}
    train: {steps: 0, threads: 1}
    samples: {count: 10, timed: 3}
"""


@pytest.fixture
def evaluations(recipe):
    """`evaluations(settings)` of the cascade's stages."""

    def counted(*settings: str) -> dict[str, int]:
        with torch.device("meta"):
            return build_pipeline(load(recipe(CASCADE), settings), ImageSpace(1, 16, 16)).evaluations_with(None)

    return counted


def test_evaluations_of_a_cascade_are_those_of_each_stage(evaluations):
    assert evaluations() == {"coarse network": 7, "detail of level 2": 7, "detail of level 1": 7}
    assert evaluations("generator.coarse.sampler={use: ddim, steps: 3}") == {
        "coarse network": 3,
        "detail of level 2": 7,
        "detail of level 1": 7,
    }
    assert evaluations("generator.detail.sampler={use: ddim, steps: 5}")["detail of level 2"] == 5


def test_details_that_draw_by_themselves_take_one_evaluation_and_without_a_sampler_none_is_known():
    class Zero(DetailGenerator):
        def draw(self, approx, level, labels=None, sampler=None):
            return approx.new_zeros(approx.shape[0], approx.shape[1], 3, *approx.shape[2:])

    assert Zero().evaluations_with(None) == {"network": 1}
    waiting = Zero()
    waiting.draws = False
    assert waiting.evaluations_with(None) == {}
    assert waiting.evaluations_with(DDIM(steps=9)) == {"network": 9}


def test_a_denoiser_counts_what_its_own_sampler_or_the_given_one_asks_for():
    model = gaussian_denoiser().model
    asked = []
    denoise = model.denoise
    model.denoise = lambda x, sigma, labels=None: asked.append(len(x)) or denoise(x, sigma, labels)
    for sampler in (Heun(steps=5), DDIM(steps=3)):
        asked.clear()
        pipeline = Pipeline(model.space, lambda space: model, (), sampler)
        pipeline.sample(2)
        assert pipeline.evaluations_with(None) == {"network": len(asked)} == {"network": sampler.evaluations}
    assert model.evaluations_with(None) == {}
    model.sampler = DDIM(steps=6)
    asked.clear()
    model.sample(2)
    assert model.evaluations_with(Heun(steps=5)) == {"network": len(asked)} == {"network": 6}


def test_a_model_draws_with_a_sampler_of_its_own(recipe):
    path = recipe(
        "data: {use: digits, size: 8}\ngenerator: {use: wmgm-sgm, width: 8, sampler: {use: ddim, steps: 2}}\n"
    )
    pipeline = build_pipeline(load(path), ImageSpace(1, 8, 8))
    assert pipeline.samples
    assert pipeline.sample(3).shape == (3, 1, 8, 8)
    assert pipeline.evaluations_with(None) == {"network": 2}


def test_evaluations_stand_in_evaluation_json_in_the_report_and_in_comparisons(recipe, tmp_path):
    text = "data: {use: digits, size: 8}\ngenerator: {use: wmgm-sgm, width: 8}\nsampler: {use: heun, steps: 2}\n"
    text += "train: {steps: 1, batch_size: 4, threads: 1}\nsamples: {count: 4, batch_size: 4, timed: 1}\n"
    start(load(recipe(text)), b"", tmp_path / "r", torch.device("cpu"), Watcher())
    assert json.loads((tmp_path / "r/evaluation.json").read_text())["evaluations"] == {"network": 3}
    assert "Evaluations for one image: 3 of the network." in (tmp_path / "r/report.html").read_text()
    (run,) = compare([RunFolder(tmp_path / "r")]).runs
    assert run.network_evaluations == 3
    facts = compare_rows([run.folder])["runs"]["r"]
    assert (facts["evaluations"], facts["seconds for 100 images"]) == (3, run.drawing[0])
    assert run.drawing[1] is None


def test_what_is_measured_of_a_model_without_evaluations_says_nothing_of_them(recipe):
    session = Session(load(recipe(GMM)), torch.device("cpu"))
    session.pipeline.fit(session.batches)
    assert set(measured(session, 0, Watcher())) == {"step", "averaged", "figures"}


def test_a_hundred_images_are_drawn_each_time_after_one_that_does_not_count(recipe, monkeypatch):
    session = Session(load(recipe(GMM), ["samples.batch_size=40"]), torch.device("cpu"))
    sizes = []
    monkeypatch.setattr(session.pipeline, "sample", lambda count, labels: sizes.append((count, labels.tolist())))
    before = torch.get_rng_state().tolist()
    assert len(session.drawing_seconds(session.pipeline, 3)) == 3
    assert [size for size, _ in sizes] == [40, 40, 20] * 4
    assert sizes[0][1][:12] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert torch.get_rng_state().tolist() == before


def test_timing_stands_beside_the_rates_and_is_done_once(recipe, tmp_path, monkeypatch):
    chosen = load(recipe(GMM))
    with monkeypatch.context() as patch:
        patch.setattr("wavekit_core.execution.render", lambda *_: (_ for _ in ()).throw(RecipeError("no report")))
        with pytest.raises(RecipeError):
            start(chosen, b"", tmp_path / "r", torch.device("cpu"), Watcher())
    start(chosen, b"", tmp_path / "r", torch.device("cpu"), Watcher())
    assert RunFolder(tmp_path / "r").finished
    (row,) = RunFolder(tmp_path / "r").drawings()
    assert {key: row[key] for key in ("step", "drawn", "trials")} == {"step": 0, "drawn": 100, "trials": 3}
    assert row["seconds"] > 0
    assert row["deviation"] >= 0
    assert "seconds" not in (tmp_path / "r/evaluation.json").read_text()


# --- in comparisons; runs laid down by hand


@pytest.fixture
def drawn(tmp_path):
    """`drawn(name, sampler, seed, seconds, value)`: a finished run whose drawing took so long."""
    from tests.runs.run_folders import LOCK
    from wavekit_core.runs.publish import publish_folder, publish_listed

    def made(name, sampler, seed, seconds, value, system="a", deviation=0.5):
        resolved = f"name: {name}\nseed: {seed}\ndata: {{use: digits}}\nsampler: {sampler}\nsystem: {system}\n"
        lock = LOCK | {"seed": seed, "name": name, "steps": 10}
        head = {"recipe.yaml": b"", "lock.json": json.dumps(lock).encode()}
        publish_folder(tmp_path / name, head | {"resolved.yaml": f"{resolved}train: {{batch_size: 8}}\n".encode()})
        folder = RunFolder(tmp_path / name)
        folder.log_timing({"step": 10, "images_per_second": 8.0})
        if seconds:
            row = {"step": 10, "drawn": 50, "trials": 2, "seconds": seconds / 2}
            folder.log_timing(row | {"deviation": deviation and deviation / 2})
        figure = {"subject": "model", "value": value, "unit": "u", "count": 9}
        figures = [figure | {"name": "gfd", "better": "lower", "floor": 0.1}]
        figures.append(figure | {"name": "agreement", "better": "higher", "floor": 1.0})
        figures.append(figure | {"name": "mse", "better": "lower", "floor": None})
        found = {"step": 10, "averaged": True, "evaluations": {"coarse network": 4, "detail": 1}, "figures": figures}
        publish_listed(folder.path, "evaluation.json", json.dumps(found).encode())
        return folder

    return made


def test_seconds_are_a_fact_with_their_deviation_and_a_mean_over_seeds(drawn):
    found = compare([drawn("a", "x", 0, 2.0, 1.0), drawn("b", "x", 1, 4.0, 1.0), drawn("c", "y", 0, None, 1.0)])
    lines = {line[0]: line[1:] for line in facts_of(found).lines}
    assert lines["seconds for 100 images"] == ["2 ± 0.5", "4 ± 0.5", ""]
    assert lines["evaluations"] == ["5", "5", "5"]
    assert [facts.get("seconds for 100 images, sd") for facts in rows_of(found)["runs"].values()] == [0.5, 0.5, None]
    means = {line[0]: line[1] for line in means_of(found).lines}
    assert means["seconds for 100 images"] == "3 ± 1.4"


def test_runs_that_differ_in_sampler_and_seed_alone_are_a_family(drawn):
    folders = [
        drawn(f"{system}-steps-{steps}-seed-{seed}", steps, seed, steps / 4, 1 / steps, system)
        for system in ("sgm", "wmgm")
        for steps in (4, 16)
        for seed in (0, 1)
    ]
    found = compare(folders)
    assert [(one.name, len(one.groups)) for one in families(found)] == [("sgm-steps", 2), ("wmgm-steps", 2)]
    text = compare_page("x", folders).decode()
    assert "<h2>Figures against drawing</h2>" in text


def test_distances_are_drawn_against_seconds_where_two_runs_know_them(drawn, monkeypatch):
    from wavekit_core.compare import page

    shown = []
    draw = page.panels
    monkeypatch.setattr(
        page, "panels", lambda panels, *rest: shown.append((panels, draw(panels, *rest))) or shown[-1][1]
    )
    folders = [drawn("a-4", 4, 0, 1.0, 0.5), drawn("a-8", 8, 0, 2.0, 0.25), drawn("b", 8, 0, None, 0.5, "b")]
    folders.append(drawn("c", 8, 0, 3.0, 0.75, "c"))
    assert page._costs(compare(folders))
    panels, drawn_plot = shown[-1]
    assert [(panel.title, panel.level) for panel in panels] == [("gfd", 0.1)]
    assert [(curve.label, curve.points) for curve in panels[0].curves] == [
        ("a", [(1.0, 0.5), (2.0, 0.25)]),
        ("c", [(3.0, 0.75)]),
    ]
    assert drawn_plot.axes[0].get_xscale() == "log"
    assert page._costs(compare(folders[1:3])) is None


@pytest.mark.parametrize("change", [{"seconds": -1.0}, {"trials": 0}, {"seconds": "long"}, {"deviation": "none"}])
def test_a_damaged_drawing_row_ends_with_code_5(drawn, wavekit, change):
    folder = drawn("a", "x", 0, None, 1.0)
    folder.log_timing({"step": 10, "drawn": 100, "trials": 2, "seconds": 1.0, "deviation": None} | change)
    code, _, err = wavekit("compare", folder.path)
    assert code == 5
    assert re.search(r"timing\.jsonl: is damaged", err)
