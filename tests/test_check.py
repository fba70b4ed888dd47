"""Checking: what it counts is what is built and computed, and nothing is allocated or written for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.conftest import SAME
from wavekit_core import check as checking
from wavekit_core.check import check
from wavekit_core.errors import ResourceError
from wavekit_core.recipe.recipe import load
from wavekit_core.session import Session

torch.set_num_threads(1)

TOY = """
    import functools
    from typing import Literal

    import torch
    from torch import nn
    from wavekit_core.kinds import Generator, Loss, Objective
    from wavekit_core.spaces import ImageSpace

    made = []

    class Toy(Generator):
        def __init__(self, space: ImageSpace, net: Literal["linear", "conv", "norm", "view", "reader"] = "linear",
                     width: int = 5):
            super().__init__()
            made.append(self)
            self.space, self.net = space, net
            first = nn.Linear(space.numbers, width)
            conv = nn.Conv2d(space.channels, width, 3, padding=1, bias=False)
            self.body = {
                "linear": lambda: nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(width, 1)),
                "conv": lambda: conv,
                "norm": lambda: nn.Sequential(conv, nn.BatchNorm2d(width)),
                "view": lambda: nn.Identity(),
                "reader": lambda: nn.Identity(),
            }[net]()
            self.p = nn.Parameter(torch.ones(()))

        def objectives(self):
            return [Objective(name, [{"params": list(self.parameters())}], self.loss,
                              functools.partial(torch.optim.SGD, lr=0.1)) for name in ("one", "two")]

        def loss(self, batch):
            assert batch.labels.shape == batch.data.shape[:1]
            if self.net == "reader" and batch.data.max() > 2:
                return None
            x = self.body(batch.data) * self.p
            return Loss((x.exp()[:, :1].exp() if self.net == "view" else x).sum())
"""


@pytest.fixture
def toy(plugins, recipe):
    """`toy(settings)` loads a recipe with the generator `toy`."""
    plugins("wk-toy", TOY, {"wavekit.v1.generator": {"toy": "wk_toy:Toy"}})

    def make(*settings: str):
        text = "data: {use: digits, size: 8}\ngenerator: {use: toy}\ntrain: {batch_size: 12}\n"
        return load(recipe(text), settings)

    return make


@pytest.mark.parametrize("shards", [1, 4])
def test_flops_of_linear_layers_are_the_closed_form(toy, shards):
    findings = check(toy(f"train.shards={shards}"))
    first, second = 64 * 5, 5  # products an image
    one = 2 * 12 * (first + second + first + 2 * second)  # forward; the weights' gradients, and one to the hidden layer
    assert findings.flops == 2 * one  # two objectives
    assert findings.parameters == {"one": 64 * 5 + 5 + 5 + 1 + 1, "two": 64 * 5 + 5 + 5 + 1 + 1}


def test_flops_of_a_convolution_are_the_closed_form(toy):
    products = 8 * 8 * 5 * 9
    assert check(toy("generator.net=conv")).flops == 2 * 2 * 2 * 12 * products


def test_memory_counts_whole_tensors_that_are_saved_in_part(toy):
    saved = 12 * 64 * 4  # of x.exp(), kept whole though a part is used last
    findings = check(toy("generator.net=view", "data.size=8"))
    batches = 2 * 12 * 64 * 4
    assert findings.memory >= 5 * 4 + batches + saved
    assert findings.memory <= 5 * 4 + batches + 4 * saved


def test_weights_that_are_kept_for_the_backward_pass_are_counted_once(toy):
    one, wide = (check(toy(f"generator.width={width}", "train.batch_size=1")).memory for width in (1, 10_001))
    assert wide - one < 10_000 * 5 * 4 * (64 + 1 + 1) + 10_000 * 4 * 4  # five of each weight, and hidden layers


def test_memory_falls_with_shards_but_the_batch_stays(toy):
    one, four = (check(toy("train.batch_size=4096", f"train.shards={k}")).memory for k in (1, 4))
    fixed = 2 * 4096 * 64 * 4
    assert fixed < four < one
    weights = 5 * 4 * (64 * 5 + 5 + 5 + 1 + 1)
    assert (four - fixed - weights) * 4 == pytest.approx(one - fixed - weights, rel=0.01)


@pytest.mark.parametrize(
    "generator",
    [
        "{use: wvae, width: 8, regularizers: [{use: laplace-kl}, {use: gaussian-kl}]}",
        "{use: vae, width: 8, code: 4}",
        "{use: wvae, width: 8, encoder: bottleneck, noise_fixed: true}",
    ],
)
def test_parameters_are_those_of_the_model_that_is_built(recipe, generator):
    checked = load(recipe(f"data: {{use: digits, size: 8}}\ngenerator: {generator}\n"))
    built = Session(checked, torch.device("cpu")).pipeline
    assert check(checked).parameters == {"elbo": sum(p.numel() for p in built.parameters() if p.requires_grad)}


def test_nothing_is_allocated_and_no_weight_is_made(toy):
    check(toy("generator.net=norm"))
    import wk_toy

    assert wk_toy.made
    for model in wk_toy.made:
        assert all(tensor.is_meta for tensor in model.state_dict().values())


HUGE = [
    "generator={use: wvae, width: 100000}",
    "generator={use: wvae, width: 1000000000000}",
    "generator={use: vae, width: 100000000}",
    "generator={use: vae, code: 1000000000000000000}",
    "train.batch_size=1000000",
]


@pytest.mark.parametrize("setting", HUGE)
def test_legal_sizes_that_no_machine_has_room_for_are_a_lack_of_memory(wavekit, recipe, monkeypatch, setting):
    monkeypatch.setattr(checking, "_memory", lambda: 16 * 2**30)
    path = recipe("data: {use: digits, size: 16}\ngenerator: {use: wvae, width: 16}\n")
    code, _, err = wavekit("check", path, "-s", setting)
    assert code == 6, err
    assert "smaller" in err
    assert "Traceback" not in err


def test_huge_images_are_a_lack_of_memory(wavekit, recipe, monkeypatch):
    monkeypatch.setattr(checking, "_memory", lambda: 16 * 2**30)
    text = "data: {use: image-folder, path: nowhere, size: 4096}\ngenerator: {use: vae}\ntrain: {batch_size: 1024}\n"
    code, _, err = wavekit("check", recipe(text))
    assert code == 6, err


def test_a_batch_that_fits_in_shards_alone_is_still_too_large(toy, monkeypatch):
    settings = ("train.batch_size=1000000", "train.shards=1000")
    assert check(toy(*settings)).memory > 2 * 1_000_000 * 64 * 4
    monkeypatch.setattr(checking, "_memory", lambda: 10**8)
    with pytest.raises(ResourceError, match=r"a training step would need .* train.batch_size smaller"):
        check(toy(*settings))


def test_remarks(toy, recipe):
    assert any("does not sample" in remark for remark in check(toy()).remarks)
    assert not any("batch statistics" in remark for remark in check(toy()).remarks)
    assert any("batch statistics couple" in remark for remark in check(toy("generator.net=norm")).remarks)
    fitted = check(load(recipe("data: {use: digits, size: 8}\ngenerator: {use: gmm}\n")))
    assert fitted.remarks == ["nothing to train: the generator is fitted to the data"]
    assert (fitted.flops, fitted.parameters) == (0, {})


def test_a_plugin_that_reads_values_costs_a_remark_alone(toy):
    findings = check(toy("generator.net=reader"))
    assert findings.flops is None
    assert any("cost of a step is not known" in remark for remark in findings.remarks)


def test_spaces_are_walked(recipe):
    text = """
        data: {use: digits, size: 8}
        transform: [{use: haar, levels: 2, norm: whiten}]
        generator: {use: gmm}
    """
    names, spaces = zip(*check(load(recipe(text))).spaces, strict=True)
    assert names == ("digits", "haar", "gmm")
    assert spaces[0] == "images 1×8×8 in [0, 1]"
    assert "pyramid haar, 2 levels" in spaces[1]


def test_without_the_data_the_declared_size_is_checked(wavekit, recipe, monkeypatch):
    monkeypatch.setenv("WAVEKIT_DATA_ROOT", "nowhere")  # and put back what the option sets
    path = recipe("data: {use: mnist}\ngenerator: {use: wvae, width: 8}\n")
    code, out, err = wavekit("check", path, "--data-root", path.parent / "empty")
    assert code == 0, err
    assert "declared size" in out
    (note,) = [line for line in out.splitlines() if "declared size" in line]
    assert len(note) <= 220
    assert "`wavekit data download mnist`" in note
    assert out.splitlines()[-1] == "the recipe fits; the data could not be read"
    assert "images 1×" in out
    code, _, err = wavekit("check", path, "--data-root", path.parent / "empty", "-s", "generator.transform.use=haar")
    assert code == 0, err
    bad = ("-s", "generator={use: wvae, transform: {use: haar, levels: 9}}")
    code, _, err = wavekit("check", path, "--data-root", path.parent / "empty", *bad)
    assert code == 2
    assert "levels" in err


def test_check_writes_nothing(wavekit, recipe, tmp_path):
    path = recipe("data: {use: digits, size: 8}\ngenerator: {use: vae, width: 8}\nevaluate: [{use: swd}]\n")
    before = sorted(tmp_path.rglob("*"))
    state = torch.get_rng_state()
    code, out, _ = wavekit("check", path)
    assert code == 0
    assert "the recipe fits" in out
    assert sorted(tmp_path.rglob("*")) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_a_machine_without_proc_has_no_bound(monkeypatch):
    def missing(*args, **kwargs):
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    assert checking._memory() == 1 << 62


@pytest.mark.parametrize(
    ("metric", "words"),
    [("{use: swd, transform: {use: haar, levels: 5}}", "levels: 5"), ("{use: swd, transform: {use: same}}", "pyramid")],
)
def test_a_metric_that_cannot_measure_the_images_is_refused_with_its_line(plugins, wavekit, recipe, metric, words):
    plugins("wk-same", SAME, {"wavekit.v1.transform": {"same": "wk_same:Same"}})
    path = recipe(f"data: {{use: digits}}\ngenerator: {{use: gmm}}\ntrain: {{steps: 0}}\nevaluate: [{metric}]\n")
    code, _, err = wavekit("check", path)
    assert code == 2
    assert "recipe.yaml:4:" in err
    assert words in err


def test_a_loss_that_cannot_be_computed_is_the_plugins_fault_before_training(plugins, wavekit, recipe):
    source = """
        import functools
        import torch
        from wavekit_core.kinds import Generator, Loss, Objective
        from wavekit_core.spaces import ImageSpace

        class Wrong(Generator):
            def __init__(self, space: ImageSpace):
                super().__init__()
                self.space = space
                self.net = torch.nn.Linear(3, 1)

            def objectives(self):
                adam = functools.partial(torch.optim.Adam, lr=1e-3)
                return [Objective("o", [{"params": list(self.parameters())}], self.loss, adam)]

            def loss(self, batch):
                return Loss(self.net(batch.data.flatten(1)).mean())
    """
    plugins("wk-wrong", source, {"wavekit.v1.generator": {"wrong": "wk_wrong:Wrong"}})
    code, _, err = wavekit("check", recipe("data: {use: digits}\ngenerator: {use: wrong}\n"))
    assert code == 3
    assert "a fault of the plugin wk-wrong 1.0: RuntimeError" in err


def test_samples_of_the_wrong_shape_are_the_plugins_fault(plugins, wavekit, recipe):
    source = """
        import torch
        from wavekit_core.kinds import Generator
        from wavekit_core.spaces import ImageSpace

        class Wrong(Generator):
            def __init__(self, space: ImageSpace):
                super().__init__()
                self.space = space

            def sample(self, count, labels=None):
                return torch.zeros(count, 3)
    """
    plugins("wk-wrong", source, {"wavekit.v1.generator": {"wrong": "wk_wrong:Wrong"}})
    code, _, err = wavekit("run", recipe("data: {use: digits}\ngenerator: {use: wrong}\n"))
    assert code == 3
    assert "gave (100, 3) while drawing samples; 100 of images 1×16×16" in err


def test_metrics_that_need_classes_are_told_where_there_are_none(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("set.npz", x=np.zeros((20, 8, 8), np.uint8), y=np.arange(20) % 2)
    text = """
        data: {use: npz, path: set.npz}
        generator: {use: gmm, components: 1}
        evaluate: [{use: class-agreement}, {use: frechet, features: class-cnn}, {use: swd}]
    """
    told = check(load(recipe(text))).remarks
    assert [note.split("'")[1] for note in told if "needs classes" in note] == ["class-agreement", "frechet"]
    assert "no labels: name the array by labels: y" in told
    told = check(load(recipe(text), ["data.labels=y"])).remarks
    assert not any("classes" in note or "labels" in note for note in told)
