"""What may come next in an embedded sequence, and what is known of its place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavekit_core.grammar import Grammar, Slots, Walk
from wavekit_core.wavelets.kernels.threads import share, together
from wavekit_embedded_tokenizer import batches, zerotree
from wavekit_embedded_tokenizer.batches import FEATURES, FIXED, PLANES, TREE
from wavekit_embedded_tokenizer.language import END, HEAD, KINDS, NAMES, PLANE, START
from wavekit_embedded_tokenizer.scan import Scan

NOTHING = np.zeros((0, 0))


class EmbeddedGrammar(Grammar):
    """The grammar of an `EmbeddedSpace`, strict or as in the paper (S3, §4.6).

    `features` of a place, in their order, with N the number of planes:

    kind        of slot (`language`): 0 after the end, 1 START, 2 block, 3 group, 4 coefficient, 5 refinement; what may be a
                zero-tree is a group
    plane       T = T_f 2^plane; N before START, N + 1 after the end
    level       of the coefficient, of a group's first; 0 where there is none
    band        LL, HL, LH, HH
    channel, row, column    in the band
    parent, left, up        0 there is none, 1 not found so far, 2 found
    threshold   the first plane; N before START

    `stages` are the planes, by their thresholds, coarse to fine.
    """

    end = END

    def __init__(
        self,
        order: Scan,
        child: NDArray[np.int32],
        settings: NDArray[np.int64],
        lowest: float,
        vocabulary: int,
        length: int,
    ):
        fields = (order.level, order.band, order.channel, order.row, order.column, order.parent, order.left, order.up)
        self.geometry = np.ascontiguousarray(np.stack(fields, 1))
        self.child, self.settings, self.lowest = child, settings, lowest
        self.vocabulary, self.length = vocabulary, length
        planes = int(settings[PLANES])
        self.stages = tuple(self.called("plane", plane) for plane in reversed(range(planes)))
        level, _, channel, row, column = (int(self.geometry[:, i].max()) + 1 for i in range(5))
        self.features = {
            **{
                "kind": 6,
                "plane": planes + 2,
                "level": level,
                "band": 4,
                "channel": channel,
                "row": row,
                "column": column,
            },
            **{"parent": 3, "left": 3, "up": 3, "threshold": planes + 1},
        }

    def walk(self, count: int, known: Tensor | None = None) -> EmbeddedWalk:
        """`count` sequences at their beginning. `known` (count, N), in the order of the scan and NaN where nothing is known
        (`EmbeddedTokenizer.known` gives it): only tokens that agree with it are legal, and no choice among them leads to a
        place without one. Raises ValueError for known coefficients beyond the first plane."""
        return EmbeddedWalk(self, count, known)

    def slots(self, tokens: Tensor) -> Slots:
        given = np.ascontiguousarray(tokens.detach().cpu().numpy())
        count, length = given.shape
        if length > self.length:
            raise ValueError(f"sequences of {length} tokens; those of the space have {self.length} at most")
        features = np.empty((count, length, FEATURES), dtype=np.int64)
        legal = np.empty((count, length, self.vocabulary), dtype=np.bool_)
        self._through(
            given,
            lambda part: batches.follow(
                given[part], self.geometry, self.child, self.lowest, self.settings, features[part], legal[part]
            ),
        )
        return Slots(torch.from_numpy(features).to(tokens.device), torch.from_numpy(legal).to(tokens.device))

    def stage(self, features: Tensor) -> Tensor:
        plane, planes = features[..., list(self.features).index("plane")], len(self.stages)
        return torch.where(plane > planes, planes, (planes - 1 - plane).clamp(min=0))

    def decode(self, tokens: NDArray[np.int64], element: NDArray[np.int32], half: float) -> NDArray[np.float32]:
        """α̃ (B, N) as vectors of pyramids; `half` is taken from every size but 0. Raises ValueError for tokens that are not
        legal."""
        vectors = np.empty((len(tokens), len(self.child)), dtype=np.float32)
        self._through(
            tokens,
            lambda part: batches.decode(
                tokens[part], element, self.child, self.lowest, self.settings, half, vectors[part]
            ),
        )
        return vectors

    def named(self, legal: NDArray[np.bool_]) -> str:
        """Legal tokens (V,) in words."""
        return ", ".join(f"{token} ({self.name(int(token))})" for token in np.nonzero(legal)[0])

    def called(self, feature: str, value: int) -> str:
        planes = int(self.settings[PLANES])
        if feature == "plane":
            return f"{self.lowest * 2.0**value:g}" if value < planes else ("start", "end")[value - planes]
        if feature == "kind":
            return KINDS[value]
        return self.name(value) if feature == "token" else str(value)

    def name(self, token: int) -> str:
        if token >= START:
            return f"start at {self.lowest * 2.0 ** (token - START):g}"
        if token == zerotree.ZEROTREE and self.settings[TREE]:
            return "zerotree"
        return NAMES[token]

    def _through(self, tokens: NDArray[np.int64], kernel: Callable[[slice], tuple[int, int]]) -> None:
        """`kernel` over all rows. Raises ValueError for the token that it finds to be wrong."""
        for part, (row, column) in in_parts(len(tokens), tokens.size, kernel):
            if row >= 0:
                raise self._refusal(tokens, part.start + row, column)

    def _refusal(self, tokens: NDArray[np.int64], row: int, column: int) -> ValueError:
        if END in tokens[row, :column]:
            return ValueError(f"row {row}, column {column}: token {tokens[row, column]}; legal is {END} (end)")
        walk = self.walk(1)
        for token in tokens[row, :column]:
            walk.advance(torch.tensor([token]))
        legal = walk.slots().legal[0].numpy()
        return ValueError(f"row {row}, column {column}: token {tokens[row, column]}; legal is {self.named(legal)}")


class EmbeddedWalk(Walk):
    """Embedded sequences being written. `values` (B, N) float64 are α̃ so far, in the order of the scan."""

    def __init__(self, grammar: EmbeddedGrammar, count: int, known: Tensor | None):
        self.grammar, self.written = grammar, 0
        places = len(grammar.child)
        self.heads = np.empty((count, HEAD), dtype=np.int64)
        self.values = np.empty((count, places))
        self.groups = np.empty((count, places // 4), dtype=np.uint8)
        self.extra = np.repeat(grammar.child[None], count, 0)  # of the zero-tree
        if not grammar.settings[TREE]:
            self.extra = np.empty((count, places // 16), dtype=np.int32)  # blocks
        batches.start(self.heads, self.values, self.groups, self.extra, grammar.settings)
        self.known = self.largest = self.possible = NOTHING
        if known is not None:
            self._know(known.detach().cpu().double().contiguous().numpy())
        self._next: Slots | None = None
        self._bits = np.empty(count, dtype=np.int64)

    def slots(self) -> Slots:
        if self._next is None:
            grammar, count = self.grammar, len(self.heads)
            features = np.empty((count, FEATURES), dtype=np.int64)
            legal = np.empty((count, grammar.vocabulary), dtype=np.bool_)
            if self.written >= grammar.length:
                self.heads[:, PLANE] = -1
            batches.look(
                *(self.heads, self.values, self.groups, self.extra, grammar.geometry, grammar.lowest, grammar.settings),
                *(self.known, self.largest, self.possible, features, legal, self._bits),
            )
            self._next = Slots(torch.from_numpy(features), torch.from_numpy(legal))
        return self._next

    def advance(self, tokens: Tensor) -> None:
        slots, grammar = self.slots(), self.grammar
        given = tokens.detach().cpu().numpy()
        state = self.heads, self.values, self.groups, self.extra
        wrong = batches.step(*state, grammar.lowest, grammar.settings, self._bits, given)
        if wrong >= 0:
            legal = grammar.named(slots.legal[wrong].numpy())
            raise ValueError(f"row {wrong}, column {self.written}: token {given[wrong]}; legal is {legal}")
        self.written += 1
        self._next = None

    def cut(self, rows: Tensor) -> None:
        self.heads[rows.numpy(), PLANE] = -1
        self._next = None

    @property
    def ended(self) -> Tensor:
        return torch.from_numpy((self.heads[:, PLANE] == -1) | (self.written >= self.grammar.length))

    def _know(self, known: NDArray[np.float64]) -> None:
        grammar = self.grammar
        if known.shape != self.values.shape:
            raise ValueError(f"known coefficients of shape {known.shape}; {self.values.shape} are expected")
        fixed = int(grammar.settings[FIXED])
        first = fixed if fixed >= 0 else int(grammar.settings[PLANES]) - 1
        beyond = grammar.lowest * 2.0 ** (first + 1)
        largest = np.nanmax(np.abs(known), initial=0.0)
        if not largest < beyond:
            raise ValueError(
                f"a known coefficient of {largest:g}, and sequences reach up to {beyond:g}; take a tokenizer whose space has it"
            )
        self.known = known
        self.largest = self.possible = known
        if grammar.settings[TREE]:
            self.largest, self.possible = zerotree.subtrees(known, grammar.child)


def in_parts(
    count: int, numbers: int, kernel: Callable[[slice], tuple[int, int]]
) -> list[tuple[slice, tuple[int, int]]]:
    """What `kernel` gives for parts of `count` rows with `numbers` numbers, on several threads where that pays."""
    parts = [slice(*part) for part in share(count, numbers)] if count else []
    found: dict[int, tuple[int, int]] = {}

    def run(index: int) -> None:
        found[index] = kernel(parts[index])

    if parts:
        together([partial(run, index) for index in range(len(parts))])
    return [(part, found[index]) for index, part in enumerate(parts)]
