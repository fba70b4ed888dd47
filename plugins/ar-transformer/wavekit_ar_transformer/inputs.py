"""What the network is told of a place: the token before it, the class, and what the grammar knows of the places."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Positions = Literal["none", "linear", "fourier", "learned"]
PLACES = ("place", "plane", "row", "column")  # features that are coordinates
NEIGHBOURS = ("parent", "left", "up")  # features that tell what is known of other coefficients
PAPER = ("threshold", "plane", "row", "column")  # what S3 tells its network


class Inputs(nn.Module):
    """The sum of one vector of each: the token before, the class, the features of the token before's place and, with `next_slot`,
    those of the place whose token is predicted.

    A feature has a vector for each of its values: learned, or for coordinates a learned linear map of the coordinate from 0 to 1
    (`linear`), and of its sines and cosines down to the wavelength of two places (`fourier`). That is what one linear layer of
    everything side by side gives, one-hot or as numbers (S3, §4.7).
    """

    basis: Tensor

    def __init__(
        self,
        features: Mapping[str, int],
        vocabulary: int,
        classes: int,
        width: int,
        positions: Positions,
        next_slot: bool,
        neighbours: bool,
        names: tuple[str, ...] | None,
    ):
        super().__init__()
        sizes = dict(features)
        used = [n for n in sizes if (names is None or n in names) and (neighbours or n not in NEIGHBOURS)]
        used = [n for n in used if positions != "none" or n not in PLACES]
        mapped = [n for n in used if positions in ("linear", "fourier") and n in PLACES]
        learned = [n for n in used if n not in mapped]
        self.at = [list(sizes).index(name) for name in [*learned, *mapped]]
        self.turns = 1 + next_slot  # the place before, the next one
        # rows of the table: nothing, tokens, classes, then for each turn the learned features and those that are mapped
        start, offsets = 1 + vocabulary + classes, [[] for _ in range(self.turns)]  # type: tuple[int, list[list[int]]]
        for group in (learned, mapped):
            for turn in offsets:
                for name in group:
                    turn.append(start)
                    start += sizes[name]
        self.offsets = nn.Buffer(torch.tensor(offsets, dtype=torch.int64).reshape(self.turns, -1), persistent=False)
        self.class_row = 1 + vocabulary
        rows = vocabulary + classes + self.turns * sum(sizes[name] for name in learned)
        self.vectors = nn.Parameter(0.02 * torch.randn(rows, width))
        blocks = [_basis(sizes[name], positions == "fourier") for name in mapped]
        self.basis = nn.Buffer(torch.block_diag(*blocks) if blocks else torch.zeros(0, 0), persistent=False)
        self.maps = nn.Parameter(0.02 * torch.randn(self.turns, self.basis.shape[1], width)) if mapped else None

    def table(self) -> Tensor:
        """(rows, width): the vectors that are added, the first 0."""
        parts = [torch.zeros_like(self.vectors[:1]), self.vectors]
        if self.maps is not None:
            parts.append((self.basis @ self.maps).flatten(0, 1))
        return torch.cat(parts)

    def rows(self, before: Tensor, passed: Tensor, features: Tensor, labels: Tensor | None) -> Tensor:
        """(N, k): rows of the table to be added for N places: tokens before (N,), -1 for none; features of the places before
        `passed` (N, F), -1 for none, and of the places themselves; labels (N,), -1 for none."""
        parts = [(before + 1)[:, None]]
        if labels is not None:
            parts.append(torch.where(labels < 0, 0, labels + self.class_row)[:, None])
        passed = passed[:, self.at]
        parts.append(torch.where(passed < 0, 0, passed + self.offsets[0]))
        if self.turns == 2:
            parts.append(features[:, self.at] + self.offsets[1])
        return torch.cat(parts, 1)

    def forward(self, rows: Tensor, table: Tensor) -> Tensor:
        """(N, width)"""
        return nn.functional.embedding_bag(rows, table, mode="sum")


def _basis(size: int, fourier: bool) -> Tensor:
    """(size, k): the coordinate from 0 to 1, and with `fourier` its sines and cosines."""
    at = torch.linspace(0, 1, size)[:, None]
    if not fourier:
        return at
    angles = math.pi * at * 2.0 ** torch.arange(max(1, math.ceil(math.log2(size))))
    return torch.cat([at, angles.sin(), angles.cos()], 1)
