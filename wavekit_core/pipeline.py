"""The pipeline: transforms, a generator and a sampler as one generator of images.

    images ──transform(s)──▶ representation ──▶ generator ◀── sampler
    images ◀────inverse───── representation ◀───────┘

A pipeline is itself a generator, so it can stand wherever one can.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from wavekit_core.component import Slot
from wavekit_core.contract import require, require_form
from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Autoregressive, Batch, Code, Generator, Loss, Objective, Sampler, Transform
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
        if sampler is not None and (reason := self.generator.refuses(sampler)):
            raise SpaceError(sampler, reason)

    @property
    def samples(self) -> bool:
        return self.generator.samples_with(self.sampler)

    @property
    def reconstructs(self) -> bool:
        return self.generator.reconstructs_with(self.sampler)

    @property
    def has_likelihood(self) -> bool:
        return not len(self.transforms) and self.generator.has_likelihood  # a transform would change the density

    @property
    def has_code(self) -> bool:
        """Whether it models tokens, so that images have codes, and says what these cost."""
        return isinstance(self.generator, Autoregressive) and self.generator.has_code

    def code(self, images: Any, labels: Tensor | None) -> Code:
        """What the model of tokens makes of images' codes."""
        assert isinstance(self.generator, Autoregressive)
        tokens = self.represent(images)
        return self.generator.code(tokens, labels)

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

            return dataclasses.replace(objective, loss=loss)

        return [represented(objective) for objective in self.generator.objectives()]

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        for index, transform in enumerate(self.transforms):
            assert isinstance(transform, Transform)
            transform.fit(self.represent(batch.data, index) for batch in batches())
        self.generator.fit(lambda: map(self._represented, batches()))

    def refuses(self, sampler: Sampler) -> str | None:
        if self.sampler is not None:
            return f"the pipeline inside has a sampler of its own, {type(self.sampler).__name__}; leave one of them out"
        return self.generator.refuses(sampler)

    def samples_with(self, sampler: Sampler | None) -> bool:
        return self.generator.samples_with(self.sampler or sampler)

    def reconstructs_with(self, sampler: Sampler | None) -> bool:
        return self.generator.reconstructs_with(self.sampler or sampler)

    def fit_sampler(self, batches: Callable[[], Iterable[Batch]], sampler: Sampler | None = None) -> None:
        self.generator.fit_sampler(lambda: map(self._represented, batches()), self.sampler or sampler)

    def sample(self, count: int, labels: Tensor | None = None) -> Any:
        return self.sample_with(None, count, labels)

    def sample_with(self, sampler: Sampler | None, count: int, labels: Tensor | None = None) -> Any:
        sampler = self.sampler or sampler
        drawn = self.generator.sample_with(sampler, count, labels)
        return self.invert(require(self.spaces[-1], drawn, count, sampler or self.generator, "drawing samples"))

    def evaluations_with(self, sampler: Sampler | None) -> dict[str, int]:
        return self.generator.evaluations_with(self.sampler or sampler)

    def reconstruct(self, data: Any) -> Any:
        return self.reconstruct_with(None, data)

    def reconstruct_with(self, sampler: Sampler | None, data: Any) -> Any:
        given = self.generator.reconstruct_with(self.sampler or sampler, self.represent(data))
        return self.invert(require(self.spaces[-1], given, len(data), self.generator, "reconstructing"))

    def negative_log_likelihood(self, data: Any) -> Tensor:
        return self.generator.negative_log_likelihood(data)

    def _represented(self, batch: Batch) -> Batch:
        return Batch(self.represent(batch.data), batch.labels)
