"""Generators: what is trained, and what is sampled from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from wavekit_core.component import Component, Slot
from wavekit_core.errors import SpaceError
from wavekit_core.kinds.dataset import Batch
from wavekit_core.spaces import LatentSpace, Space

if TYPE_CHECKING:
    from wavekit_core.kinds.sampler import Sampler


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
    `optimizer` makes the optimizer from them, for example `functools.partial(torch.optim.Adam, lr=1e-3)`. It is trained in
    every `every`-th step, from the first on, of the steps in `during`, a range given in shares of the training's steps
    (0.0 to 1.0; what is trained at the end is trained in steps beyond it too).
    """

    name: str
    parameters: Sequence[dict[str, Any]]
    loss: Callable[[Batch], Loss]
    optimizer: Callable[[Sequence[dict[str, Any]]], torch.optim.Optimizer]
    every: int = 1
    during: tuple[float, float] = (0.0, 1.0)

    def due(self, step: int, steps: int) -> bool:
        """Whether it is trained in step `step` (from 0) of a training of `steps`."""
        begin, end = (round(share * steps) for share in self.during)
        return begin <= step and (step < end or self.during[1] >= 1) and (step - begin) % self.every == 0

    def times(self, step: int, steps: int) -> int:
        """In how many of the first `step` steps of a training of `steps` it is trained."""
        begin, end = (round(share * steps) for share in self.during)
        last = step if self.during[1] >= 1 else min(step, end)
        return max(0, -(-(last - begin) // self.every))


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

    # With a sampler: what a pipeline asks of its generator. One that is made of generators hands the sampler on to those of
    # them that take it; for any other, the sampler does the work.

    def refuses(self, sampler: Sampler) -> str | None:
        """Why `sampler` cannot draw from this model (reason; remedy), or None if it can."""
        return sampler.refuses(self)

    def samples_with(self, sampler: Sampler | None) -> bool:
        """Whether it can draw new elements: by itself, or with a sampler that it does not refuse."""
        return self.samples if sampler is None else sampler.samples

    def reconstructs_with(self, sampler: Sampler | None) -> bool:
        """Whether it can give an image back."""
        return self.reconstructs

    def fit_sampler(self, batches: Callable[[], Iterable[Batch]], sampler: Sampler | None = None) -> None:
        """Let the sampler, and those inside, learn from the trained model and the training data."""
        if sampler is not None:
            sampler.fit(self, batches)

    def sample_with(self, sampler: Sampler | None, count: int, labels: Tensor | None = None) -> Any:
        """`count` new elements of the space."""
        return self.sample(count, labels) if sampler is None else sampler.sample(self, count, labels)

    def evaluations_with(self, sampler: Sampler | None) -> dict[str, int]:
        """Evaluations of each stage's network for one image; none where that is no measure of the work."""
        return {}

    def reconstruct_with(self, sampler: Sampler | None, data: Any) -> Any:
        """What remains of `data`."""
        return self.reconstruct(data) if sampler is None else sampler.reconstruct(self, data)

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
