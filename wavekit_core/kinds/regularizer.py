"""Regularizers read a latent state and add a penalty."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from wavekit_core.component import Component


class Regularizer(Component, nn.Module, ABC):
    """Reads a latent state (`PosteriorState` for autoencoders) and adds a penalty to the loss.

    A regularizer whose parameters depend on the latent takes the `LatentSpace` as its port. One that is a divergence to a
    prior can also draw from that prior.
    """

    kind: ClassVar[str] = "regularizer"

    reads: ClassVar[type]  # the state that it reads
    weight: float = 1.0  # the factor of the penalty in the loss
    divergence: ClassVar[bool] = False  # whether the penalty is the KL divergence from the posterior to `draw`'s prior

    def penalty(self, state: Any) -> Tensor:
        """(B,): nats an image, summed over its numbers, before `weight`."""
        raise TypeError(f"{type(self).__name__} defines no penalty")

    def prior_bands(self) -> tuple[str, ...]:
        """Names of the bands whose prior `draw` draws from."""
        return ()

    def draw(self, count: int) -> Mapping[str, Tensor]:
        """`count` draws from the prior of `prior_bands()`, by band."""
        return {}
