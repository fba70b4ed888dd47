"""Factor analysis by gradient descent."""

import functools
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import LowRankMultivariateNormal
from wavekit_core.kinds import Batch, Generator, Loss, Objective
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.spaces import ImageSpace

FLOOR = 1e-3  # the least variance of a number: some pixels never change


class MyPart(Generator):
    """x = mean + loadings · z + noise with z ~ N(0, 1) and noise ~ N(0, diag), fitted by exact likelihood.

    Args:
        space: what is modelled, images or the pyramid of a transform; no recipe sets it.
        factors: numbers of z.
        lr: rate of Adam.
    """

    space: ImageSpace | PyramidSpace

    def __init__(
        self,
        space: ImageSpace | PyramidSpace,
        factors: Annotated[int, Field(ge=1, le=1024)] = 16,
        lr: Annotated[float, Field(gt=0)] = 1e-2,
    ):
        super().__init__()
        self.space, self.lr = space, lr
        self.mean = nn.Parameter(torch.zeros(space.numbers))
        self.loadings = nn.Parameter(0.1 * torch.randn(space.numbers, factors))
        self.log_variance = nn.Parameter(torch.full((space.numbers,), -2.0))

    def density(self) -> LowRankMultivariateNormal:
        variance = FLOOR + self.log_variance.exp()
        return LowRankMultivariateNormal(self.mean, self.loadings, variance, validate_args=False)

    def negative_log_likelihood(self, data: Any) -> Tensor:
        """(B,), nats an element, exact."""
        return -self.density().log_prob(self.space.flatten(data))

    def loss(self, batch: Batch) -> Loss:
        """The mean negative log-likelihood, nats a number."""
        return Loss(self.negative_log_likelihood(batch.data).mean() / self.space.numbers)

    def objectives(self) -> Sequence[Objective]:
        adam = functools.partial(torch.optim.Adam, lr=self.lr)
        return [Objective("likelihood", [{"params": list(self.parameters())}], self.loss, adam)]

    @torch.no_grad()
    def sample(self, count: int, labels: Tensor | None = None) -> Any:
        """`count` elements of the space; images are clamped to their range."""
        vectors = self.density().sample((count,))
        if isinstance(self.space, ImageSpace):
            vectors = vectors.clamp(self.space.low, self.space.high)
        return self.space.unflatten(vectors)
