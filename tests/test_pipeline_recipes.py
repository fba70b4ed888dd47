"""Pipelines in recipes: refusals at the recipe's line, and nesting that is fitted, stored and sampled."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wavekit_core.kinds import Batch
from wavekit_core.recipe.nodes import build
from wavekit_core.recipe.recipe import load
from wavekit_core.session import build_pipeline

torch.set_num_threads(1)
HEAD = "data: {use: digits, size: 16}\n"
WRONG = {
    "a transform": (
        HEAD + "generator: {use: gmm}\ntransform:\n  use: haar\n  levels: 5\n",
        5,
        ["haar with levels: 5", "16×16", "at most 4 levels", "set levels: 4"],
    ),
    "a transform by default": (
        "data: {use: digits, size: 8}\ngenerator:\n  use: wvae\n  transform: {use: haar, levels: 6}\n",
        4,
        ["haar with levels: 6", "8×8: at most 3 levels"],
    ),
    "a second transform": (
        HEAD + "generator: {use: gmm}\ntransform:\n  - {use: haar}\n  - {use: bior}\n",
        5,
        ["takes images", "is given pyramid haar", "put it where the images are"],
    ),
    "a generator": (
        HEAD + "transform: {use: haar}\ngenerator:\n  use: vae\n",
        4,
        ["vae works on ImageSpace", "it is given pyramid haar, 1 level"],
    ),
    "a sampler": (
        HEAD + "generator: {use: gmm}\nsampler:\n  use: prior\n",
        4,
        ["draws from Autoencoders", "GaussianMixture is none"],
    ),
    "a sampler that lacks a prior": (
        HEAD + "generator: {use: wvae, width: 8, regularizers: {use: gaussian-kl}}\nsampler: {use: prior}\n",
        3,
        ["no regularizer has a prior for cH2", "laplace-kl"],
    ),
    "a regularizer": (
        HEAD + "generator:\n  use: vae\n  width: 8\n  regularizers:\n    - use: detail-l1\n",
        6,
        ["no detail bands", "wavelet latent, or gaussian-kl"],
    ),
    "a nested part": (
        HEAD + "generator:\n  use: pipeline\n  transform: {use: haar, levels: 5}\n  generator: {use: gmm}\n",
        4,
        ["at most 4 levels"],
    ),
    "a nested generator": (
        HEAD + "generator:\n  use: pipeline\n  transform: {use: haar}\n  generator: {use: vae}\n",
        5,
        ["vae works on ImageSpace"],
    ),
    "the control": (
        HEAD + "generator: {use: gmm}\ncontrol:\n  use: pipeline\n  transform: {use: haar}\n  generator: {use: vae}\n",
        6,
        ["vae works on ImageSpace"],
    ),
    "a control that trains": (
        HEAD + "generator: {use: gmm}\ncontrol:\n  use: vae\n",
        4,
        ["objectives to train", "gmm"],
    ),
}


@pytest.mark.parametrize(("text", "line", "words"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_shown_at_its_line_before_anything_is_computed(wavekit, recipe, text, line, words):
    path = recipe(text)
    for command in (["check", path], ["run", path, "--out", "out"]):
        code, _, err = wavekit(*command)
        assert code == 2, err
        assert f"recipe.yaml:{line}:" in err
        assert "^" in err
        assert all(word in err for word in words), err
        assert "Traceback" not in err
        assert not (path.parent / "out" / "lock.json").exists()


WHITE = "{use: haar, levels: 2, norm: whiten}"
FLAT = f"""
name: flat
data: {{use: digits, size: 8}}
transform: {WHITE}
generator: {{use: gmm, principal: 10, components: 1}}
samples: {{count: 20, batch_size: 10}}
"""
NESTED = f"""
name: nested
data: {{use: digits, size: 8}}
generator:
  use: pipeline
  transform: {WHITE}
  generator: {{use: gmm, principal: 10, components: 1}}
samples: {{count: 20, batch_size: 10}}
"""


def test_a_nested_pipeline_is_fitted_stored_and_sampled_as_a_flat_one(wavekit, recipe, tmp_path):
    for name, text in (("flat", FLAT), ("nested", NESTED)):
        code, _, err = wavekit("run", recipe(text, f"{name}.yaml"), "--out", name)
        assert code == 0, err
    drawn = {name: np.load(tmp_path / name / "samples/step-00000000/samples.npz") for name in ("flat", "nested")}
    assert np.array_equal(drawn["flat"]["images"], drawn["nested"]["images"])
    assert 10 < drawn["flat"]["images"].mean() < 200
    assert wavekit("sample", "nested", "--count", "20", "--out", "again.npz")[0] == 0
    assert np.array_equal(np.load(tmp_path / "again.npz")["images"], drawn["nested"]["images"])


def test_nested_whitening_learns_the_statistics_of_the_training_set(recipe):
    checked = load(recipe(NESTED))
    dataset = build(checked.part("data"))
    pipeline = build_pipeline(checked, dataset.space)
    data = dataset.train.batch(range(len(dataset.train))).data
    pipeline.fit(lambda: iter([Batch(data[:700]), Batch(data[700:])]))
    white = pipeline.generator.represent(data)
    assert white.approx.mean().abs() < 1e-4
    assert (white.details[1].std((0, 3, 4), correction=0) - 1).abs().max() < 1e-3


SAMPLERS = """
name: stages
data: {use: digits, size: 8}
generator:
  use: pipeline
  generator: {use: vae, width: 8, code: 4}
  sampler: {use: posterior-fit, components: 1}
control:
  use: pipeline
  generator: {use: pipeline, transform: {use: haar, norm: whiten}, generator: {use: gmm, principal: 5}}
train: {steps: 2, batch_size: 16}
samples: {count: 12, batch_size: 6}
evaluate: {use: nearest}
"""


def test_a_stage_s_own_sampler_is_fitted_and_travels_with_the_run(wavekit, recipe, tmp_path):
    assert wavekit("run", recipe(SAMPLERS), "--out", "run")[0] == 0
    drawn = np.load(tmp_path / "run/samples/step-00000002/samples.npz")["images"]
    assert wavekit("sample", "run", "--count", "5", "--out", "again.npz")[0] == 0
    assert np.array_equal(np.load(tmp_path / "again.npz")["images"], drawn[:5])
    assert '"subject": "control"' in (tmp_path / "run/evaluation.json").read_text()
