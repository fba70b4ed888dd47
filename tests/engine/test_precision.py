"""Mixed precision and compiled losses: what changes, and what does not."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from tests.engine.toy import SEED, Vectors, run
from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.loop import Loop
from wavekit_core.engine.step import Step
from wavekit_core.kinds import Generator, Loss, Objective
from wavekit_core.recipe.recipe import Train


class Net(Generator):
    """A small network that remembers in which precision its products were."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 32), nn.SiLU(), nn.Linear(32, 1))
        self.products: set[torch.dtype] = set()

    def objectives(self):
        def loss(batch):
            made = self.net(batch.data.float())
            if not torch.compiler.is_compiling():
                self.products.add(made.dtype)
            return Loss((made[:, 0].float() - batch.labels / 10).square().mean())

        adam = functools.partial(torch.optim.Adam, lr=1e-2)
        return [Objective("fit", [{"params": list(self.net.parameters())}], loss, adam)]


def trained(steps: int = 40, **settings) -> tuple[Net, list[float]]:
    train = Train(**{"batch_size": 8, "ema": 0.0, "log_every": 1, "steps": steps} | settings)
    step = Step(Net(), train.precision == "bfloat16")
    loop = Loop(step, Averaged(step.trained(), 0.0), Vectors(), train, SEED, torch.device("cpu"))
    return step.generator, [row["fit/loss"] for row in run(loop, steps)]


def test_bfloat16_is_for_the_products_alone():
    model, losses = trained(precision="bfloat16")
    assert model.products == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    plain, exact = trained()
    assert plain.products == {torch.float32}
    assert losses != exact
    assert losses == pytest.approx(exact, rel=0.05)


def test_a_compiled_loss_follows_the_same_trajectory(monkeypatch):
    _, exact = trained()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    _, losses = trained(compile=True)
    assert losses == pytest.approx(exact, rel=1e-5)


@pytest.mark.long
def test_the_default_compiler_follows_it_too():
    _, exact = trained()
    _, losses = trained(compile=True)
    assert losses == pytest.approx(exact, rel=1e-4)
