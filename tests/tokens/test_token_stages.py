"""Sequences with stages: they end after the one that is asked for, and callbacks are told of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch

from wavekit_core.grammar import Free, Slots, Walk
from wavekit_core.testing.chain import ChainGrammar, ChainSpace, MarkovChain
from wavekit_core.tokens import Greedy, MinP, Temperature, TopK, TopP

STAGES = ("none", "one", "more")
LENGTH, END = 5, 3


class ZerosGrammar(ChainGrammar):
    """A chain whose stages end with its first zero, its second, and the end: sequences come to them at their own pace."""

    stages = STAGES

    def __init__(self, length: int):
        super().__init__(length)
        self.features = {"place": length, "stage": 4}

    def walk(self, count: int, known: Mapping[int, int] | None = None) -> Walk:
        return ZerosWalk(self, super().walk(count, known), count)

    def slots(self, tokens: torch.Tensor) -> Slots:
        found = super().slots(tokens)
        before = torch.cat([torch.full_like(tokens[:, :1], -1), tokens[:, :-1]], 1)
        stage = (before == 0).cumsum(1).clamp(max=2).masked_fill(before == END, 3)
        return Slots(torch.cat([found.features, stage[..., None]], 2), found.legal)

    def stage(self, features: torch.Tensor) -> torch.Tensor:
        return features[..., 1]


class ZerosWalk(Walk):
    def __init__(self, grammar: ZerosGrammar, chain: Walk, count: int):
        self.grammar, self.chain, self.zeros = grammar, chain, torch.zeros(count, dtype=torch.int64)

    def slots(self) -> Slots:
        found = self.chain.slots()
        stage = self.zeros.clamp(max=2).masked_fill(self.ended, 3)
        return Slots(torch.stack([found.features[:, 0], stage], 1), found.legal)

    def advance(self, tokens: torch.Tensor) -> None:
        self.chain.advance(tokens)
        self.zeros = self.zeros + (tokens == 0)

    def cut(self, rows: torch.Tensor) -> None:
        self.chain.last = torch.where(rows, END, self.chain.last)

    @property
    def ended(self) -> torch.Tensor:
        return self.chain.ended


@dataclass(frozen=True)
class ZerosSpace(ChainSpace):
    @property
    def grammar(self) -> ZerosGrammar:
        return ZerosGrammar(self.length)


@pytest.fixture
def chain() -> MarkovChain:
    return MarkovChain(ZerosSpace(4, LENGTH)).eval()


def cut(chain: MarkovChain, tokens: torch.Tensor, name: str) -> torch.Tensor:
    """Sequences up to the end of a stage, by counting their zeros."""
    before = (tokens == 0).cumsum(1) - (tokens == 0).long()
    return torch.where(before.clamp(max=2) <= STAGES.index(name), tokens, END)


@pytest.mark.parametrize("name", STAGES)
def test_sequences_that_end_after_a_stage_come_as_often_as_those_that_begin_with_them(chain, name):
    torch.manual_seed(7)
    drawn = Temperature(until=name).sample(chain, 20_000)
    sequences, probable = chain.likelihoods()
    prefixes, which = cut(chain, sequences, name).unique(dim=0, return_inverse=True)
    expected = torch.zeros(len(prefixes), dtype=torch.float64).index_add_(0, which, probable)
    same = (drawn[:, None] == prefixes).all(2)
    assert same.any(1).all()
    assert ((same.double().mean(0) - expected).abs() <= 5 * (expected * (1 - expected) / 20_000).sqrt() + 1e-4).all()


@pytest.mark.parametrize("guidance", [0.0, 1.5])
@pytest.mark.parametrize("name", STAGES)
def test_greedy_sequences_begin_as_they_would_without_an_end(chain, name, guidance):
    long = MarkovChain(ZerosSpace(4, 40)).eval()
    labels = torch.arange(9) % 3 - 1
    whole = Greedy(guidance=guidance).sample(long, 9, labels)
    part = Greedy(guidance=guidance, until=name).sample(long, 9, labels)
    assert torch.equal(part, cut(long, whole, name))
    alone = torch.cat([Greedy(guidance=guidance, until=name).sample(long, 1, one[None]) for one in labels])
    assert torch.equal(part, alone)


def test_the_last_stage_is_the_whole(chain):
    torch.manual_seed(3)
    whole = TopK(k=3).sample(chain, 50)
    torch.manual_seed(3)
    assert torch.equal(TopK(k=3, until="more").sample(chain, 50), whole)


def test_sequences_that_are_through_leave_the_batch(chain, monkeypatch):
    long = MarkovChain(ZerosSpace(4, 60)).eval()
    long.table[..., [0, 2, 3]] -= 4  # a zero comes seldom
    asked: list[int] = []
    logits = long.logits

    def counted(before, features, labels, memory, counts=None):
        asked.append(len(before))
        return logits(before, features, labels, memory, counts)

    monkeypatch.setattr(long, "logits", counted)
    torch.manual_seed(0)
    drawn = Temperature(until="none").sample(long, 200)
    lengths = (drawn != END).sum(1)
    assert asked[:16] == [200] * 16
    assert asked[16:32] == [int((lengths > 16).sum())] * 16  # places from 16 to 31, after all others left
    assert len(asked) == int(lengths.max())
    assert 0 < asked[16] < 150


@pytest.mark.parametrize("until", [None, "none", "one"])
def test_callbacks_are_told_how_many_stages_the_whole_batch_has_finished(chain, until):
    long = MarkovChain(ZerosSpace(4, 12)).eval()
    told: list[int] = []
    seen: list[torch.Tensor] = []

    def callback(step: int, stage: int, tokens: torch.Tensor) -> None:
        assert step == len(told)
        told.append(stage)
        seen.append(tokens.clone())

    torch.manual_seed(2)
    drawn = Temperature(until=until).sample(long, 6, callback=callback)
    most = 3 if until is None else STAGES.index(until) + 1
    for step, (stage, tokens) in enumerate(zip(told, seen, strict=True)):
        ended = (tokens[:, : step + 1] == END).any(1) | (step + 1 == 12)
        zeros = (tokens[:, : step + 1] == 0).sum(1).clamp(max=2).masked_fill(ended, most)
        assert stage == int(zeros.clamp(max=most).min())
    assert told == sorted(told)
    assert told[-1] == most
    assert torch.equal(seen[-1], drawn)
    assert len(set(told)) > 1


def test_a_grammar_without_stages_finishes_none():
    told: list[int] = []
    Temperature().sample(MarkovChain(ChainSpace(4, LENGTH)), 2, callback=lambda step, stage, tokens: told.append(stage))
    assert told == [0] * LENGTH


def test_stages_of_sequences_are_those_of_their_places(chain):
    grammar, (sequences, _) = chain.space.grammar, chain.likelihoods()
    assert torch.equal(grammar.stages_of(sequences), grammar.stage(grammar.slots(sequences).features))
    found = grammar.stages_of(
        torch.tensor([[0, 1, 3, 3, 3], [1, 2, 0, 0, 3], [1, 3, 3, 3, 3]])
    )  # ends where none may be
    assert found.tolist() == [[0, 1, 3, 3, 3], [0, 0, 0, 1, 2], [0, 3, 3, 3, 3]]


@pytest.mark.parametrize("kind", [Temperature, Greedy, TopK, TopP, MinP])
def test_a_stage_that_there_is_not_is_refused(chain, kind):
    assert kind(until="one").refuses(chain) is None
    assert "until: two is no stage of the model's sequences; they have the stages none, one, more" in (
        kind(until="two").refuses(chain) or ""
    )
    assert "they have no stages" in (kind(until=0.5).refuses(MarkovChain(ChainSpace(4, LENGTH))) or "")
    with pytest.raises(TypeError, match=r"until: 0\.5 is no stage"):
        kind(until=0.5).sample(chain, 1)


def test_grammars_without_stages_say_so():
    grammar = Free(4, LENGTH)
    assert not grammar.stages
    with pytest.raises(TypeError, match="Free has no stages"):
        grammar.stage(torch.zeros(1, 1, dtype=torch.int64))
    with pytest.raises(TypeError, match="does not end sequences early"):
        grammar.walk(1).cut(torch.ones(1, dtype=torch.bool))
