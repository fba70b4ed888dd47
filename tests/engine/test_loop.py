"""The training loop against hand computation: shards, objectives, clipping, rates, averages, rows."""

from __future__ import annotations

import dataclasses
import functools
import math

import pytest
import torch
from torch import nn

from tests.engine.toy import SEED, Model, batch_of, made, noisy, run, square
from wavekit_core.engine.shards import cut, seed
from wavekit_core.kinds import Batch, Objective

# --- shards


@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_shards_add_up_to_the_gradient_of_the_whole_batch(shards):
    loop = made(Model({"p": square}), shards=shards)
    rows = run(loop, 3)
    p = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    for step, row in enumerate(rows):
        batch = batch_of(step)
        loss = (batch.data @ p - batch.labels / 10).square().mean()
        (gradient,) = torch.autograd.grad(loss, p)
        assert row["p/loss"] == pytest.approx(loss.item(), rel=1e-12)
        assert row["p/gradient norm"] == pytest.approx(gradient.norm().item(), rel=1e-12)
        p = (p - 0.1 * gradient).detach().requires_grad_()
    torch.testing.assert_close(loop.model.generator.p, p, rtol=1e-12, atol=1e-12, check_dtype=True)


@pytest.mark.parametrize("shards", [1, 4])
def test_every_shard_draws_from_its_own_key(shards):
    loop = made(Model({"p": noisy}), shards=shards)
    run(loop, 1)
    p = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    total = torch.zeros(3, dtype=torch.float64)
    for index, part in enumerate(batch_of(0).data.split(8 // shards)):
        seed(SEED, "train", "p", 0, index)
        loss = (part @ p + torch.randn(len(part), dtype=torch.float64)).square().mean()
        total += torch.autograd.grad(loss, p)[0] / shards
    torch.testing.assert_close(loop.model.generator.p, p - 0.1 * total, rtol=1e-12, atol=1e-12)


def test_a_cut_keeps_images_and_labels_together():
    parts = cut(Batch(torch.arange(6.0)[:, None], torch.arange(6)), 3)
    assert [part.data[:, 0].tolist() for part in parts] == [part.labels.tolist() for part in parts]
    assert [len(part.data) for part in parts] == [2, 2, 2]
    assert [part.labels for part in cut(Batch(torch.zeros(4, 1)), 2)] == [None, None]


# --- objectives


def test_objectives_train_only_their_own_and_see_each_other_s_newest_weights():
    losses = {"a": lambda m, _: m.a * m.b, "b": lambda m, _: m.a**2 * m.b}
    loop = made(Model(losses, start={"a": 2.0, "b": 3.0}))
    rows = run(loop, 2)
    a, b = 2.0, 3.0
    for row in rows:
        assert row["a/loss"] == pytest.approx(a * b, rel=1e-12)
        a -= 0.1 * b
        assert row["b/loss"] == pytest.approx(a**2 * b, rel=1e-12)
        assert row["b/gradient norm"] == pytest.approx(a**2, rel=1e-12)
        b -= 0.1 * a**2
    model = loop.model.generator
    assert (model.a.item(), model.b.item()) == (pytest.approx(a, rel=1e-12), pytest.approx(b, rel=1e-12))


def test_what_no_objective_trains_stays():
    model = Model({"p": lambda m, batch: square(m, batch) * m.other.sum()})
    model.other = nn.Parameter(torch.ones(2))
    loop = made(model, ema=0.5)
    assert list(loop.averaged.tensors) == ["p"]
    run(loop, 3)
    assert torch.equal(model.other, torch.ones(2))


def test_the_model_is_in_training_mode_again_after_a_preview():
    modes = []
    model = Model({"p": lambda m, batch: modes.append(m.training) or square(m, batch)})
    loop = made(model)
    loop.run(3, lambda *_: None, lambda step: model.eval() is None)
    assert modes == [True] * 3


# --- clipping and rates


def test_clipping_bounds_the_norm_and_leaves_small_gradients():
    slope = torch.tensor([3.0, 4.0, 12.0], dtype=torch.float64)  # of norm 13
    one = functools.partial(torch.optim.SGD, lr=1.0)
    start = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for clip, factor in ((2.0, 2 / 13), (13.5, 1.0), (0.0, 1.0)):
        loop = made(Model({"p": lambda m, _: m.p @ slope}, one), clip=clip)
        (row,) = run(loop, 1)
        assert row["p/gradient norm"] == pytest.approx(13, rel=1e-12)  # before clipping
        torch.testing.assert_close(loop.model.generator.p, start - factor * slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("warmup", [0, 4])
def test_rates_follow_the_closed_form(schedule, warmup):
    loop = made(Model({"p": lambda m, _: m.p.sum()}), schedule=schedule, warmup=warmup, steps=10)
    rows = run(loop, 10)
    expected = [
        min(1, (t + 1) / warmup if warmup else 1)
        * (0.5 * (1 + math.cos(math.pi * t / 10)) if schedule == "cosine" else 1)
        for t in range(10)
    ]
    assert [row["rate"] for row in rows] == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(
        loop.model.generator.p.detach(),
        torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) - 0.1 * sum(expected),
        rtol=1e-12,
        atol=1e-12,
    )


def test_the_cosine_does_not_rise_again_in_an_extended_run():
    loop = made(Model({"p": square}), schedule="cosine", steps=10)
    assert [loop.rate(t) for t in (10, 15, 20)] == [loop.rate(9)] * 3


def test_groups_keep_the_ratio_of_their_rates():
    class Grouped(Model):
        def objectives(self):
            (only,) = super().objectives()
            groups = [{"params": [self.p], "lr": 0.5}, {"params": [self.q]}]
            return [Objective("p", groups, only.loss, self.optimizer)]

    model = Grouped({"p": lambda m, _: m.p.sum() + m.q.sum()})
    model.q = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    loop = made(model, warmup=2)
    run(loop, 3)
    assert model.q.item() == pytest.approx(-0.1 * 2.5)
    assert model.p[0].item() == pytest.approx(1 - 0.5 * 2.5)


# --- averages


def test_averages_follow_the_recursion():
    loop = made(Model({"p": square}), ema=0.6)
    average = loop.model.generator.p.detach().clone()
    for step in range(1, 9):
        run(loop, step)
        decay = min(0.6, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * loop.model.generator.p.detach()
        torch.testing.assert_close(loop.averaged.tensors["p"], average, rtol=1e-12, atol=1e-12)


def test_applied_averages_are_taken_back_even_after_a_fault():
    loop = made(Model({"p": square}), ema=0.6)
    run(loop, 4)
    p = loop.model.generator.p
    storage, before, average = p.data_ptr(), p.detach().clone(), loop.averaged.tensors["p"].clone()
    with loop.averaged.applied():
        assert torch.equal(p, average)
    assert p.data_ptr() == storage

    def fail() -> None:
        with loop.averaged.applied():
            raise RuntimeError("within")

    with pytest.raises(RuntimeError):
        fail()
    assert torch.equal(p, before)
    assert torch.equal(loop.averaged.tensors["p"], average)


def test_no_decay_keeps_no_copies():
    loop = made(Model({"p": square}), ema=0.0)
    run(loop, 2)
    assert loop.averaged.tensors == {}
    before = loop.model.generator.p.detach().clone()
    with loop.averaged.applied():
        assert torch.equal(loop.model.generator.p, before)


# --- rows


def test_rows_are_means_over_the_steps_since_the_last():
    straight = run(made(Model({"p": square})), 7)
    windows = run(made(Model({"p": square}), log_every=3), 7)
    assert [row["step"] for row in windows] == [3, 6, 7]
    assert [row["images"] for row in windows] == [24, 48, 56]
    for row, part in zip(windows, (straight[:3], straight[3:6], straight[6:]), strict=True):
        assert row["p/loss"] == pytest.approx(sum(r["p/loss"] for r in part) / len(part), rel=1e-12)


def test_on_step_can_stop_the_loop():
    loop = made(Model({"p": square}))
    loop.run(9, lambda *_: None, lambda step: step == 4)
    assert loop.step == 4


# --- objectives that are not trained in every step


@pytest.mark.parametrize(("every", "during"), [(1, (0.0, 1.0)), (3, (0.0, 1.0)), (2, (0.25, 0.75)), (1, (0.5, 1.0))])
def test_an_objective_is_trained_in_the_steps_that_it_says(every, during):
    objective = Objective("p", [], square, torch.optim.SGD, every, during)
    steps = 12
    begin, end = round(during[0] * steps), round(during[1] * steps)
    expected = [s for s in range(begin, end) if (s - begin) % every == 0]
    assert [s for s in range(steps) if objective.due(s, steps)] == expected
    for step in range(steps + 1):
        assert objective.times(step, steps) == sum(s < step for s in expected)


def test_what_is_trained_at_the_end_is_trained_beyond_it():
    assert Objective("p", [], square, torch.optim.SGD, during=(0.5, 1.0)).due(30, 12)
    assert not Objective("p", [], square, torch.optim.SGD, during=(0.0, 0.5)).due(30, 12)


class Seldom(Model):
    """The second parameter is trained in every other step of the second half."""

    def objectives(self):
        always, seldom = super().objectives()
        return [always, dataclasses.replace(seldom, every=2, during=(0.5, 1.0))]


def test_rows_are_means_over_the_steps_in_which_an_objective_was_trained():
    losses = {"a": lambda m, _: (m.a * m.a).sum(), "b": lambda m, _: (m.b * m.b).sum()}
    loop = made(Seldom(losses), steps=8, log_every=4)
    first, second = run(loop, 8)
    square_of = 1 + 4 + 0.25  # of the start
    shrink = 0.8**2  # of a squared length in a step
    assert "b/loss" not in first
    assert first["a/loss"] == pytest.approx(square_of * (1 + shrink + shrink**2 + shrink**3) / 4, rel=1e-12)
    assert second["b/loss"] == pytest.approx(square_of * (1 + shrink) / 2, rel=1e-12)


def test_an_objective_s_average_counts_its_own_steps():
    losses = {"a": lambda m, _: (m.a * m.a).sum(), "b": lambda m, _: (m.b * m.b).sum()}
    loop = made(Seldom(losses, start={"b": 1.0}), steps=8, ema=0.9)
    run(loop, 8)
    value = average = 1.0
    for trained in (1, 2):  # in steps 4 and 6
        value *= 0.8
        average += (1 - min(0.9, (1 + trained) / (10 + trained))) * (value - average)
    assert float(loop.averaged.tensors["b"]) == pytest.approx(average, rel=1e-12)
