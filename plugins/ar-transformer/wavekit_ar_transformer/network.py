"""A pre-norm transformer decoder (Vaswani et al. 2017; Radford et al. 2019), and its memory of keys and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]  # block, q, k, v (N, heads, d) to (N, heads, d)
Linear = Callable[[nn.Linear, Tensor, str], Tensor]  # a layer, its input, and what follows: "none" or "gelu"

GROUPS = 4  # of sequences of about the same length, in a batch that is trained on


def plain(layer: nn.Linear, x: Tensor, after: str = "none") -> Tensor:
    return F.gelu(layer(x)) if after == "gelu" else layer(x)


class Block(nn.Module):
    """Attention and a two-layer network, each on normalised features and added to them. With `qk_norm` queries and keys are
    normalised (Dehghani et al. 2023)."""

    def __init__(self, index: int, width: int, heads: int, depth: int, dropout: float, qk_norm: bool):
        super().__init__()
        self.index, self.heads = index, heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.drop = nn.Dropout(dropout)
        self.q_norm = nn.LayerNorm(width // heads, bias=False) if qk_norm else None
        self.k_norm = nn.LayerNorm(width // heads, bias=False) if qk_norm else None
        for layer in (self.qkv, self.out, self.up, self.down):  # GPT-2's: what is added depth times is smaller
            nn.init.normal_(layer.weight, 0.0, 0.02 / (1 if layer in (self.qkv, self.up) else (2 * depth) ** 0.5))
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, attend: Attend, linear: Linear = plain) -> Tensor:
        """x (N, width)"""
        q, k, v = linear(self.qkv, self.first(x), "none").unflatten(1, (3, self.heads, -1)).unbind(1)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        x = x + self.drop(linear(self.out, attend(self.index, q, k, v).flatten(1), "none"))
        return x + self.drop(linear(self.down, linear(self.up, self.second(x), "gelu"), "none"))


class Decoder(nn.Module):
    """Blocks over places laid one after another (N, width): linear layers see what is there and no filling. Attention is
    between places of the same sequence, from each to those up to itself."""

    def __init__(self, width: int, depth: int, heads: int, vocabulary: int, dropout: float, qk_norm: bool):
        super().__init__()
        self.width, self.heads = width, heads
        self.blocks = nn.ModuleList(Block(i, width, heads, depth, dropout, qk_norm) for i in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)
        self.drop = nn.Dropout(dropout)
        nn.init.normal_(self.head.weight, 0.0, 0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, attend: Attend, linear: Linear = plain) -> Tensor:
        """Log-odds (N, V) of inputs x (N, width)."""
        x = self.drop(x)
        for block in self.blocks:
            x = block(x, attend, linear)
        return self.head(self.norm(x))


def whole(meant: Tensor) -> Attend:
    """Attention within sequences of which `meant` (B, L) bool says what is there, the first places of each. Neighbours in the
    batch are filled up to the longest of a group: sequences in the order of their lengths cost least."""
    groups = [_Group(part) for part in meant.chunk(GROUPS)]
    sizes = [len(group.at) for group in groups]

    def attend(block: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        parts = zip(groups, q.split(sizes), k.split(sizes), v.to(q.dtype).split(sizes), strict=True)
        return torch.cat([group(*qkv) for group, *qkv in parts])

    return attend


class _Group:
    """Sequences that are filled up to the longest of them. What stands in the filling comes after all that is there, and no
    place sees what comes after it."""

    def __init__(self, meant: Tensor):
        self.count, self.length = len(meant), int(meant.sum(1).max()) if len(meant) else 0
        self.at = meant[:, : self.length].flatten().nonzero()[:, 0]
        self.full = len(self.at) == self.count * self.length

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        y = F.scaled_dot_product_attention(self._laid(q), self._laid(k), self._laid(v), is_causal=True)
        y = y.transpose(1, 2).flatten(0, 1)
        return y if self.full else y[self.at]

    def _laid(self, x: Tensor) -> Tensor:
        if not self.full:
            x = x.new_zeros(self.count * self.length, *x.shape[1:]).index_copy(0, self.at, x)
        return x.unflatten(0, (self.count, self.length)).transpose(1, 2)


@dataclass
class Memory:
    """Keys and values (blocks, 2, B, heads, room, d) of `held` (B,) places of each sequence (on the CPU): the room doubles when
    it is full, up to `length`. Further the features of the last place of each (B, F), -1 for none; and what stays the same while
    sequences are written: the table of inputs and, where it pays, the layers' weights in the order in which the processor reads
    them."""

    kv: Tensor
    held: Tensor
    last: Tensor
    table: Tensor
    linear: Linear
    length: int

    def keep(self, rows: Tensor) -> Memory:
        held = self.held[rows.to("cpu")]
        top = int(held.max()) if len(held) else 0
        kv = self.kv.new_zeros(*self.kv.shape[:2], len(rows), *self.kv.shape[3:])
        for mine, other in zip(kv.flatten(0, 1), self.kv.flatten(0, 1), strict=True):
            mine[:, :, :top] = other[rows, :, :top]
        return Memory(kv, held, self.last[rows], self.table, self.linear, self.length)

    def even(self, length: int) -> Attend:
        """Attention of `length` more places of every sequence, all of which hold equally many: they are written down."""
        count, begin = len(self.held), int(self.held[0])
        end = begin + length
        kv = self._room(end)[..., :end, :]
        mask = None if length == 1 else self._seen(torch.full((1,), begin), length, end)
        fast = length == 1 and kv.device.type == "cpu"

        def attend(block: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = kv[block].unbind()
            keys[:, :, begin:] = k.unflatten(0, (count, length)).transpose(1, 2)
            values[:, :, begin:] = v.unflatten(0, (count, length)).transpose(1, 2)
            q = q.to(keys.dtype).unflatten(0, (count, length)).transpose(1, 2)
            if fast:  # for one place a sequence, plain products take about two thirds of the time of the fused kernel
                scores = torch.bmm(q.flatten(0, 1) * q.shape[-1] ** -0.5, keys.flatten(0, 1).transpose(1, 2))
                return torch.bmm(scores.softmax(-1), values.flatten(0, 1)).unflatten(0, q.shape[:2]).squeeze(2)
            return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask).transpose(1, 2).flatten(0, 1)

        self.held = self.held + length
        return attend

    def ragged(self, counts: Tensor) -> Attend:
        """Attention of `counts` (B,) more places, of each sequence its own number."""
        count, length, device = len(counts), int(counts.max()), self.kv.device
        meant = torch.arange(length) < counts[:, None]
        row, step = meant.nonzero().to(device).unbind(1)
        begin, top = self.held.to(device), int((self.held + counts).max())
        kv, mask = self._room(top), self._seen(self.held, length, top)
        at = begin[row] + step

        def attend(block: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = kv[block].unbind()
            keys[row, :, at], values[row, :, at] = k.to(keys.dtype), v.to(keys.dtype)
            laid = keys.new_zeros(count, length, *q.shape[1:])
            laid[row, step] = q.to(keys.dtype)
            y = F.scaled_dot_product_attention(
                laid.transpose(1, 2), keys[:, :, :top], values[:, :, :top], attn_mask=mask
            )
            return y.transpose(1, 2)[row, step]

        self.held = self.held + counts
        return attend

    def _room(self, end: int) -> Tensor:
        """Keys and values with room for `end` places."""
        room = self.kv.shape[-2]
        if end > room:
            more = self.kv.new_zeros(
                *self.kv.shape[:-2], max(end, min(2 * room, self.length)) - room, self.kv.shape[-1]
            )
            self.kv = torch.cat([self.kv, more], -2)
        return self.kv

    def _seen(self, begin: Tensor, length: int, top: int) -> Tensor:
        """(B, 1, length, top): whether a place sees another one."""
        own = begin[:, None] + torch.arange(length)
        return (torch.arange(top) <= own[..., None])[:, None].to(self.kv.device)


def prepared(decoder: Decoder, rows: int) -> Linear:
    """The linear layers for batches of about `rows`. On the CPU in float32 their weights are laid out once, in the blocks that
    oneDNN multiplies by, which every call of a plain layer does anew: for a few rows that takes as long as the product."""
    first = decoder.head.weight
    plainly = first.device.type != "cpu" or first.dtype != torch.float32 or torch.is_autocast_enabled("cpu")
    if plainly or not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return plain
    layers = [m for m in decoder.blocks.modules() if isinstance(m, nn.Linear)]
    laid: dict[nn.Linear, Any] = {m: torch.ops.mkldnn._reorder_linear_weight(m.weight.detach(), rows) for m in layers}

    def linear(layer: nn.Linear, x: Tensor, after: str = "none") -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, laid[layer], layer.bias, after, [], "none")

    return linear
