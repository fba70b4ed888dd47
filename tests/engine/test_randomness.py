"""Random numbers and the order of the data are functions of what they are for, and of nothing that happened before."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from tests.engine.toy import SEED, Model, made, run, square
from wavekit_core.engine.order import indices
from wavekit_core.engine.shards import seed_from, seeded


def drawn(extra) -> list[tuple]:
    """What three generators give at the start of every loss, when the loss goes on with `extra(step)`."""
    found = []

    def loss(model, batch):
        found.append((torch.rand(1).item(), random.random(), np.random.rand()))
        extra(len(found))
        return square(model, batch)

    run(made(Model({"p": loss, "q": loss}), shards=2), 3)
    return found


@pytest.mark.parametrize(
    "extra",
    [
        lambda n: (torch.rand(n), random.random(), np.random.rand(3 * n)),
        lambda n: (torch.manual_seed(0), random.seed(0), np.random.seed(0)),
        lambda n: nn.functional.dropout(torch.ones(100 * n)),
    ],
)
def test_what_a_plugin_draws_does_not_move_the_numbers_of_others(extra):
    expected = drawn(lambda n: None)
    assert drawn(extra) == expected
    assert all(len(set(column)) == 3 * 2 * 2 for column in zip(*expected, strict=True))


def states() -> tuple:
    numbers = np.random.get_state()
    return torch.get_rng_state().tolist(), random.getstate(), numbers[1].tolist(), numbers[2]


def test_seeded_gives_the_same_numbers_and_the_generators_back():
    torch.rand(3), random.random(), np.random.rand()
    before = states()
    values = []
    for key in (("sample", 1), ("sample", 1), ("sample", 2), (1, "sample")):
        with seeded(*key):
            values.append((torch.rand(1).item(), random.random(), np.random.rand()))
        assert states() == before
    assert values[0] == values[1]
    assert len({*values}) == 3

    def fail() -> None:
        with seeded("fault"):
            raise RuntimeError("within")

    with pytest.raises(RuntimeError):
        fail()
    assert states() == before


def test_the_data_of_a_step_do_not_depend_on_where_the_run_began():
    straight, late = made(Model({"p": square})), made(Model({"p": square}))
    run(straight, 9)
    late.step = 6
    run(late, 9)
    assert straight.data.asked[6:9] == late.data.asked[:3]
    assert straight.data.asked[:9] == [indices(40, 8, t, seed_from(SEED, "order")).tolist() for t in range(9)]
