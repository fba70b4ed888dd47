"""A model of short sequences all of whose probabilities are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wavekit_core.grammar import Grammar, Slots, Walk
from wavekit_core.kinds import Autoregressive
from wavekit_core.spaces import TokenSpace


class ChainGrammar(Grammar):
    """Sequences of 0, 1, 2 and an end: after 0 anything may come; after 1, neither 0 nor the end; after 2 a 0 must.

    `known` in `walk` is a mapping of places to their tokens.
    """

    features: Mapping[str, int]
    end = 3
    after = torch.tensor(
        [[1, 1, 1, 1], [0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 0]]
    ).bool()  # the last: at first

    def __init__(self, length: int):
        self.features = {"place": length}

    def walk(self, count: int, known: Mapping[int, int] | None = None) -> Walk:
        return _ChainWalk(self, count, known or {})

    def slots(self, tokens: Tensor) -> Slots:
        count, length = tokens.shape
        before = torch.cat([torch.full_like(tokens[:, :1], -1), tokens[:, :-1]], 1)
        legal = self.after.to(tokens.device)[before]
        if not bool(legal.gather(2, tokens[..., None]).all()):
            raise ValueError("there is a token that may not stand where it does")
        return Slots(torch.arange(length, device=tokens.device).expand(count, length)[..., None], legal)


class _ChainWalk(Walk):
    def __init__(self, grammar: ChainGrammar, count: int, known: Mapping[int, int]):
        self.grammar, self.place, length = grammar, 0, grammar.features["place"]
        self.last = torch.full((count,), -1)
        self.open = torch.ones(
            length + 1, 4, dtype=torch.bool
        )  # (place, token): what leaves a way to all that is known
        for place in range(length - 1, -1, -1):
            self.open[place] = (grammar.after[:4] & self.open[place + 1]).any(1)
            if place in known:
                self.open[place] &= torch.arange(4) == known[place]

    def slots(self) -> Slots:
        length = self.grammar.features["place"]
        legal = self.grammar.after[self.last] & self.open[min(self.place, length)]
        return Slots(torch.full((len(self.last), 1), min(self.place, length - 1)), legal)

    def advance(self, tokens: Tensor) -> None:
        if not bool(self.slots().legal.gather(1, tokens[:, None]).all()):
            raise ValueError("there is a token that may not stand where it does")
        self.last, self.place = tokens, self.place + 1

    @property
    def ended(self) -> Tensor:
        return (self.last == self.grammar.end) | (self.place >= self.grammar.features["place"])


@dataclass(frozen=True)
class ChainSpace(TokenSpace):
    """Sequences of a `ChainGrammar`. As vectors the tokens are numbers, which `MarkovChain` draws so evenly that estimates of
    their covariance scatter about as those of Gaussian data do."""

    @property
    def grammar(self) -> ChainGrammar:
        return ChainGrammar(self.length)

    def flatten(self, tokens: Tensor) -> Tensor:
        return tokens.float()

    def unflatten(self, vectors: Tensor) -> Tensor:
        return vectors.round().long()


@dataclass
class _Held:
    """How many tokens of each sequence have been seen, and how many of them were 1."""

    places: Tensor
    ones: Tensor

    def keep(self, rows: Tensor) -> _Held:
        return _Held(self.places[rows], self.ones[rows])


class MarkovChain(Autoregressive):
    """A chain whose log-odds depend on the token before, on whether the number of tokens and of ones so far are even, and on the
    class. It gives tokens that are not legal a good probability too, so that a sampler which does not heed the grammar draws
    from another distribution. `likelihoods` has the probability of every sequence."""

    space: ChainSpace
    classes = 2

    def __init__(self, space: ChainSpace):
        super().__init__()
        self.space = space
        made = torch.Generator().manual_seed(16)
        self.table = nn.Buffer(
            torch.randn(3, 2, 2, 5, 4, generator=made)
        )  # class (the last: none), places, ones, token

    def remember(self, count: int, length: int) -> _Held:
        return _Held(torch.zeros(count, dtype=torch.int64), torch.zeros(count, dtype=torch.int64))

    def logits(
        self, before: Tensor, features: Tensor, labels: Tensor | None, memory: Any, counts: Tensor | None = None
    ) -> Tensor:
        count, length = before.shape
        held = memory.places[:, None] + torch.arange(length)
        if not torch.equal(features[..., 0][_meant(before, counts)], held[_meant(before, counts)]):
            raise ValueError("the features are of other places than those that the memory has come to")
        ones = memory.ones[:, None] + (before == 1).cumsum(1)
        classes = torch.full((count,), -1) if labels is None else labels
        counts = torch.full((count,), length) if counts is None else counts
        memory.places = memory.places + counts
        memory.ones = torch.where(counts > 0, ones.gather(1, (counts - 1).clamp(min=0)[:, None])[:, 0], memory.ones)
        return self.table[classes[:, None], held % 2, ones % 2, before]

    def likelihoods(self, label: int = -1) -> tuple[Tensor, Tensor]:
        """Every sequence (n, length) and its probability (n,), float64."""
        sequences = torch.cartesian_prod(*[torch.arange(self.space.vocabulary)] * self.space.length)
        before = torch.cat([torch.full_like(sequences[:, :1], -1), sequences[:, :-1]], 1)
        legal = self.space.grammar.after[before]
        exist = legal.gather(2, sequences[..., None])[..., 0].all(1)
        sequences, before, legal = sequences[exist], before[exist], legal[exist]
        places = torch.arange(self.space.length).expand_as(sequences)
        odds = self.table.double()[label, places % 2, (before == 1).cumsum(1) % 2, before]
        nats = odds.masked_fill(~legal, -torch.inf).log_softmax(2).gather(2, sequences[..., None])[..., 0].sum(1)
        return sequences, nats.exp()


def _meant(before: Tensor, counts: Tensor | None) -> Tensor:
    """(B, l) bool: the places that `counts` say are meant."""
    if counts is None:
        return torch.ones_like(before, dtype=torch.bool)
    return torch.arange(before.shape[1]) < counts[:, None]
