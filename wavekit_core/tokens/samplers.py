"""Samplers of autoregressive models: how the next token is chosen among the legal ones.

What the grammar forbids is taken out before anything is chosen, so that every sequence that is drawn exists: the weights of a
model decide how good it is, never whether it decodes.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from wavekit_core.kinds.autoregressive import Autoregressive
from wavekit_core.kinds.generator import Generator
from wavekit_core.kinds.sampler import Sampler
from wavekit_core.tokens.writing import Callback, write

Heat = Annotated[float, Field(gt=0)]
Guidance = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Floor = Annotated[float, Field(ge=0, le=1)]
Until = float | str


class TokenSampler(Sampler):
    """Base of the samplers that write sequences token by token. A subclass has a `kept`.

    Args:
        temperature: τ > 0: probabilities to the power of 1 / τ, renormalised, before the rest.
        guidance: w ≥ 0 of classifier-free guidance (Ho & Salimans 2022) on log-odds: (1 + w) c − w u, with c of the label and u
            of none. Both are evaluated in one batch of twice the size. What is drawn without labels is not guided.
        tokens: how many to write at most; the rest of a row is the grammar's `end`. Of embedded tokens, where every prefix
            decodes, fewer give a coarser image.
        until: the last stage that is written, of those that the grammar names: sequences end after it. Of embedded tokens, a
            bit-plane's threshold.
    """

    draws_from = Autoregressive

    def __init__(
        self, temperature: Heat = 1.0, guidance: Guidance = 0.0, tokens: Count | None = None, until: Until | None = None
    ):
        super().__init__()
        self.temperature, self.guidance, self.tokens = temperature, guidance, tokens
        self.until = f"{until:g}" if isinstance(until, float | int) else until

    @abstractmethod
    def kept(self, logits: Tensor) -> Tensor:
        """(B, V) bool: the tokens to choose among, one a row at least, for log-odds (B, V); those of what is not legal are
        -inf, and are never chosen."""

    def choose(self, logits: Tensor) -> Tensor:
        """(B,): a token for each row of log-odds (B, V), -inf for what is not legal."""
        if self.temperature != 1:
            logits = logits / self.temperature
        logits = logits.masked_fill(~self.kept(logits), -torch.inf)
        # the least of exponential times with the rates p falls to each with its probability
        return (torch.softmax(logits, -1) / torch.empty_like(logits).exponential_()).argmax(-1)

    def refuses(self, model: Generator) -> str | None:
        if reason := super().refuses(model):
            return reason
        assert isinstance(model, Autoregressive)
        if self.guidance and not model.classes:
            return (
                f"guidance {self.guidance:g} goes from what no class asks for to what one does, and {type(model).__name__} "
                "knows no classes; set classes, or leave guidance out"
            )
        if self.tokens is not None and self.tokens < model.space.length and model.space.grammar.end is None:
            return (
                f"tokens: {self.tokens} ends sequences early, and those of the model always have {model.space.length}; leave "
                "tokens out"
            )
        stages = model.space.grammar.stages if model.space.grammar.end is not None else ()
        if self.until is not None and self.until not in stages:
            found = f"they have the stages {', '.join(stages)}; name one of them" if stages else "they have no stages"
            return f"until: {self.until} is no stage of the model's sequences; {found}, or leave until out"
        return None

    @torch.no_grad()
    def sample(
        self,
        model: Generator,
        count: int,
        labels: Tensor | None = None,
        known: Any = None,
        callback: Callback | None = None,
    ) -> Tensor:
        """`count` new sequences (count, length) int64 on the model's device.

        `known` is what the grammar's walk takes as known in advance, such as coefficients of a coarse image: it leaves no
        choice where the answer is known. `callback(step, stage, tokens)` is called after every step: `stage` is how many of the
        grammar's stages all sequences have finished, `tokens` all that is written so far, (count, length) on the CPU, the
        grammar's `end` (or 0) in what is not.
        """
        if reason := self.refuses(model):
            raise TypeError(f"{type(self).__name__} cannot draw: {reason}")
        assert isinstance(model, Autoregressive)
        length = min(self.tokens or model.space.length, model.space.length)
        asked = labels if model.classes else None
        guidance = self.guidance if asked is not None else 0.0
        stages = None if self.until is None else list(model.space.grammar.stages).index(self.until) + 1
        return write(model, self.choose, count, asked, length, guidance, known, callback, stages)


class Temperature(TokenSampler):
    """Among all legal tokens: with temperature 1, from the model's own distribution."""

    def kept(self, logits: Tensor) -> Tensor:
        return torch.ones_like(logits, dtype=torch.bool)


class Greedy(TokenSampler):
    """The most probable legal token; nothing is drawn by chance, and no seed changes anything."""

    def __init__(self, guidance: Guidance = 0.0, tokens: Count | None = None, until: Until | None = None):
        super().__init__(1.0, guidance, tokens, until)

    def kept(self, logits: Tensor) -> Tensor:
        best = torch.zeros_like(logits, dtype=torch.bool)
        return best.scatter_(-1, logits.argmax(-1, keepdim=True), True)

    def choose(self, logits: Tensor) -> Tensor:
        return logits.argmax(-1)


class TopK(TokenSampler):
    """Among the `k` most probable legal tokens (Fan et al. 2018), and those as probable as the last of them."""

    def __init__(
        self,
        k: Count = 2,
        temperature: Heat = 1.0,
        guidance: Guidance = 0.0,
        tokens: Count | None = None,
        until: Until | None = None,
    ):
        super().__init__(temperature, guidance, tokens, until)
        self.k = k

    def kept(self, logits: Tensor) -> Tensor:
        least = logits.topk(min(self.k, logits.shape[-1])).values[..., -1:]
        return logits >= least


class TopP(TokenSampler):
    """Among the fewest, most probable legal tokens that have a probability of `p` together (Holtzman et al. 2020)."""

    def __init__(
        self,
        p: Share = 0.9,
        temperature: Heat = 1.0,
        guidance: Guidance = 0.0,
        tokens: Count | None = None,
        until: Until | None = None,
    ):
        super().__init__(temperature, guidance, tokens, until)
        self.p = p

    def kept(self, logits: Tensor) -> Tensor:
        if self.p == 1:  # sums of probabilities are rounded
            return torch.ones_like(logits, dtype=torch.bool)
        probable, order = torch.softmax(logits, -1).sort(dim=-1, descending=True, stable=True)
        needed = probable.cumsum(-1) - probable < self.p  # while those before do not suffice
        return torch.empty_like(needed).scatter_(-1, order, needed)


class MinP(TokenSampler):
    """Among the legal tokens that are at least `p` times as probable as the most probable one (Nguyen et al. 2024)."""

    def __init__(
        self,
        p: Floor = 0.05,
        temperature: Heat = 1.0,
        guidance: Guidance = 0.0,
        tokens: Count | None = None,
        until: Until | None = None,
    ):
        super().__init__(temperature, guidance, tokens, until)
        self.p = p

    def kept(self, logits: Tensor) -> Tensor:
        probable = torch.softmax(logits, -1)
        return probable >= self.p * probable.amax(-1, keepdim=True)
