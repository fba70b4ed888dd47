"""A penalty that is square for small means and linear for large ones."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from wavekit_core.errors import SpaceError
from wavekit_core.kinds import PosteriorState, Regularizer
from wavekit_core.spaces import LatentSpace


class MyPart(Regularizer):
    """Σ log cosh(mean) over the drawn bands of a latent: mean²/2 near 0, |mean| - log 2 far from it.

    Raises `SpaceError` for a latent of which nothing is drawn.
    """

    reads = PosteriorState

    def __init__(self, space: LatentSpace, weight: Annotated[float, Field(ge=0)] = 0.1):
        super().__init__()
        self.weight = weight  # the autoencoder multiplies by it
        self.names = space.names(drawn=True)
        if not self.names:
            raise SpaceError(self, f"my-part reads drawn bands, and {space} has none", "use another generator")

    def penalty(self, state: PosteriorState) -> Tensor:
        """(B,), nats an image."""
        return torch.stack([log_cosh(state.mean[name]).flatten(1).sum(1) for name in self.names]).sum(0)


def log_cosh(x: Tensor) -> Tensor:
    """log cosh of every number, without overflow."""
    return x.abs() + F.softplus(-2 * x.abs()) - math.log(2)
