"""Generators: what is trained, and what is sampled from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from wavekit_core.component import Component, Slot
from wavekit_core.errors import SpaceError
from wavekit_core.kinds.dataset import Batch
from wavekit_core.spaces import LatentSpace, Space


@dataclass(frozen=True)
class Loss:
    """`value`: the scalar to minimise, a mean over the batch. `terms`: scalars to log, by name; the same names in the same
    order in every call."""

    value: Tensor
    terms: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Objective:
    """One loss with the parameters that it trains and their optimizer.

    `parameters` are torch parameter groups (dictionaries with `params` and options such as `lr`, `weight_decay`);
    `optimizer` makes the optimizer from them, for example `functools.partial(torch.optim.Adam, lr=1e-3)`.
    """

    name: str
    parameters: Sequence[dict[str, Any]]
    loss: Callable[[Batch], Loss]
    optimizer: Callable[[Sequence[dict[str, Any]]], torch.optim.Optimizer]


class Generator(Component, nn.Module, ABC):
    """A model of one space. The first constructor parameter is the space port; the network is whole when it returns.

    What a generator can do shows in the methods that it defines: `sample` if it draws by itself (otherwise it needs a
    sampler), `reconstruct` if it gives an image back, `negative_log_likelihood` if it can tell.
    """

    kind: ClassVar[str] = "generator"

    space: Space
    conditional: bool = False  # whether it uses labels

    def objectives(self) -> Sequence[Objective]:
        """What the training loop goes over. None for models that `fit` alone."""
        return ()

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Learn from training data what training needs, into buffers. `batches()` starts one pass over the training set.
        Called once, before the first step."""

    def sample(self, count: int, labels: Tensor | None = None) -> Any:
        """`count` new elements of the space. `labels` (count,) ask for classes."""
        raise TypeError(f"{type(self).__name__} does not sample")

    def reconstruct(self, data: Any) -> Any:
        """What remains of `data` after it went through the model."""
        raise TypeError(f"{type(self).__name__} does not reconstruct")

    def negative_log_likelihood(self, data: Any) -> Tensor:
        """(B,): -log p(data) in nats, or an upper bound of it, as a density over the space's values."""
        raise TypeError(f"{type(self).__name__} has no likelihood")

    @property
    def samples(self) -> bool:
        return type(self).sample is not Generator.sample

    @property
    def reconstructs(self) -> bool:
        return type(self).reconstruct is not Generator.reconstruct

    @property
    def has_likelihood(self) -> bool:
        return type(self).negative_log_likelihood is not Generator.negative_log_likelihood


@dataclass(frozen=True)
class PosteriorState:
    """The latent state of an autoencoder for one batch, by band: the posterior's mean, its noise scale (broadcastable to the
    mean) and one sample of it, all of `space`."""

    mean: Mapping[str, Tensor]
    scale: Mapping[str, Tensor]
    sample: Mapping[str, Tensor]
    space: LatentSpace


class Autoencoder(Generator):
    """A generator with a latent: samplers draw latents, `decode` makes data of them."""

    latent: LatentSpace
    regularizers: nn.ModuleList

    def regularized(self, slots: Sequence[Slot[Any]]) -> nn.ModuleList:
        """The regularizers for `latent`. Raises SpaceError for one that reads another state than a posterior."""
        made = [slot(self.latent) for slot in slots]
        for one in made:
            if not issubclass(PosteriorState, one.reads):
                raise SpaceError(one, f"reads a {one.reads.__name__}, and an autoencoder has a PosteriorState")
        return nn.ModuleList(made)

    @abstractmethod
    def encode(self, data: Any) -> PosteriorState:
        """The posterior of a batch."""

    @abstractmethod
    def decode(self, latent: Mapping[str, Tensor]) -> Any:
        """Data from the drawn bands of a latent."""

    def reconstruct(self, data: Any) -> Any:
        return self.decode(self.encode(data).mean)
