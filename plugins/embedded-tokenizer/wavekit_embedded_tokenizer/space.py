"""The space of embedded sequences: what a tokenizer's parameters and the pyramids' space say of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wavekit_core.errors import SpaceError
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.spaces import TokenSpace
from wavekit_core.wavelets.ranges import largest_coefficients
from wavekit_embedded_tokenizer import zerotree
from wavekit_embedded_tokenizer.grammar import EmbeddedGrammar
from wavekit_embedded_tokenizer.language import START
from wavekit_embedded_tokenizer.scan import Order, check, scan

Refinement = Literal["lazy", "eager"]
Groups = Literal["blocks", "zerotree"]
MOST_PLANES = 20  # as many as float32 holds to half of the last one
ROUNDING = 1e-5  # relative: what float32 may add to the largest coefficient
GREYS = 255


@dataclass(frozen=True)
class Coding:
    """How pyramids become sequences; the parameters are those of `EmbeddedTokenizer`."""

    lowest: float = 0.125
    refine: Refinement = "lazy"
    threshold: Literal["adaptive", "uniform"] | float = "adaptive"
    groups: Groups = "blocks"
    order: Order = "raster"
    strict: bool = True

    @property
    def fixed(self) -> int:
        """The first plane, if the parameters name it, or -1."""
        return -1 if isinstance(self.threshold, str) else round(math.log2(self.threshold / self.lowest))


@dataclass(frozen=True)
class EmbeddedSpace(TokenSpace):
    """Embedded sequences of pyramids of the space `pyramid`, with `planes` planes at most."""

    pyramid: PyramidSpace
    coding: Coding
    planes: int

    @property
    def grammar(self) -> EmbeddedGrammar:
        return _grammar(self)

    def __str__(self) -> str:
        return f"{super().__str__()}: up to {self.planes} planes from {self.coding.lowest:g} on, of a {self.pyramid}"


@lru_cache(maxsize=32)
def _grammar(space: EmbeddedSpace) -> EmbeddedGrammar:
    coding = space.coding
    order = scan(space.pyramid, coding.order)
    child = zerotree.children(order.parent)
    return EmbeddedGrammar(
        order, child, settings(coding, space.planes, order.parent), coding.lowest, space.vocabulary, space.length
    )


def settings(coding: Coding, planes: int, parent: NDArray[np.int32], first: int | None = None) -> NDArray[np.int64]:
    """Those of `batches`; `first` is the first plane, if it is not the one that `coding` names."""
    tree = coding.groups == "zerotree"
    fixed = coding.fixed if first is None else first
    adaptive = coding.threshold == "adaptive"
    last = zerotree.last_root(parent) if tree else len(parent)
    return np.array([planes, coding.strict, adaptive, coding.refine == "eager", tree, fixed, last], dtype=np.int64)


def embedded_space(pyramid: PyramidSpace, coding: Coding, longest: int | None, component: object) -> EmbeddedSpace:
    """The sequences of pyramids of `pyramid`, no longer than `longest`. Raises SpaceError, naming `component`, if the pyramids
    cannot be visited in blocks, or if nothing bounds their coefficients."""
    if reason := check(pyramid):
        found, _, remedy = reason.rpartition("; ")
        raise SpaceError(component, found, remedy)
    planes = _planes(pyramid, coding, component) if coding.fixed < 0 else coding.fixed + 1
    if planes > MOST_PLANES:
        reason = (
            f"from T_f = {coding.lowest:g} on, coefficients take {planes} bit-planes, and {MOST_PLANES} is the most"
        )
        raise SpaceError(component, reason, "set a larger lowest", at="lowest")
    length = 1 + pyramid.numbers * (planes + (coding.refine == "eager"))
    return EmbeddedSpace(START + planes, min(length, longest or length), pyramid, coding, planes)


def _planes(pyramid: PyramidSpace, coding: Coding, component: object) -> int:
    largest = _largest(pyramid, component) * (1 + ROUNDING)
    return max(0, math.floor(math.log2(largest / coding.lowest))) + 1


def _largest(pyramid: PyramidSpace, component: object) -> float:
    """The largest absolute value that a coefficient of an image in the space's range can have."""
    if pyramid.norm == "unit-range":
        return 1.0
    if pyramid.norm == "whiten" or pyramid.bank is None:
        found = "of the norm whiten" if pyramid.norm == "whiten" else "without filter banks"
        reason = f"nothing bounds the coefficients of pyramids {found}, so that their bit-planes cannot be counted"
        raise SpaceError(
            component, reason, "set the norm ortho, mean, unit-range or integer, or a number for threshold"
        )
    image, levels, integer = pyramid.image, pyramid.levels, pyramid.norm == "integer"
    low, high = (0.0, float(GREYS)) if integer else (image.low, image.high)
    mode, size = pyramid.mode, (image.height, image.width)
    approx, details = largest_coefficients(pyramid.bank, mode, levels, size, low, high)  # type: ignore[arg-type]
    if pyramid.norm == "ortho":
        return max(approx, *(one for level in details for one in level))
    sizes = [approx / 2**levels]
    for level, bands in zip(range(levels, 0, -1), details, strict=True):
        # whole numbers: the low-pass filters have sum 1, the high-pass ones are as many times larger
        by = (2 / 2**level, 2 / 2**level, 4 / 2**level) if integer else (1 / 2**level,) * 3
        sizes += [one * factor for one, factor in zip(bands, by, strict=True)]
    return max(sizes) + (8 * levels if integer and pyramid.bank.length > 2 else 0)  # rounding of the 5/3's steps
