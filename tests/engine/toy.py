"""A model of three numbers whose losses are given, and a loop around it: small enough to compute by hand."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn

from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.loop import Loop
from wavekit_core.engine.order import indices
from wavekit_core.engine.shards import seed_from
from wavekit_core.engine.step import Step
from wavekit_core.kinds import Batch, Generator, Loss, Objective
from wavekit_core.recipe.recipe import Train

torch.set_num_threads(1)
SEED = 5
CPU = torch.device("cpu")
SGD = functools.partial(torch.optim.SGD, lr=0.1)


class Vectors:
    """A split of 40 vectors that remembers what was asked for."""

    def __init__(self):
        self.data = torch.randn(40, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        self.asked: list[list[int]] = []

    def __len__(self):
        return len(self.data)

    def batch(self, chosen, words=None):
        self.asked.append(list(map(int, chosen)))
        return Batch(self.data[chosen], torch.arange(40)[chosen])


class Model(Generator):
    """`losses` by objective name, each of (model, batch), training the parameters of that name at rate 0.1."""

    def __init__(self, losses: dict[str, Any], optimizer: Any = SGD, start: Any = None):
        super().__init__()
        self.losses, self.optimizer = losses, optimizer
        for name in losses:
            value = torch.as_tensor((start or {}).get(name, [1.0, -2.0, 0.5]), dtype=torch.float64)
            self.register_parameter(name, nn.Parameter(value.clone()))

    def objectives(self):
        def of(name):
            def loss(batch):
                found = self.losses[name](self, batch)
                return found if isinstance(found, Loss) else Loss(found)

            return Objective(name, [{"params": [getattr(self, name)]}], loss, self.optimizer)

        return [of(name) for name in self.losses]


def made(model, **settings) -> Loop:
    step = Step(model)
    train = Train(**{"batch_size": 8, "clip": 0.0, "ema": 0.0, "log_every": 1, "steps": 10} | settings)
    return Loop(step, Averaged(step.trained(), train.ema), Vectors(), train, SEED, CPU)


def run(loop: Loop, until: int) -> list[dict]:
    rows: list[dict] = []
    loop.run(until, lambda row, seconds: rows.append(row), lambda step: False)
    return rows


def square(model, batch):
    return (batch.data @ model.p - batch.labels / 10).square().mean()


def noisy(model, batch):
    return (batch.data @ model.p + torch.randn(len(batch.data), dtype=torch.float64)).square().mean()


def batch_of(step: int, size: int = 8) -> Batch:
    return Vectors().batch(indices(40, size, step, seed_from(SEED, "order")))
