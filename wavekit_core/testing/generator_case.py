"""A generator as its laws see it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wavekit_core.kinds import Batch, Generator
from wavekit_core.testing.cases import Case
from wavekit_core.testing.elements import CLASSES, elements, tensors
from wavekit_core.testing.laws import NotApplicable
from wavekit_core.testing.training import Training

END = 6  # steps of a training that only has to be the same twice


@dataclass(frozen=True)
class GeneratorCase(Case):
    """A generator, the space that it models, and the steps in which it has to learn a batch."""

    steps: int = 100

    def fit(self, instance: Generator) -> None:
        instance.fit(lambda: (self.batch(8, seed) for seed in (1, 2)))
        instance.eval()

    def observe(self, instance: Generator) -> list[Tensor]:
        found = [objective.loss(self.batch(4)).value for objective in instance.objectives()]
        with torch.no_grad():
            drawn = instance.sample(3, torch.arange(3) % CLASSES) if instance.samples else None
            rebuilt = instance.reconstruct(self.batch(3).data) if instance.reconstructs else None
        return [*found, *tensors(drawn), *tensors(rebuilt)]

    def batch(self, count: int, seed: int = 0) -> Batch:
        return Batch(elements(self.space, count, seed=seed), torch.arange(count) % CLASSES)

    def training(
        self, seed: int = 0, only: str | None = None, steps: int = END, count: int = 20, shards: int = 2
    ) -> Training:
        return Training(lambda space: self.build(space, seed), self.space, count, shards, steps, only)

    def trained(self) -> Generator:
        """A new one, or NotApplicable if it has nothing to train."""
        instance = self.ready()
        if not instance.objectives():
            raise NotApplicable("it has no objectives")
        return instance
