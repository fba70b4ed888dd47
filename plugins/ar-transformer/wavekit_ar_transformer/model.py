"""The transformer of wavelet tokens.

S3: Wavelets Are All You Need for Autoregressive Image Generation, arXiv 2406.19997, §4.7 and §5.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from wavekit_ar_transformer.inputs import PAPER, Inputs, Positions
from wavekit_ar_transformer.network import Decoder, Memory, prepared, whole
from wavekit_core.errors import SpaceError
from wavekit_core.grammar import Grammar
from wavekit_core.kinds import Batch, Code, Loss, Objective
from wavekit_core.kinds.autoregressive import Autoregressive
from wavekit_core.spaces import TokenSpace

PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
SomeShare = Annotated[float, Field(gt=0, lt=1)]
ROOM = 256  # places that a memory has room for at first
AT_ONCE = 32_768  # places of one pass where nothing is trained


class ARTransformer(Autoregressive):
    """p(sequence) = ∏ p(token | tokens before, class, what the grammar knows of the places).

    Args:
        space: token sequences.
        width, depth, heads: of the network: features, blocks, heads of a block.
        classes: that labels tell apart; 0 for a model without.
        label_drop: share of the labels that training leaves out: what is drawn without a class, and guidance, need it.
        features: `all` that the grammar knows, or `paper`: what S3 tells its network, one linear layer of the threshold one-hot
            and of (plane, row, column) as numbers, both of the token before. It overrides the next three.
        positions: how coordinates go in: a vector each (`learned`), a linear map of their sines and cosines (`fourier`) or of
            themselves (`linear`), or not at all.
        next_slot: also tell the features of the place whose token is predicted, and not only of the one before.
        neighbours: tell whether parent, left and upper neighbour are significant, where the grammar does.
        mask: train on the probability among legal tokens. Otherwise the network has to learn what is legal, as S3's has; the
            likelihood is normalised over legal tokens in any case.
        qk_norm: normalise queries and keys.
        dropout, lr, weight_decay: of the network; of AdamW with β = (0.9, 0.95), the decay of matrices alone.
    """

    space: TokenSpace

    def __init__(
        self,
        space: TokenSpace,
        width: PositiveInt = 192,
        depth: PositiveInt = 6,
        heads: PositiveInt = 6,
        classes: Annotated[int, Field(ge=0)] = 0,
        label_drop: SomeShare = 0.1,
        features: Literal["all", "paper"] = "all",
        positions: Positions = "fourier",
        next_slot: bool = True,
        neighbours: bool = True,
        mask: bool = True,
        qk_norm: bool = True,
        dropout: Share = 0.0,
        lr: PositiveFloat = 1e-3,
        weight_decay: Annotated[float, Field(ge=0)] = 0.01,
    ):
        super().__init__()
        if width % heads:
            raise SpaceError(
                self, f"width {width} is no multiple of heads {heads}", "each head takes as many features", at="heads"
            )
        if space.vocabulary < 2 or space.length < 1:
            raise SpaceError(self, f"{space} leave nothing to predict", "use a tokenizer that gives more")
        self.space, self.classes, self.label_drop = space, classes, label_drop
        self.mask, self.lr, self.weight_decay = mask, lr, weight_decay
        names = None
        if features == "paper":
            positions, next_slot, neighbours, names = "linear", False, False, (*PAPER, "place")
        self.inputs = Inputs(
            space.grammar.features, space.vocabulary, classes, width, positions, next_slot, neighbours, names
        )
        self.decoder = Decoder(width, depth, heads, space.vocabulary, dropout, qk_norm)

    @property
    def grammar(self) -> Grammar:
        return self.space.grammar

    # training

    def objectives(self) -> Sequence[Objective]:
        matrices = [p for p in self.decoder.parameters() if p.ndim > 1]
        others = [p for p in self.parameters() if all(p is not m for m in matrices)]
        groups = [{"params": matrices, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}]
        optimizer = functools.partial(torch.optim.AdamW, lr=self.lr, betas=(0.9, 0.95), fused=True)
        return [Objective("tokens", groups, self.loss, optimizer)]

    def loss(self, batch: Batch) -> Loss:
        """Nats a sequence divided by the space's length, so that every token counts the same, in whatever batch. The terms are
        nats a token, of the normalised model; `illegal`, the probability of what is not legal before it is masked; and bits a
        pixel where the space knows its image."""
        labels = batch.labels if self.classes else None
        if labels is not None:
            dropped = torch.rand(len(labels), device=labels.device) < self.label_drop
            labels = torch.where(dropped, -1, labels)
        if batch.data.is_meta:
            raise NotImplementedError("how many tokens images have depends on the images")
        passed = _Pass(self, batch.data, labels)
        nats = passed.nats
        trained = nats if self.mask else F.cross_entropy(passed.logits, passed.targets, reduction="none")
        count, total = len(batch.data), nats.detach().sum()
        terms = {"nats a token": total / max(len(nats), 1), "illegal": passed.illegal().mean() if len(nats) else total}
        if pixels := self._pixels():
            terms["bits a pixel"] = total / (count * pixels * math.log(2))
        return Loss(trained.sum() / (count * self.space.length), terms)

    # likelihood

    @torch.no_grad()
    def negative_log_likelihood(self, data: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B,): nats a sequence, of the model normalised over legal sequences; of a class where `labels` (B,) name one. Raises
        ValueError for a sequence that is not legal."""
        parts = [one.by_sequence(one.nats) for one in self._passes(data, labels)]
        return torch.cat(parts) if parts else torch.zeros(0, device=data.device)

    @torch.no_grad()
    def code(self, data: Tensor, labels: Tensor | None = None) -> Code:
        """Parts are those of `token` and, where the grammar knows them, of `plane` and `kind` of the places; each of the three
        adds up to the whole."""
        names = list(self.grammar.features)
        sizes = {"token": self.space.vocabulary}
        sizes |= {n: s for n, s in self.grammar.features.items() if n in ("plane", "kind")}
        found = {n: torch.zeros(size, 2, dtype=torch.float64, device=data.device) for n, size in sizes.items()}
        nats = [torch.zeros(0, device=data.device)]
        for one in self._passes(data, labels):
            nats.append(one.by_sequence(one.nats))
            weights = torch.stack([one.nats, torch.ones_like(one.nats)], 1).double()
            for name, sums in found.items():
                values = one.targets if name == "token" else one.features[:, names.index(name)]
                sums.index_add_(0, values, weights)
        parts = {
            f"{name}/{self.grammar.called(name, value)}": (bits / len(data), count / len(data))
            for name, sums in found.items()
            for value, (bits, count) in enumerate(sums.tolist())
            if count
        }
        return Code(torch.cat(nats), parts)

    def _passes(self, data: Tensor, labels: Tensor | None) -> Any:
        lengths = _lengths(data, self.grammar.end)
        many = max(1, AT_ONCE // max(int(lengths.max()) if len(data) else 1, 1))
        for begin in range(0, len(data), many):
            rows = slice(begin, begin + many)
            yield _Pass(self, data[rows], None if labels is None or not self.classes else labels[rows])

    def _pixels(self) -> int:
        """Numbers of the image that a sequence stands for; 0 where the space does not say."""
        pyramid = getattr(self.space, "pyramid", None)
        image = getattr(self.space, "image", None) or getattr(pyramid, "image", None)
        return image.numbers if image is not None else 0

    # writing

    def remember(self, count: int, length: int) -> Memory:
        decoder, like = self.decoder, self.decoder.head.weight
        kind = like.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else like.dtype
        form = (len(decoder.blocks), 2, count, decoder.heads, min(length, ROOM), decoder.width // decoder.heads)
        last = torch.full((count, len(self.grammar.features)), -1, device=like.device)
        with torch.no_grad():
            table = self.inputs.table()
        held = torch.zeros(count, dtype=torch.int64)
        return Memory(
            torch.zeros(form, dtype=dtype, device=like.device), held, last, table, prepared(decoder, count), length
        )

    @torch.no_grad()
    def logits(
        self, before: Tensor, features: Tensor, labels: Tensor | None, memory: Any, counts: Tensor | None = None
    ) -> Tensor:
        count, length = before.shape
        passed = torch.cat([memory.last[:, None], features[:, :-1]], 1)
        of_class = None
        if self.classes:
            labels = torch.full((count,), -1, device=before.device) if labels is None else labels
            of_class = labels[:, None].expand(count, length)
        if counts is None:
            counts = torch.full((count,), length)
        even = bool((counts == length).all()) and bool((memory.held == memory.held[0]).all())
        if even:
            memory.last = features[:, -1]
            attend = memory.even(length)
            rows = self.inputs.rows(
                before.flatten(),
                passed.flatten(0, 1),
                features.flatten(0, 1),
                None if of_class is None else of_class.flatten(),
            )
            return self.decoder(self.inputs(rows, memory.table), attend, memory.linear).unflatten(0, (count, length))
        meant = (torch.arange(length) < counts[:, None]).to(before.device)
        here = counts.to(before.device)
        final = features.gather(1, (here - 1).clamp(min=0)[:, None, None].expand(-1, 1, features.shape[2]))[:, 0]
        memory.last = torch.where(here[:, None] > 0, final, memory.last)
        attend = memory.ragged(counts)
        rows = self.inputs.rows(
            before[meant], passed[meant], features[meant], None if of_class is None else of_class[meant]
        )
        found = self.decoder(self.inputs(rows, memory.table), attend, memory.linear)
        return found.new_zeros(count, length, found.shape[1]).masked_scatter(meant[..., None], found)


class _Pass:
    """The network on whole sequences, side by side: what is there of them, N places. `logits` (N, V), `targets` (N,), `legal`
    (N, V), `features` (N, F), `sequence` (N,): to which one a place belongs; `nats` (N,) of the tokens among the legal ones."""

    def __init__(self, model: ARTransformer, tokens: Tensor, labels: Tensor | None):
        self.count = len(tokens)
        lengths, order = _lengths(tokens, model.grammar.end).sort(descending=True)
        tokens = tokens[order, : int(lengths.max()) + 1 if len(tokens) else 1]
        slots = model.grammar.slots(tokens)
        features, legal = slots.features.to(tokens.device), slots.legal.to(tokens.device)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        ending = (places == lengths[:, None]) & (legal.sum(2) > 1)  # the end is a token too, if it could be another
        meant = (places < lengths[:, None]) | ending
        before = torch.cat([torch.full_like(tokens[:, :1], -1), tokens[:, :-1]], 1)[meant]
        passed = torch.cat([torch.full_like(features[:, :1], -1), features[:, :-1]], 1)[meant]
        self.features, self.legal, self.targets = features[meant], legal[meant], tokens[meant]
        self.sequence = order[meant.nonzero()[:, 0]]
        if model.classes:
            labels = torch.full((self.count,), -1, device=tokens.device) if labels is None else labels
            labels = labels[self.sequence]
        rows = model.inputs.rows(before, passed, self.features, labels)
        self.logits = model.decoder(model.inputs(rows, model.inputs.table()), whole(meant)).float()
        masked = self.logits.masked_fill(~self.legal, -torch.inf)
        self.nats = F.cross_entropy(masked, self.targets, reduction="none")

    def by_sequence(self, values: Tensor) -> Tensor:
        """Sums of `values` (N,) over the places of each sequence, (B,)."""
        return values.new_zeros(self.count).index_add(0, self.sequence, values)

    def illegal(self) -> Tensor:
        """(N,): the probability of what is not legal."""
        return (self.logits.detach().softmax(1) * ~self.legal).sum(1)


def _lengths(tokens: Tensor, end: int | None) -> Tensor:
    """(B,): how many tokens come before the end, which only ends follow."""
    if end is None:
        return torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
    return (tokens != end).sum(1)
