"""Checkpoints: only tensors that fit the model go in, only finite ones come out, and no code runs."""

import functools
import io
import json
import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from wavekit_core.engine import checkpoint
from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.step import Step
from wavekit_core.errors import DamagedError, DivergedError
from wavekit_core.kinds import Generator, Objective


class Small(Generator):
    """A layer with buffers."""

    def __init__(self, width: int = 3):
        super().__init__()
        self.layer = nn.Linear(2, width)
        self.norm = nn.BatchNorm1d(width)
        self.register_buffer("mask", torch.full((2,), -torch.inf))

    def objectives(self):
        adam = functools.partial(torch.optim.Adam, lr=0.1)
        return [Objective("fit", [{"params": list(self.parameters())}], lambda batch: None, adam)]


def trained(width=3, seed=0):
    """A model after one step, with its averages."""
    torch.manual_seed(seed)
    step = Step(Small(width))
    averaged = Averaged(step.trained(), 0.9)
    step.generator.norm(step.generator.layer(torch.randn(4, 2))).square().sum().backward()
    step.optimizers["fit"].step()
    averaged.update(1)
    return step, averaged


STATE = {"step": 1, "window": {"steps": 1}, "metrics": {"bytes": 0, "sha256": "0" * 64}}


@pytest.fixture
def files():
    return checkpoint.contents(*trained(), STATE)


def bits(step, averaged):
    """Everything that a checkpoint must keep."""
    return {**step.generator.state_dict(), **averaged.tensors, **step.optimizer_tensors()[0]}


def test_what_was_saved_comes_back_bit_for_bit(files):
    expected, got = bits(*trained()), trained(seed=1)
    checkpoint.restore(*got, files)
    found = bits(*got)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def changed(files, name, change):
    tensors = load(files[name])
    change(tensors)
    return files | {name: save(tensors)}


WEIGHT = "layer.weight"


@pytest.mark.parametrize("file", ["model.safetensors", "averaged.safetensors"])
@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[WEIGHT].view(-1)[0].fill_(torch.nan),
        lambda t: t[WEIGHT].view(-1)[-1].fill_(-torch.inf),
        lambda t: t.update({WEIGHT: t[WEIGHT].T.contiguous()}),
        lambda t: t.update({WEIGHT: t[WEIGHT][:1].clone()}),
        lambda t: t.update({WEIGHT: t[WEIGHT].double()}),
        lambda t: t.update({WEIGHT: t[WEIGHT].half()}),
        lambda t: t.update({WEIGHT: t[WEIGHT].long()}),
        lambda t: t.pop(WEIGHT),
        lambda t: t.update({"evil." + WEIGHT: t.pop(WEIGHT)}),
        lambda t: t.update({"more " + WEIGHT: torch.zeros(1)}),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(files, file, change):
    with pytest.raises(DamagedError, match=f"{file}: .*{WEIGHT}"):
        checkpoint.restore(*trained(), changed(files, file, change))


def test_weights_of_another_architecture_are_refused(files):
    with pytest.raises(DamagedError, match=r"is float32 .*, the recipe's model has float32"):
        checkpoint.restore(*trained(width=4), files)
    with pytest.raises(DamagedError, match="the recipe's model has"):
        checkpoint.load_weights(Small(4), files, averaged=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t["fit/0/exp_avg"].fill_(torch.nan),
        lambda t: t.update({"fit/x/exp_avg": torch.zeros(1)}),
        lambda t: t.update({"no": torch.zeros(1)}),
        lambda t: t.update({"fit/group7/betas": torch.zeros(1)}),
    ],
)
def test_a_forged_optimizer_state_is_refused(files, change):
    with pytest.raises(DamagedError, match=r"optimizer\.safetensors"):
        checkpoint.restore(*trained(), changed(files, "optimizer.safetensors", change))


@pytest.mark.parametrize("where", ["weight", "average", "optimizer"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_not_saved(where, value):
    step, averaged = trained()
    tensor = {
        "weight": step.generator.layer.weight,
        "average": averaged.tensors[WEIGHT],
        "optimizer": step.optimizer_tensors()[0]["fit/0/exp_avg"],
    }[where]
    tensor.data.view(-1)[0] = value
    with pytest.raises(DivergedError, match=r"step 1: .* is not finite"):
        checkpoint.contents(step, averaged, STATE)


def test_the_size_is_about_right():
    model = trained(width=3000)
    size = sum(map(len, checkpoint.contents(*model, STATE).values()))
    assert 0.95 * size < checkpoint.size(*model) < 1.05 * size


def hostile(canary):
    """Contents that other loaders would run."""

    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {canary}",))

    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil(), 2))
        archive.writestr("archive/version", "3\n")
    saved = io.BytesIO()
    torch.save({WEIGHT: Evil()}, saved)
    return [pickle.dumps(Evil(), 2), zipped.getvalue(), saved.getvalue(), json.dumps({}).encode(), b"", b"\xff" * 16]


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("name", ["model", "averaged", "optimizer"])
def test_nothing_is_ever_unpickled(files, tmp_path, name, index):
    content = hostile(tmp_path / "canary")[index]
    with pytest.raises(DamagedError, match=f"{name}.safetensors"):
        checkpoint.restore(*trained(), files | {f"{name}.safetensors": content})
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("seed", range(100))
def test_a_mangled_header_is_refused_or_harmless(files, seed):
    rng = torch.Generator().manual_seed(seed)
    content = bytearray(files["model.safetensors"])
    for _ in range(3):
        content[int(torch.randint(0, 400, (), generator=rng))] = int(torch.randint(0, 256, (), generator=rng))
    with pytest.raises(DamagedError, match=r"model\.safetensors"):
        checkpoint.restore(*trained(), files | {"model.safetensors": bytes(content)})
