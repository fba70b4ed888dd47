"""Sessions and evaluation: draws keyed by index, the control beside the model, metrics that apply."""

from __future__ import annotations

import json
import random
import re
import shutil

import numpy as np
import pytest
import torch

from wavekit_core.evaluation import evaluate, evidence
from wavekit_core.pictures import quantise
from wavekit_core.pipeline import Pipeline
from wavekit_core.recipe.recipe import load
from wavekit_core.runs import manifest
from wavekit_core.session import Session
from wavekit_core.spaces import ImageSpace
from wavekit_core.watch import Watcher

torch.set_num_threads(1)
RECIPE = """
name: gauss
data: {use: digits, size: 8}
generator: {use: gmm, principal: 8, components: 1}
samples: {count: 25, batch_size: 10}
evaluate: [{use: mse}, {use: nearest}]
control: {use: gmm, principal: 2, components: 1}
"""
AUTOENCODER = """
data: {use: digits, size: 8}
generator: {use: vae, width: 8, code: 4}
sampler: {use: posterior-fit, components: 1}
samples: {count: 20, batch_size: 10}
evaluate: [{use: mse}, {use: swd, projections: 8}]
control: {use: pipeline, transform: {use: haar, norm: whiten}, generator: {use: gmm, principal: 4, components: 1}}
"""


@pytest.fixture
def session(recipe):
    """`session(text, settings)` with everything fitted."""

    def make(text: str = RECIPE, *settings: str) -> Session:
        made = Session(load(recipe(text), settings), torch.device("cpu"))
        made.pipeline.fit(made.batches)
        made.fit_sampler(0)
        return made

    return make


@pytest.mark.parametrize("text", [RECIPE, AUTOENCODER], ids=["generator", "sampler"])
@pytest.mark.parametrize("label", [None, 3])
def test_image_i_is_the_same_whatever_the_count(session, text, label):
    made = session(text)
    images, labels = made.draw(made.pipeline, 25, label)
    assert images.shape == (25, 1, 8, 8)
    assert labels.tolist() == ([i % 10 for i in range(25)] if label is None else [3] * 25)
    for count in (1, 9, 10, 11, 20):
        fewer, theirs = made.draw(made.pipeline, count, label)
        assert torch.equal(fewer, images[:count])
        assert torch.equal(theirs, labels[:count])
    assert len({image.numpy().tobytes() for image in images}) == 25


def test_draws_depend_on_the_seed_and_on_the_class(session):
    made, other = session(), session(RECIPE, "seed=1")
    images, _ = made.draw(made.pipeline, 5, 3)
    assert torch.equal(images, session().draw(made.pipeline, 5, 3)[0])
    assert not torch.equal(images, other.draw(made.pipeline, 5, 3)[0])
    assert not torch.equal(images, made.draw(made.pipeline, 5, 4)[0])


def test_the_first_weights_depend_on_the_seed_alone(recipe):
    def weights(*settings: str) -> bytes:
        torch.rand(7)
        made = Session(load(recipe(AUTOENCODER), settings), torch.device("cpu"))
        return torch.cat([p.flatten() for p in made.pipeline.parameters()]).detach().numpy().tobytes()

    assert weights() == weights("samples.count=3", "evaluate=[]")
    assert weights() != weights("seed=1")


def states() -> tuple:
    numbers = np.random.get_state()
    return torch.get_rng_state().tolist(), random.getstate(), numbers[1].tolist(), numbers[2]


def test_nothing_after_training_moves_training_s_random_numbers_or_weights(session):
    made = session(AUTOENCODER)
    before = states()
    weights = {name: tensor.clone() for name, tensor in made.pipeline.generator.state_dict().items()}
    made.draw(made.pipeline, 3)
    assert states() == before
    made.reconstruct(made.pipeline, made.held_out(3).data)
    assert states() == before
    made.fit_sampler(4)
    assert states() == before
    assert made.control
    assert states() == before
    evaluate(made, Watcher())
    assert states() == before
    now = made.pipeline.generator.state_dict()
    assert all(torch.equal(now[name], tensor) for name, tensor in weights.items())


def test_the_control_stands_beside_the_model(session):
    rows = evaluate(session(), Watcher())
    by = {(row["subject"], row["name"]): row for row in rows}
    assert set(by) == {(s, n) for s in ("model", "control") for n in ("mse", "nearest", "nearest-ratio")}
    assert by["model", "mse"]["value"] < by["control", "mse"]["value"]  # eight components against two
    assert by["model", "mse"]["count"] == 300
    assert by["model", "nearest"]["count"] == 25
    assert by["model", "nearest"]["floor"] == by["control", "nearest"]["floor"]
    assert rows == evaluate(session(), Watcher())


def test_without_a_control_there_are_no_rows_of_it(session):
    rows = evaluate(session(RECIPE, "control=null"), Watcher())
    assert {row["subject"] for row in rows} == {"model"}
    assert [row["name"] for row in rows] == ["mse", "nearest", "nearest-ratio"]


def test_a_control_in_stages_is_fitted_whole(session, monkeypatch):
    stages = "control={use: pipeline, generator: {use: pipeline, generator: {use: gmm}}}"
    made = session(AUTOENCODER, stages)
    assert {row["subject"] for row in evaluate(made, Watcher())} == {"model", "control"}
    calls = []
    monkeypatch.setattr(Pipeline, "fit_sampler", lambda self, batches: calls.append(self))
    other = session(AUTOENCODER, stages).control
    assert calls[-1] is other
    first, second = made.control.state_dict(), other.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_metrics_that_read_what_a_model_does_not_give_are_left_out(session, tiny_gan):
    silent = session(RECIPE, "generator={use: oracle-shrinkage}", "control=null")
    assert not silent.pipeline.samples
    assert [row["name"] for row in evaluate(silent, Watcher())] == ["mse"]
    blind = session(RECIPE, "generator={use: tiny-gan}")
    assert not blind.pipeline.reconstructs
    rows = evaluate(blind, Watcher())
    assert [(row["subject"], row["name"]) for row in rows] == [
        ("model", "nearest"),
        ("model", "nearest-ratio"),
        ("control", "mse"),
        ("control", "nearest"),
        ("control", "nearest-ratio"),
    ]


def test_evidence_is_in_eight_bit_steps(session, tiny_gan):
    made = session()
    shown = evidence(made, made.pipeline)
    for images in (shown.originals, shown.reconstructions, shown.samples):
        assert torch.equal(images, (images * 255).round() / 255)
        assert 0 <= images.min() <= images.max() <= 1
    assert torch.equal(shown.originals, made.held_out(300).data)
    assert torch.equal(sorted_rows(shown.originals), sorted_rows(made.dataset.held_out.batch(range(300)).data))
    assert shown.sample_labels.tolist() == [i % 10 for i in range(25)]
    gan = session(RECIPE, "generator={use: tiny-gan}")
    assert evidence(gan, gan.pipeline).sample_labels is None  # it was not asked for classes


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (2.0, 5.0)])
def test_quantisation_clamps_rounds_and_is_done_once(low, high):
    space = ImageSpace(1, 4, 64, low, high)
    images = torch.linspace(low - 1, high + 1, 256).reshape(1, 1, 4, 64)
    rounded = quantise(images, space)
    assert torch.equal(quantise(rounded, space), rounded)
    assert (rounded.min().item(), rounded.max().item()) == (low, high)
    inside = (images >= low) & (images <= high)
    assert (rounded - images)[inside].abs().max() <= (high - low) / 255 / 2 + 1e-6
    assert len(quantise(torch.linspace(low, high, 10_000), space).unique()) == 256


def sorted_rows(images):
    rows = images.flatten(1)
    return rows[torch.from_numpy(np.lexsort(rows.numpy().T))]


def test_a_pass_gives_every_training_image_once_and_all_classes_early(session):
    made = session()
    data = torch.cat([batch.data for batch in made.batches()])
    again = torch.cat([batch.data for batch in made.batches()])
    assert torch.equal(data, again)
    assert torch.equal(sorted_rows(data), sorted_rows(made.dataset.train.batch(range(len(made.dataset.train))).data))
    made.dataset.train._labels = np.sort(made.dataset.train._labels)  # a folder comes class by class
    assert len(set(next(iter(made.batches())).labels.tolist())) == 10


def test_the_command_line_measures_and_draws_the_same(wavekit, recipe, tmp_path):
    assert wavekit("run", recipe(AUTOENCODER + "train: {steps: 3, batch_size: 16}\n"), "--out", "run")[0] == 0
    written = json.loads((tmp_path / "run/evaluation.json").read_text())
    code, _, err = wavekit("evaluate", "run", "--json", "again.json")
    assert code == 0, err
    assert json.loads((tmp_path / "again.json").read_text())["figures"] == written["figures"]
    drawn = np.load(tmp_path / "run/samples/step-00000003/samples.npz")
    assert wavekit("sample", "run", "--count", "13", "--out", "few.npz")[0] == 0
    few = np.load(tmp_path / "few.npz")
    assert np.array_equal(few["images"], drawn["images"][:13])
    assert np.array_equal(few["labels"], drawn["labels"][:13])
    assert wavekit("sample", "run", "--count", "3", "--label", "7", "--out", "seven.npz")[0] == 0
    assert np.load(tmp_path / "seven.npz")["labels"].tolist() == [7, 7, 7]


def test_every_checkpoint_is_measured_once_and_kept_and_training_is_not_touched(wavekit, recipe, tmp_path):
    train = "train: {steps: 6, batch_size: 16, checkpoint_every: 2, keep: 9, log_every: 2}\n"
    assert wavekit("run", recipe(AUTOENCODER + train), "--out", "run")[0] == 0
    code, shown, _ = wavekit("show", "run")
    assert code == 0
    assert "go on" not in shown
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    code, out, err = wavekit("evaluate", "run", "--at", "all", "--json", "all.json")
    assert code == 0, err
    assert "step 2 (1 of 2)" in err
    assert re.search(r"step 2 +step 4 +step 6", out)
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert before.items() <= after.items()
    assert sorted(str(path.relative_to(tmp_path / "run")) for path in after.keys() - before.keys()) == [
        f"evaluations/step-0000000{step}/{name}" for step in (2, 4) for name in ("evaluation.json", "manifest.json")
    ]
    rows = json.loads((tmp_path / "all.json").read_text())["rows"]
    assert {row["step"] for row in rows} == {2, 4, 6}
    assert "of 2" not in wavekit("evaluate", "run", "--at", "all")[2]  # nothing is left to measure
    code, again, _ = wavekit("verify", "run")
    assert (code, f"{len(after) - 3} files" in again) == (0, True)  # all but the two logs and the first manifest


def test_a_step_that_is_measured_by_itself_gives_what_the_run_gave(wavekit, recipe, tmp_path):
    train = "train: {steps: 4, batch_size: 16, checkpoint_every: 2}\n"
    assert wavekit("run", recipe(AUTOENCODER + train), "--out", "run")[0] == 0
    assert wavekit("evaluate", "run", "--at", "4")[0] == 0
    kept = tmp_path / "run/evaluations/step-00000004/evaluation.json"
    assert json.loads(kept.read_text()) == json.loads((tmp_path / "run/evaluation.json").read_text())
    kept.write_text(kept.read_text().replace("model", "modal"))
    for command in (("verify", "run"), ("compare", "run"), ("show", "run")):
        code, _, err = wavekit(*command)
        assert (code, "step-00000004/evaluation.json" in err) == (5, True)
    code, _, err = wavekit("evaluate", "run", "--at", "last")
    assert (code, "is no step" in err) == (2, True)


def test_a_run_that_is_not_finished_says_where_it_stands_and_the_command_goes_on(wavekit, recipe, tmp_path):
    text = AUTOENCODER + "train: {steps: 4, batch_size: 16, checkpoint_every: 2, log_every: 2}\n"
    assert wavekit("run", recipe(text), "--out", "run", "-s", "name=other")[0] == 0
    (whole,) = re.findall(r"fingerprint: (\w+)", wavekit("verify", "run")[1])
    for left in ("checkpoints/step-00000004", "samples/step-00000004"):
        shutil.rmtree(tmp_path / "run" / left)
    manifest_path = tmp_path / "run/manifest.json"
    listed = {name: (tmp_path / "run" / name).read_bytes() for name in ("recipe.yaml", "resolved.yaml", "lock.json")}
    manifest_path.write_bytes(manifest.of(listed))
    for name in ("evaluation.json", "report.html"):
        (tmp_path / "run" / name).unlink()
    code, out, err = wavekit("show", "run")
    assert code == 0, err
    for words in ("other: not finished", "of 4", "elbo/loss", "images/s", "steps 2"):
        assert words in out
    (command,) = re.findall(r"go on: wavekit (.*)", out)
    code, _, err = wavekit(*command.split())
    assert code == 0, err
    assert re.findall(r"fingerprint: (\w+)", wavekit("verify", "run")[1]) == [whole]
