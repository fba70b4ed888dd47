"""The pipeline: transforms, a generator and a sampler as one generator of images.

    images ──transform(s)──▶ representation ──▶ generator ◀── sampler
    images ◀────inverse───── representation ◀───────┘

A pipeline is itself a generator, so it can stand wherever one can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from wavekit_core.component import Slot
from wavekit_core.contract import require, require_form
from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Batch, Generator, Loss, Objective, Sampler, Transform
from wavekit_core.spaces import Space


class Pipeline(Generator):
    """`generator` models what `transform` makes of `space`; `sampler` draws from it.

    `spaces` holds the space before and after every transform. Raises SpaceError where the chain does not fit.
    """

    def __init__(
        self,
        space: Space,
        generator: Slot[Generator],
        transform: Sequence[Transform] = (),
        sampler: Sampler | None = None,
    ):
        super().__init__()
        self.space = space
        self.spaces = [space]
        for one in transform:
            self.spaces.append(one.target(self.spaces[-1]))
        self.transforms = nn.ModuleList(transform)
        self.generator = generator(self.spaces[-1])
        self.conditional = self.generator.conditional or (sampler is not None and sampler.conditional)
        self.sampler = sampler
        if sampler is not None and (reason := sampler.refuses(self.generator)):
            raise SpaceError(sampler, reason)

    @property
    def samples(self) -> bool:
        return self.generator.samples if self.sampler is None else self.sampler.samples

    @property
    def reconstructs(self) -> bool:
        return self.generator.reconstructs

    @property
    def has_likelihood(self) -> bool:
        return not len(self.transforms) and self.generator.has_likelihood  # a transform would change the density

    def represent(self, images: Any, upto: int | None = None) -> Any:
        """Images through the first `upto` transforms (all by default)."""
        count = len(images)
        for transform, space in list(zip(self.transforms, self.spaces[1:], strict=True))[:upto]:
            images = require_form(space, transform(images), count, transform, "transforming a batch")
        return images

    def invert(self, representation: Any) -> Any:
        """A representation back to images."""
        for transform in reversed(list(self.transforms)):
            assert isinstance(transform, Transform)
            representation = transform.inverse(representation)
        return representation

    def objectives(self) -> Sequence[Objective]:
        def represented(objective: Objective) -> Objective:
            def loss(batch: Batch) -> Loss:
                return objective.loss(self._represented(batch))

            return Objective(objective.name, objective.parameters, loss, objective.optimizer)

        return [represented(objective) for objective in self.generator.objectives()]

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        for index, transform in enumerate(self.transforms):
            assert isinstance(transform, Transform)
            transform.fit(self.represent(batch.data, index) for batch in batches())
        self.generator.fit(lambda: map(self._represented, batches()))

    def fit_sampler(self, batches: Callable[[], Iterable[Batch]]) -> None:
        """Let the sampler learn from the trained model; samplers of nested pipelines too."""
        if isinstance(self.generator, Pipeline):
            self.generator.fit_sampler(lambda: map(self._represented, batches()))
        if self.sampler is not None:
            self.sampler.fit(self.generator, lambda: map(self._represented, batches()))

    def sample(self, count: int, labels: Tensor | None = None) -> Any:
        if self.sampler is not None:
            drawn = self.sampler.sample(self.generator, count, labels)
        else:
            drawn = self.generator.sample(count, labels)
        return self.invert(require(self.spaces[-1], drawn, count, self.sampler or self.generator, "drawing samples"))

    def reconstruct(self, data: Any) -> Any:
        represented = self.represent(data)
        if self.sampler is not None:
            given = self.sampler.reconstruct(self.generator, represented)
        else:
            given = self.generator.reconstruct(represented)
        return self.invert(require(self.spaces[-1], given, len(data), self.generator, "reconstructing"))

    def negative_log_likelihood(self, data: Any) -> Tensor:
        return self.generator.negative_log_likelihood(data)

    def _represented(self, batch: Batch) -> Batch:
        return Batch(self.represent(batch.data), batch.labels)
