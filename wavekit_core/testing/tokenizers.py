"""Laws of tokenizers: transforms to a `TokenSpace`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavekit_core.spaces import TokenSpace
from wavekit_core.testing.elements import elements, tensors, vectors
from wavekit_core.testing.laws import NotApplicable

SLACK = 0.01  # of the error without any token: what chance may add on a batch of 32


def tokens(case: Any) -> str | None:
    """It gives int64 (B, length) with values from 0 to vocabulary - 1, as its `TokenSpace` says."""
    transform = case.ready()
    target = transform.target(case.space)
    assert isinstance(target, TokenSpace), f"it gives {target}, and no TokenSpace"
    made = transform(elements(case.space, 8))
    assert target.holds(made, 8), f"it gives {made.dtype} {tuple(made.shape)}, and {target} is declared (int64)"
    low, high = int(made.min()), int(made.max())
    assert 0 <= low <= high < target.vocabulary, (
        f"it gives tokens from {low} to {high}; a vocabulary of {target.vocabulary} has 0 to {target.vocabulary - 1}"
    )
    return f"tokens from {low} to {high}"


def prefixes(case: Any) -> str | None:
    """Every prefix of the tokens, the empty one too, decodes to an element of the source with finite numbers."""
    transform = case.ready()
    made = transform(elements(case.space, 3))
    for length in _lengths(made.shape[1]):
        back = transform.inverse(made[:, :length])
        assert case.space.holds(back, 3), f"the first {length} of {made.shape[1]} tokens decode to no {case.space}"
        finite = all(bool(torch.isfinite(tensor).all()) for tensor in tensors(back))
        assert finite, f"the first {length} of {made.shape[1]} tokens decode to numbers that are not finite"
    return f"{len(_lengths(made.shape[1]))} prefixes of up to {made.shape[1]} tokens"


def distortion(case: Any) -> str | None:
    """On the average of a batch the squared error does not grow with longer prefixes (by more than 1 % of what it is
    without any), and all tokens tell more than none."""
    transform, x = case.ready(), elements(case.space, 32)
    made = transform(x)
    flat = vectors(case.space, x)
    if not flat.is_floating_point():
        raise NotApplicable("the source has no squared error")
    lengths = _lengths(made.shape[1])
    errors = [_error(vectors(case.space, transform.inverse(made[:, :k])), flat) for k in lengths]
    for (short, before), (long, after) in zip(
        zip(lengths, errors, strict=True), list(zip(lengths, errors, strict=True))[1:], strict=False
    ):
        assert after <= before + SLACK * errors[0], (
            f"the mean squared error grows from {before:.4g} at {short} tokens to {after:.4g} at {long}"
        )
    assert errors[-1] < errors[0] or errors[0] == 0, (
        f"all {lengths[-1]} tokens leave the squared error of none, {errors[0]:.4g}; they tell nothing"
    )
    return f"squared error {errors[0]:.3g} to {errors[-1]:.3g}"


def _error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).square().mean())


def _lengths(longest: int) -> list[int]:
    """Every length up to 16, and 16 more in equal steps up to the longest."""
    return sorted({*range(min(longest, 16) + 1), *(round(longest * i / 16) for i in range(17))})


LAWS = (tokens, prefixes, distortion)
