"""A regularizer as its laws see it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavekit_core.kinds import PosteriorState, Regularizer
from wavekit_core.spaces import LatentSpace
from wavekit_core.testing.cases import Case
from wavekit_core.testing.laws import NotApplicable


class RegularizerCase(Case):
    """A regularizer and the latent that it reads."""

    space: LatentSpace

    def observe(self, instance: Regularizer) -> list[Tensor]:
        drawn = instance.draw(2)
        penalty = [instance.penalty(self.posterior())] if penalises(self.component) else []
        return [*penalty, *(drawn[name] for name in sorted(drawn))]

    def at(self, dtype: torch.dtype = torch.float64) -> Regularizer:
        return self.ready().to(dtype)

    def posterior(self, count: int = 3, dtype: torch.dtype = torch.float32, shared: bool = False) -> PosteriorState:
        """A state at random; with `shared`, one noise scale a band, (1, …, 1), for every image."""
        made = torch.Generator().manual_seed(5)
        mean, scale, sample = {}, {}, {}
        for band in self.space.bands:
            shape = (count, *band.shape)
            c = torch.randn(shape, dtype=torch.float64, generator=made)
            rough = torch.rand((1,) * len(shape) if shared else shape, dtype=torch.float64, generator=made)
            noise = torch.randn(shape, dtype=torch.float64, generator=made)
            s = 0.2 + rough
            mean[band.name], scale[band.name], sample[band.name] = (t.to(dtype) for t in (c, s, c + s * noise))
        return PosteriorState(mean, scale, sample, self.space)


def penalises(component: type[Any]) -> bool:
    return component.penalty is not Regularizer.penalty


def penalty_of(case: RegularizerCase, regularizer: Regularizer, state: PosteriorState) -> Tensor:
    if not penalises(case.component):
        raise NotApplicable("it defines no penalty")
    if not issubclass(PosteriorState, regularizer.reads):
        raise NotApplicable(f"it reads a {regularizer.reads.__name__}; the kit has a PosteriorState")
    return regularizer.penalty(state)
