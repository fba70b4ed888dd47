"""Grammars of token sequences: what may come next, and what is known of a place before its token is.

A model of tokens that heeds the grammar of its space writes only sequences that exist, whatever its weights; and as the
probability of what cannot come is nothing, what it says is a normalised likelihood of what can.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Slots:
    """Places in sequences before their tokens are known. `features` (..., F) int64: what the tokens before tell of the place,
    each from 0 to its size - 1, in the order of `Grammar.features`. `legal` (..., V) bool: the tokens that may stand there, one
    at least."""

    features: Tensor
    legal: Tensor


class Walk(ABC):
    """A batch of sequences being written, each at a place of its own."""

    @abstractmethod
    def slots(self) -> Slots:
        """The next place of each: features (B, F) and legal tokens (B, V). After the end, the one legal token is the grammar's
        `end`."""

    @abstractmethod
    def advance(self, tokens: Tensor) -> None:
        """Write `tokens` (B,) into these places. Raises ValueError for one that is not legal."""

    def cut(self, rows: Tensor) -> None:
        """End the sequences `rows` (B,) bool here, which leaves prefixes. Walks of grammars with `stages` define it."""
        raise TypeError(f"{type(self).__name__} does not end sequences early")

    @property
    @abstractmethod
    def ended(self) -> Tensor:
        """(B,) bool."""


class Grammar(ABC):
    """The sequences of a `TokenSpace`. `features` are the names of what is known of places, with their numbers of values.

    A grammar that has an `end` may have `stages`, the names of consecutive parts of its sequences: after each of them what is
    written stands for something whole. A sequence may pass over some of them.
    """

    features: Mapping[str, int]
    end: int | None = None  # what stands after the end, if sequences may end before the space's length
    stages: Sequence[str] = ()

    @abstractmethod
    def walk(self, count: int, known: Any = None) -> Walk:
        """`count` sequences at their beginning, on the CPU. `known`: what is given in advance of what they stand for, in the
        grammar's own form; only tokens that agree with it are legal. Raises ValueError where it is of no use."""

    @abstractmethod
    def slots(self, tokens: Tensor) -> Slots:
        """The places of `tokens` (B, L): features (B, L, F), legal (B, L, V). Raises ValueError for tokens that are not legal."""

    def stage(self, features: Tensor) -> Tensor:
        """(...) int64: which of the `stages` places with these features (..., F) belong to, `len(stages)` after the end. What
        comes before all stages belongs to the first; along a sequence it never falls."""
        raise TypeError(f"{type(self).__name__} has no stages")

    def stages_of(self, tokens: Tensor) -> Tensor:
        """(B, L): the stages of the places of `tokens` (B, L), which may be prefixes of sequences, filled up with `end`. Raises
        ValueError for tokens that are not legal."""
        walk, columns = self.walk(len(tokens)), []
        for column in tokens.cpu().T:
            early = (column == self.end) & ~walk.slots().legal[:, self.end]
            if bool(early.any()):
                walk.cut(early)
            columns.append(self.stage(walk.slots().features))
            walk.advance(column)
        return torch.stack(columns, 1).to(tokens.device)

    def called(self, feature: str, value: int) -> str:
        """What a value of a feature, or of `token`, is called."""
        return str(value)


class Free(Grammar):
    """Every token everywhere: the place alone is known."""

    def __init__(self, vocabulary: int, length: int):
        self.vocabulary, self.length = vocabulary, length
        self.features = {"place": length}

    def walk(self, count: int, known: Any = None) -> Walk:
        if known is not None:
            raise ValueError("nothing can be known in advance of tokens without a grammar")
        return _FreeWalk(self, count)

    def slots(self, tokens: Tensor) -> Slots:
        count, length = tokens.shape
        places = torch.arange(length, device=tokens.device).expand(count, length)
        return Slots(
            places[..., None], torch.ones(count, length, self.vocabulary, dtype=torch.bool, device=tokens.device)
        )


class _FreeWalk(Walk):
    def __init__(self, grammar: Free, count: int):
        self.grammar, self.count, self.place = grammar, count, 0

    def slots(self) -> Slots:
        place = min(self.place, self.grammar.length - 1)
        return Slots(
            torch.full((self.count, 1), place), torch.ones(self.count, self.grammar.vocabulary, dtype=torch.bool)
        )

    def advance(self, tokens: Tensor) -> None:
        self.place += 1

    @property
    def ended(self) -> Tensor:
        return torch.full((self.count,), self.place >= self.grammar.length)
