"""A run in Python: drawn from as by the command, with other samplers, previews, and errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from wavekit_core import open_run
from wavekit_core.diffusion.samplers import DDIM, Heun
from wavekit_core.errors import RecipeError
from wavekit_core.pictures import levels
from wavekit_core.recipe.recipe import load
from wavekit_core.run import start
from wavekit_core.watch import Watcher

SCORE = """
data: {use: digits, size: 8}
generator: {use: wmgm-sgm, network: mlp, width: 8, classes: 10, lr: 0.05}
sampler: {use: ddim, steps: 2}
train: {steps: 4, batch_size: 8, ema: 0.5, checkpoint_every: 2, threads: 1}
samples: {count: 5, batch_size: 5}
"""
VAE = """
data: {use: digits, size: 8}
generator: {use: vae, width: 4, code: 2}
sampler: {use: posterior-fit, components: 1}
train: {steps: 1, batch_size: 8, threads: 1}
samples: {count: 5, batch_size: 5}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("opened")
    for name, text in (("score", SCORE), ("vae", VAE)):
        (folder / f"{name}.yaml").write_text(text)
        start(load(folder / f"{name}.yaml"), b"", folder / name, torch.device("cpu"), Watcher())
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_images_are_those_of_the_command_and_stay_in_the_data_s_range(runs, wavekit, tmp_path):
    run = open_run(runs / "score")
    images = run.sample(7, label=3)
    assert (images.shape, images.dtype, images.device.type) == ((7, 1, 8, 8), torch.float32, "cpu")
    assert run.session.space.low <= images.min() < images.max() <= run.session.space.high
    assert wavekit("sample", runs / "score", "-n", "7", "--label", "3", "-o", "a.npz")[0] == 0
    assert np.array_equal(np.load(tmp_path / "a.npz")["images"], levels(images, run.session.space))
    assert torch.equal(run.sample(3, label=3), images[:3])
    assert not torch.equal(run.sample(7), images)


def test_a_checkpoint_is_chosen_by_its_step(runs):
    assert (open_run(runs / "score").step, open_run(str(runs / "score"), step=2).step) == (4, 2)
    early, late = (open_run(runs / "score", step=step, device="cpu").sample(2) for step in (2, 4))
    assert not torch.equal(early, late)
    with pytest.raises(RecipeError, match="no checkpoint of step 3"):
        open_run(runs / "score", step=3)


def test_another_sampler_draws_and_the_run_stays_as_it_is(runs, wavekit, tmp_path):
    before = contents(runs)
    run = open_run(runs / "score")
    usual = run.sample(4)
    other = run.sample(4, sampler=Heun(steps=3, grid="uniform"))
    assert not torch.equal(other, usual)
    assert torch.equal(run.sample(4), usual)
    assert torch.equal(run.sample(4, sampler=DDIM(steps=2)), usual)
    argv = ("sample", runs / "score", "-n", "4", "-o")
    assert wavekit(*argv, "heun.npz", "-s", "sampler={use: heun, steps: 3, grid: uniform}")[0] == 0
    assert wavekit(*argv, "same.npz", "-s", "sampler.steps=2")[0] == 0
    assert wavekit(*argv, "more.npz", "-s", "sampler.steps=5", "-s", "sampler.eta=0.5")[0] == 0
    drawn = {name: np.load(tmp_path / f"{name}.npz")["images"] for name in ("heun", "same", "more")}
    assert np.array_equal(drawn["heun"], levels(other, run.session.space))
    assert np.array_equal(drawn["same"], levels(usual, run.session.space))
    assert np.array_equal(drawn["more"], levels(run.sample(4, sampler=DDIM(5, eta=0.5)), run.session.space))
    assert contents(runs) == before


def test_a_sampler_that_learns_is_fitted_to_the_run(runs, wavekit, tmp_path):
    from wavekit_wvae.samplers import PosteriorFit

    run = open_run(runs / "vae")
    assert torch.equal(run.sample(4, sampler=PosteriorFit(components=1)), run.sample(4))
    assert not torch.equal(run.sample(4, sampler=PosteriorFit(components=3)), run.sample(4))


def test_a_callback_sees_every_step(runs):
    seen = []
    run = open_run(runs / "score")
    images = run.sample(3, callback=lambda *told: seen.append(told))
    assert torch.equal(images, run.sample(3))
    assert [step for step, *_ in seen] == [0, 1]
    assert seen[0][1] > seen[1][1]
    assert all(x.shape == denoised.shape == (5, 1, 8, 8) for _, _, x, denoised in seen)
    seen.clear()
    run.sample(3, sampler=Heun(steps=4), callback=lambda *told: seen.append(told))
    assert len(seen) >= 4


def test_reconstructions_are_those_of_the_model(runs):
    run = open_run(runs / "vae")
    images = torch.rand(3, 1, 8, 8)
    expected = run.session.reconstruct(run.model, images)
    assert torch.equal(run.reconstruct(images), expected)
    assert torch.equal(run.reconstruct(images.double()), expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda runs: open_run(runs / "none"), "there is no such run"),
        (lambda runs: open_run(runs / "score").sample(0), "count is 0"),
        (lambda runs: open_run(runs / "score").sample(1, label=10), "label 10: there are 10 classes"),
        (lambda runs: open_run(runs / "score").sample(1, label=-1), "label -1: there are 10 classes"),
        (lambda runs: open_run(runs / "vae").sample(1, sampler=DDIM()), "draws from Denoisers"),
        (lambda runs: open_run(runs / "vae").sample(1, callback=print), "PosteriorFit: takes no callback"),
        (lambda runs: open_run(runs / "score").reconstruct(torch.rand(1, 1, 8, 8)), "does not reconstruct"),
        (lambda runs: open_run(runs / "vae").reconstruct(torch.rand(1, 3, 8, 8)), r"images are \(1, 3, 8, 8\)"),
        (lambda runs: open_run(runs / "vae").reconstruct([1.0]), "images are list"),
    ],
)
def test_what_cannot_be_done_is_said(runs, call, words):
    with pytest.raises(RecipeError, match=words):
        call(runs)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("-s", "train.steps=9"), "only its sampler can change"),
        (("-s", "sampler.stepz=9"), "did you mean 'steps'"),
        (("-s", "sampler=null"), "leaves no sampler"),
        (("-s", "sampler={use: posterior-fit}"), "draws from"),
        (("-s", "sampler.steps=0"), "steps of ddim is 0"),
        (("--previews",), "DDIM: does not draw in stages"),
    ],
)
def test_settings_that_do_not_fit_end_with_code_2(runs, wavekit, argv, words):
    code, _, err = wavekit("sample", runs / "score", *argv)
    assert code == 2
    assert words in err
    assert "Traceback" not in err


def test_nothing_is_written_into_the_run_folder(runs, wavekit):
    before = contents(runs)
    code, _, err = wavekit("sample", runs / "score", "-n", "1", "-o", runs / "score" / "x.png")
    assert code == 2
    assert "lies in the run folder" in err
    assert contents(runs) == before


def test_the_core_imports_nothing_heavy_until_a_run_is_opened():
    code = "import sys, wavekit_core; assert 'torch' not in sys.modules; wavekit_core.open_run; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'open_ran'"):
        __import__("wavekit_core").open_ran  # noqa: B018
