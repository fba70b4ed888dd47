"""What samplers lose on Gaussian data of the spectra that were measured, with the exact score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wavekit_core.bands.formulas import NOTHING
from wavekit_core.bands.survey import Survey
from wavekit_core.diffusion.gaussian import predicted
from wavekit_core.diffusion.samplers import Ancestral, DiffusionSampler, DPMpp2M, Heun, ReverseSDE
from wavekit_core.watch import Watcher

STEPS = (4, 8, 16, 32, 64)
SAMPLERS: dict[str, type[DiffusionSampler]] = {
    "reverse-sde": ReverseSDE,
    "ancestral": Ancestral,
    "heun": Heun,
    "dpmpp-2m": DPMpp2M,
}
WIDTH = 0.01  # of a bin of ln(variance): directions in one are taken as one


@dataclass(frozen=True)
class Predicted:
    """KL(data ‖ samples) in nats and squared Wasserstein distance, both for each dimension of `what`, brought to variance 1.
    `evaluations` are those of the network for one image."""

    what: str
    sampler: str
    steps: int
    evaluations: int
    kl: float
    w2: float


def spectra(survey: Survey) -> dict[str, Tensor]:
    """The variances (n,) of the directions of what a score model could be trained on, each of mean 1: pixels, the coarsest
    approximation, and all details, every band divided by its own standard deviation. Directions without variance are left out."""
    coarsest = survey.approximations[-1]
    details = [band for band in survey.details if band.variance]
    kinds = {
        "pixels": [survey.approximations[0]],
        coarsest.name: [coarsest],
        "whitened details": details,
    }
    found = {}
    for name, fields in kinds.items():
        variances = torch.cat(
            [(f.spectrum / f.spectrum.mean()).flatten() for f in fields if f.variance] or [torch.zeros(0)]
        )
        variances = variances[variances > NOTHING * variances.max()] if len(variances) else variances
        if len(variances):
            found[name] = variances / variances.mean()
    return found


def grouped(variances: Tensor) -> tuple[Tensor, Tensor]:
    """Variances (n,) as the means (m,) of bins of WIDTH in their logarithm, and how many (m,) lie in each."""
    bins, inverse, counts = (variances.log() / WIDTH).floor().unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(bins), dtype=torch.float64).index_add_(0, inverse, variances.double())
    return sums / counts, counts


def predictions(survey: Survey, steps: Sequence[int] = STEPS, watcher: Watcher | None = None) -> list[Predicted]:
    """For each of `spectra`, each of SAMPLERS with its own grid, and each number of `steps`."""
    found = []
    wanted = [
        (what, grouped(variances), name, kind(steps=count))  # type: ignore[call-arg]
        for what, variances in spectra(survey).items()
        for name, kind in SAMPLERS.items()
        for count in steps
    ]
    with (watcher or Watcher()).phase("predicting the samplers' errors", len(wanted)) as advance:
        for done, (what, (values, counts), name, sampler) in enumerate(wanted, 1):
            kl, w2 = predicted(values, counts, sampler)
            found.append(Predicted(what, name, sampler.steps, sampler.evaluations, kl, w2))
            advance(done, "")
    return found
