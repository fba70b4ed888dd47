"""Stopped, saved and restored into new objects: the same bytes. And every part of the saved state is needed for that."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn.functional import softplus

from wavekit_core.data.arrays import ArraySplit
from wavekit_core.engine import checkpoint
from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.loop import Loop
from wavekit_core.engine.step import Step
from wavekit_core.kinds import Generator, Loss, Objective
from wavekit_core.recipe.recipe import Train

torch.set_num_threads(1)
SETTINGS = Train(steps=20, batch_size=8, shards=2, ema=0.9, log_every=4, warmup=4, schedule="cosine")
STOP, END = 6, 11


class CountingSGD(torch.optim.SGD):
    """An optimizer that keeps numbers in its groups, as schedule-free and self-tuning ones do."""

    def step(self, closure=None):
        for group in self.param_groups:
            group["turns"] = group.get("turns", 0) + 1
            for p in group["params"]:
                p.grad.mul_(1 / group["turns"])
        return super().step(closure)


class Pair(Generator):
    """Batch statistics, dropout, two objectives with different optimizers, and a buffer that a loss counts in."""

    def __init__(self):
        super().__init__()
        self.make = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.SiLU(), nn.Dropout(0.3), nn.Linear(6, 16))
        self.judge = nn.Sequential(nn.Linear(16, 5), nn.SiLU(), nn.Linear(5, 1))
        self.register_buffer("seen", torch.zeros(()))

    def objectives(self):
        adam = functools.partial(torch.optim.AdamW, lr=1e-2)
        return [
            Objective("judge", [{"params": list(self.judge.parameters())}], self.judge_loss, adam),
            Objective(
                "make",
                [{"params": list(self.make.parameters())}],
                self.make_loss,
                functools.partial(CountingSGD, lr=1e-2, momentum=0.9),
            ),
        ]

    def judge_loss(self, batch):
        self.seen += batch.data.mean()
        fake = self.make(torch.randn(len(batch.data), 3)).detach()
        unlike = softplus(self.judge(fake)) + softplus(-self.judge(batch.data.flatten(1)))
        return Loss(unlike.mean() + self.seen * self.judge[0].bias.sum())

    def make_loss(self, batch):
        return Loss(-self.judge(self.make(torch.randn(len(batch.data), 3))).mean())


class Part:
    """A training in this process: a new one has other weights than any before."""

    made = 0

    def __init__(self):
        Part.made += 1
        torch.manual_seed(Part.made)
        self.model = Step(Pair())
        self.averaged = Averaged(self.model.trained(), SETTINGS.ema)
        images = np.random.default_rng(0).integers(0, 256, (30, 1, 4, 4), dtype=np.uint8)
        self.loop = Loop(self.model, self.averaged, ArraySplit(images, None), SETTINGS, 3, torch.device("cpu"))
        self.rows: list[dict] = []

    def train(self, until: int, stop: int | None = None) -> Part:
        self.loop.run(until, lambda row, seconds: self.rows.append(row), lambda step: step == stop)
        return self

    def files(self) -> dict[str, bytes]:
        log = {"bytes": 0, "sha256": "0" * 64}
        state = {"step": self.loop.step, "window": self.loop.window, "metrics": log}
        return checkpoint.contents(self.model, self.averaged, state)

    def restore(self, files: dict[str, bytes]) -> Part:
        state = checkpoint.restore(self.model, self.averaged, files)
        self.loop.step, self.loop.window = state.step, dict(state.window)
        return self


@pytest.fixture(scope="module")
def whole() -> tuple[dict[str, bytes], dict[str, bytes], list[dict]]:
    """The state in the middle, that at the end, and the rows after the middle, of a training that nobody stopped."""
    Part.made = 0
    straight = Part()
    fresh = straight.files()
    middle = Part().restore(fresh).train(END, stop=STOP)
    straight.train(END)
    assert middle.loop.window  # a row is half done
    return middle.files(), straight.files(), straight.rows[len(middle.rows) :]


def goes_on(files: dict[str, bytes], expected: dict[str, bytes], rows: list[dict]) -> bool:
    part = Part().restore(files).train(END)
    return part.files() == expected and part.rows == rows


def test_a_restored_training_ends_with_the_same_bytes(whole):
    middle, end, rows = whole
    assert middle != end
    for _ in range(2):
        assert goes_on(middle, end, rows)


def _without(files: dict[str, bytes], name: str, key: str) -> dict[str, bytes]:
    """The files with one tensor as a new training would have it."""
    tensors = load(files[name])
    new = Part()
    fresh = {
        "model.safetensors": new.model.generator.state_dict(),
        "averaged.safetensors": new.averaged.tensors,
        "optimizer.safetensors": {},
    }[name]
    tensors[key] = fresh.get(key, torch.zeros_like(tensors[key])).clone()
    return files | {name: save(tensors)}


COUNTS = {  # 4 parameters judge, 6 make; batch statistics are three buffers; Adam has three tensors for each, SGD one
    "model.safetensors": 4 + 6 + 3 + 1,
    "averaged.safetensors": 4 + 6,
    "optimizer.safetensors": 4 * 3 + 6,
}


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_every_tensor_of_a_checkpoint_is_needed(whole, name, count):
    middle, end, rows = whole
    keys = list(load(middle[name]))
    assert len(keys) == count
    for key in keys:
        assert not goes_on(_without(middle, name, key), end, rows), key


def _edited(change: Callable[[dict], object]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def edit(files: dict[str, bytes]) -> dict[str, bytes]:
        state = json.loads(files["state.json"])
        change(state)
        return files | {"state.json": json.dumps(state).encode()}

    return edit


EDITS = {
    "step": lambda state: state.update(step=STOP - 1),
    "window": lambda state: state.update(window={}),
    "a sum of the window": lambda state: state["window"].update({"make/loss": 0.0}),
    "times in the window": lambda state: state["window"].update({"make/ times": 1.0}),
    "a number in an optimizer's group": lambda state: state["optimizer"].update({"make/group0/turns": 0}),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_every_number_of_the_state_is_needed(whole, change):
    middle, end, rows = whole
    assert not goes_on(_edited(change)(middle), end, rows)


def test_a_checkpoint_is_the_same_when_it_is_read_and_written_again(whole):
    middle = whole[0]
    assert Part().restore(middle).files() == middle
