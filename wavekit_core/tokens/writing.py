"""Sequences written by an autoregressive model, a whole batch at a time, each at its own pace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wavekit_core.kinds.autoregressive import Autoregressive, Memory

Callback = Callable[[int, int, Tensor], None]
LEAVING = 0.25  # share of a batch that has to have ended before it leaves: a memory is copied to become smaller


def write(
    model: Autoregressive,
    choose: Callable[[Tensor], Tensor],
    count: int,
    labels: Tensor | None,
    length: int,
    guidance: float = 0.0,
    known: Any = None,
    callback: Callback | None = None,
    stages: int | None = None,
) -> Tensor:
    """`count` sequences (count, model.space.length) of up to `length` tokens, of the grammar's first `stages` alone; `choose`
    takes log-odds (B, V), -inf for what is not legal, to tokens (B,). See `TokenSampler.sample`.

    In each step every sequence goes on by one place. Where a single token is legal, the model is not asked: it is told of a run
    of such places with the next one that leaves a choice.
    """
    grammar = model.space.grammar
    walk = grammar.walk(count, known)
    tokens = torch.full((count, model.space.length), grammar.end or 0)
    asked = _Asked(model, count, labels, length, guidance)
    slots = walk.slots()
    for place in range(length):
        asked.features.append(slots.features)
        asked.before.append(tokens[:, place - 1].clone() if place else torch.full((count,), -1))
        options = slots.legal.sum(1)
        chosen = slots.legal.to(torch.uint8).argmax(1)
        if int(options.max()) > 1:
            # what has ended keeps pace until it leaves: sequences that are alike are told more cheaply
            rows, logits = asked.log_odds(place, (options > 1) | walk.ended)
            legal = slots.legal if rows is None else slots.legal[rows]
            logits = logits.masked_fill(~legal.to(logits.device), -torch.inf)
            drawn = choose(logits).to("cpu")
            chosen = drawn if rows is None else chosen.index_put((rows,), drawn)
        walk.advance(chosen)
        tokens[:, place] = chosen
        slots = walk.slots()
        finished = torch.zeros(1, dtype=torch.int64)
        if grammar.stages:
            most = len(grammar.stages) if stages is None else stages
            finished = grammar.stage(slots.features).clamp(max=most)
            done = (finished == most) & ~walk.ended
            if bool(done.any()):
                walk.cut(done)
                slots = walk.slots()
        if callback is not None:
            callback(place, int(finished.min()), tokens)
        if place % 16 == 15:
            ended = walk.ended
            if bool(ended.all()):
                break
            asked.leave(ended)
    return tokens.to(asked.device)


class _Asked:
    """A model with its memory of a batch of sequences. `before` and `features` list those of every place so far, (B,) and
    (B, F); what the model is to be told of next are the places from `held` (B,) on."""

    def __init__(self, model: Autoregressive, count: int, labels: Tensor | None, length: int, guidance: float):
        first = next(model.parameters(), next(model.buffers(), torch.zeros(())))
        self.model, self.guidance, self.device = model, guidance, first.device
        self.memory: Memory = model.remember(count * (2 if guidance else 1), length)
        self.labels = labels if labels is None else labels.to(self.device)
        self.before: list[Tensor] = []
        self.features: list[Tensor] = []
        self.rows = torch.arange(count)  # of the batch that the memory is of
        self.held = torch.zeros(count, dtype=torch.int64)

    def log_odds(self, place: int, choice: Tensor) -> tuple[Tensor | None, Tensor]:
        """Those of `place` (b, V), float32, of the sequences of `choice` (B,), which are `rows` (b,); None for all of them."""
        counts = torch.where(choice, place + 1 - self.held, 0)[self.rows]
        most = int(counts.max())
        begin = place + 1 - most
        before, features = torch.stack(self.before[begin:], 1), torch.stack(self.features[begin:], 1)
        whole = len(self.rows) == len(self.held)
        if not whole:
            before, features = before[self.rows], features[self.rows]
        if int(counts.min()) == most:  # all alike
            self.held[self.rows] = place + 1
            return None if whole else self.rows, self._evaluate(before, features, None)[:, -1]
        at = (torch.arange(most) + (most - counts)[:, None]).clamp(max=most - 1)  # each from its own beginning
        own = torch.arange(len(at))[:, None]
        logits = self._evaluate(before[own, at], features[own, at], counts)
        asked = counts.nonzero()[:, 0]
        rows = self.rows[asked]
        self.held[rows] = place + 1
        return rows, logits[asked.to(self.device), (counts[asked] - 1).to(self.device)]

    def _evaluate(self, before: Tensor, features: Tensor, counts: Tensor | None) -> Tensor:
        before, features = before.to(self.device), features.to(self.device)
        labels = self.labels
        if not self.guidance:
            return self.model.logits(before, features, labels, self.memory, counts).float()
        assert labels is not None
        twice = None if counts is None else counts.repeat(2)
        both = torch.cat([labels, torch.full_like(labels, -1)])
        given, free = (
            self.model.logits(before.repeat(2, 1), features.repeat(2, 1, 1), both, self.memory, twice).float().chunk(2)
        )
        return (1 + self.guidance) * given - self.guidance * free

    def leave(self, ended: Tensor) -> None:
        """Forget sequences that have `ended` (B,), if they are many."""
        going = (~ended[self.rows]).nonzero()[:, 0]
        if len(going) > (1 - LEAVING) * len(self.rows):
            return
        kept = torch.cat([going, going + len(self.rows)]) if self.guidance else going
        self.memory = self.memory.keep(kept.to(self.device))
        self.rows = self.rows[going]
        if self.labels is not None:
            self.labels = self.labels[going.to(self.device)]
