"""Models that write sequences token by token."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from torch import Tensor

from wavekit_core.kinds.generator import Generator
from wavekit_core.kinds.metric import Code
from wavekit_core.spaces import TokenSpace


class Memory(Protocol):
    """What a model keeps of the places that it has seen of each sequence of a batch (keys and values)."""

    def keep(self, rows: Tensor) -> Memory:
        """That of the sequences `rows` (b,) int64 alone, in this order."""


class Autoregressive(Generator):
    """p(sequence) = ∏ p(token | tokens before, what is known of its place). Token samplers draw from every such model, and from
    none else; they keep to the grammar of `space`. `classes` is how many classes it knows (0: none)."""

    space: TokenSpace
    classes: int = 0

    @abstractmethod
    def remember(self, count: int, length: int) -> Memory:
        """A memory for `count` sequences of up to `length` tokens, with nothing in it. The model stays as it is while it is
        used."""

    @abstractmethod
    def logits(
        self, before: Tensor, features: Tensor, labels: Tensor | None, memory: Memory, counts: Tensor | None = None
    ) -> Tensor:
        """(B, l, V): log-odds in l consecutive places of each sequence, after the places that `memory` holds already, to
        which they are added. `before` (B, l): the token before each place, -1 before the first; `features` (B, l, F): what the
        grammar says of the places; `labels` (B,): classes, -1 where none is asked for. Of sequence b only the first
        `counts[b]` places are meant (all by default): the rest of its row leaves no trace, and what is said of it is not
        looked at. `counts` (B,) is on the CPU, all else on the model's device."""

    def code(self, data: Tensor, labels: Tensor | None = None) -> Code:
        """What it makes of sequences (B, length), of classes where `labels` (B,) name them."""
        raise TypeError(f"{type(self).__name__} does not say what a code costs")

    @property
    def has_code(self) -> bool:
        return type(self).code is not Autoregressive.code

    @property
    def conditional(self) -> bool:  # type: ignore[override]
        return self.classes > 0
