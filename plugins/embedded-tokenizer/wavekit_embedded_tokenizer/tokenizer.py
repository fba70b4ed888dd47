"""Pyramids to embedded sequences, and back from any prefix of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from wavekit_core.errors import DataError, SpaceError, WavekitError
from wavekit_core.kinds.transform import Transform
from wavekit_core.pyramid import Pyramid, PyramidSpace
from wavekit_core.spaces import Space
from wavekit_embedded_tokenizer import batches, zerotree
from wavekit_embedded_tokenizer.grammar import in_parts
from wavekit_embedded_tokenizer.scan import Order, scan
from wavekit_embedded_tokenizer.space import Coding, EmbeddedSpace, Groups, Refinement, embedded_space, settings

Lowest = Annotated[float, Field(gt=0, description="T_f, the last threshold; a power of two")]
Threshold = Annotated[
    Literal["adaptive", "uniform"] | Annotated[float, Field(gt=0)],
    Field(description="the first: an image's own, the data set's, or this power of two"),
]
Longest = Annotated[int, Field(ge=1, description="where longer sequences are cut")]


class EmbeddedTokenizer(Transform):
    """Pyramids to int64 (B, length) in the language of S3 (§4.3 to §4.6; `language`), and back: an embedded code, of which every
    prefix decodes.

    `lowest` is T_f and `refine` the rule: after all tokens, coefficients below T_f are 0, and the others are known to T_f / 2
    (`lazy`, which gives the published lengths) or T_f / 4 (`eager`, the rule in the text of S3). `threshold` is T0:

    * `adaptive`: for every image the highest power of two that finds something, as the sequence's first token;
    * `uniform`: that of the training data, which `fit` sees in one pass, kept in the buffer `first`;
    * a number: that power of two.

    `groups` is `blocks`, the groups of 16 and 4, or `zerotree` (`zerotree`). `order` is the one within a band. With `strict` the
    grammar is canonical: every complete sequence of it is the encoding of what it decodes to; otherwise it is the paper's.
    `max_tokens` cuts longer sequences, which then have no end: what is left is a coarser image.

    Pyramids of the norm `integer` need T_f = 1 at least, and with it, lazily, nothing is lost: |α| + ½ is coded, so that none is
    a threshold, and the last interval [n, n + 1) names the whole number n.

    Not differentiable. On any device, by way of the CPU.
    """

    linear = False
    differentiable = False
    lossless = False
    first: Tensor

    def __init__(
        self,
        lowest: Lowest = 0.125,
        refine: Refinement = "lazy",
        threshold: Threshold = "adaptive",
        groups: Groups = "blocks",
        order: Order = "raster",
        strict: bool = True,
        max_tokens: Longest | None = None,
    ) -> None:
        super().__init__()
        _require_power(lowest, "lowest")
        if not isinstance(threshold, str):
            _require_power(threshold, "threshold")
            if threshold < lowest:
                raise ValueError(
                    f"threshold: {threshold:g} is below lowest: {lowest:g}; planes go down from one to the other"
                )
        self.coding = Coding(lowest, refine, threshold, groups, order, strict)
        self.max_tokens = max_tokens
        self.register_buffer("first", torch.full((), -1, dtype=torch.int64))
        self._target: EmbeddedSpace | None = None

    def target(self, source: Space) -> EmbeddedSpace:
        """The sequences of pyramids of `source`: as many planes, and so tokens, as the largest coefficient of an image in the
        range needs. Raises SpaceError if `source` is no pyramid, its bands do not double from level to level or are odd,
        nothing bounds the coefficients (the norm whiten), or T_f is below 1 for the norm integer."""
        if not isinstance(source, PyramidSpace):
            raise SpaceError(self, f"the tokenizer takes pyramids, and is given {source}", "put a wavelet before it")
        if source.norm == "integer" and self.coding.lowest < 1:
            reason = f"the norm integer has whole numbers, and lowest is {self.coding.lowest:g}"
            raise SpaceError(self, reason, "set lowest: 1", at="lowest")
        self.lossless = source.norm == "integer" and self.coding.lowest == 1 and self.coding.refine == "lazy"
        if self._target is None or self._target.pyramid != source:
            self._target = embedded_space(source, self.coding, self.max_tokens, self)
        return self._target

    @torch.no_grad()
    def fit(self, batches: Iterable[Pyramid]) -> None:
        """Find T0 for the threshold `uniform`. Raises DataError without pyramids."""
        if self.coding.threshold != "uniform":
            return
        largest: float | None = None
        for pyramid in batches:
            if len(pyramid):
                sizes = [float(band.abs().max()) for band in pyramid.bands().values()]
                largest = max(largest or 0.0, *sizes) + _half(pyramid.space)
        if largest is None:
            raise DataError("there are no images to find the threshold in; give at least one batch")
        self.first.fill_(max(0, math.floor(math.log2(max(largest, self.coding.lowest) / self.coding.lowest))))

    @torch.no_grad()
    def forward(self, x: Pyramid) -> Tensor:
        """A pyramid of batch size B to int64 (B, length), filled up with END. Raises DataError for a coefficient beyond the
        first threshold, WavekitError if that is to be fitted and is not."""
        space = self.target(x.space)
        count, device = len(x), x.approx.device
        if x.approx.is_meta:
            return space.zeros(count, device)
        order = scan(x.space, self.coding.order)
        child = zerotree.children(order.parent)
        first = self._first(space)
        how = settings(self.coding, space.planes, order.parent, first)
        vectors = x.space.flatten(x).detach().cpu().contiguous().numpy()
        tokens = np.empty((count, space.length), dtype=np.int64)

        def kernel(part: slice) -> tuple[int, int]:
            row = batches.encode(
                vectors[part], order.element, child, self.coding.lowest, how, _half(x.space), tokens[part]
            )
            return row, 0

        for part, (row, _) in in_parts(count, vectors.size * space.planes, kernel):
            if row >= 0:
                raise self._beyond(vectors[part.start + row], space, first)
        return torch.from_numpy(tokens).to(device)

    @torch.no_grad()
    def inverse(self, y: Tensor) -> Pyramid:
        """Sequences, or prefixes of any length (B, k), to a float32 pyramid on their device. Raises ValueError for a token that
        is not legal where it stands, WavekitError if the space of the pyramids is not known yet."""
        if self._target is None:
            raise WavekitError("the tokenizer does not know the pyramids of these tokens; call target(space) first")
        space = self._target
        if y.is_meta:
            return space.pyramid.zeros(len(y), y.device)
        tokens = np.ascontiguousarray(y.detach().cpu().numpy())
        element = scan(space.pyramid, self.coding.order).element
        vectors = space.grammar.decode(tokens, element, _half(space.pyramid))
        return space.pyramid.unflatten(torch.from_numpy(vectors).to(y.device))

    def known(self, pyramid: Pyramid) -> Tensor:
        """What `EmbeddedGrammar.walk` takes as `known`: the coefficients of `pyramid`, NaN where they are free, as float64 (B, N)
        in the order of the scan."""
        flat = pyramid.space.flatten(pyramid).detach().cpu().double()
        flat = flat + _half(pyramid.space) * flat.sign()
        return flat[:, torch.from_numpy(scan(pyramid.space, self.coding.order).element).long()]

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in vars(self.coding).items())

    def _first(self, space: EmbeddedSpace) -> int:
        """The first plane, or -1 if every image has its own."""
        if self.coding.threshold != "uniform":
            return self.coding.fixed
        first = int(self.first)
        if first < 0:
            raise WavekitError("the threshold `uniform` is not known yet; call fit(batches) or load a state first")
        return min(first, space.planes - 1)

    def _beyond(self, vector: NDArray[np.floating], space: EmbeddedSpace, first: int) -> WavekitError:
        largest = np.abs(vector).max() + _half(space.pyramid)
        top = space.planes - 1 if first < 0 else first
        if not np.isfinite(largest):
            return DataError(f"a coefficient is {largest:g}; only finite numbers have bit-planes; look at the data")
        found = f"a coefficient of size {largest:g}, and planes from T0 = {self.coding.lowest * 2.0**top:g} on hold what is below"
        where = (
            "give images in the range that their space declares"
            if first < 0
            else "set threshold: adaptive, or a larger one"
        )
        return DataError(f"{found} {self.coding.lowest * 2.0 ** (top + 1):g}; {where}")


def _half(space: PyramidSpace) -> float:
    """What is added to sizes before they are coded."""
    return 0.5 if space.norm == "integer" else 0.0


def _require_power(value: float, name: str) -> None:
    if math.frexp(value)[0] != 0.5:
        raise ValueError(f"{name}: {value:g} is no power of two; take {2.0 ** round(math.log2(value)):g}")
