"""What is not finite ends a training before the weights are spoilt."""

from __future__ import annotations

import functools
import math

import pytest
import torch

from tests.engine.toy import Model, made, run, square
from wavekit_core.errors import DivergedError
from wavekit_core.kinds import Loss


def infinite_gradient(model, batch):
    return (model.p * 0).sum() + (model.p[0] * 0).abs().sqrt()


FAULTS = {
    "a loss": lambda m, batch: square(m, batch) * math.nan,
    "an infinite loss": lambda m, batch: square(m, batch) + math.inf,
    "a gradient": infinite_gradient,
    "a term": lambda m, batch: Loss(square(m, batch), {"mean": torch.tensor(math.nan)}),
    "a loss behind a term of its name": lambda m, batch: Loss(square(m, batch) * math.nan, {"loss": torch.tensor(0.0)}),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_what_is_not_finite_ends_the_run_before_the_weights_are_spoilt(fault, clip):
    calls = []

    def loss(model, batch):
        calls.append(1)
        return fault(model, batch) if len(calls) == 4 * 3 - 1 else square(model, batch)  # the third step's third shard

    loop = made(Model({"p": loss}, functools.partial(torch.optim.Adam, lr=0.1)), shards=4, clip=clip, ema=0.5)
    run(loop, 2)
    kept = [loop.model.generator.p, loop.averaged.tensors["p"], *loop.model.optimizer_tensors()[0].values()]
    before = [tensor.detach().clone() for tensor in kept]
    with pytest.raises(DivergedError, match=r"step 3: .* of 'p' is"):
        run(loop, 5)
    assert loop.step == 2
    assert all(torch.equal(a, b) for a, b in zip(kept, before, strict=True))
