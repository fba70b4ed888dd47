"""WSGM: score models of the details of each scale, given its approximation (Guth et al. 2022, arXiv 2208.05003)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Batch, Denoiser, DetailGenerator, DetailSpace, Loss, Objective, Sampler
from wavekit_core.nets import MLP, Preset, make_network
from wavekit_core.spaces import ImageSpace
from wavekit_wmgm_sgm.labels import require_labels
from wavekit_wmgm_sgm.model import Horizon, PositiveFloat, PositiveInt, Share, SomeShare
from wavekit_wmgm_sgm.normalise import Normalise
from wavekit_wmgm_sgm.process import Parametrisation, Process, Times, without


class ScoreDetails(DetailGenerator):
    """The whitened details of a level, 3 C channels, by a score model whose network sees the approximation too.

    Args:
        space: details of one level (`share_scales: false`, as WSGM has it), or of several, for which one network then serves.
        network, width, classes, label_drop, parametrisation, times, horizon, dropout, lr: as of `wmgm-sgm`.
        sampler: one of its own, to be used instead of the recipe's.
    """

    def __init__(
        self,
        space: DetailSpace,
        network: Preset = "tiny",
        width: PositiveInt | None = None,
        classes: Annotated[int, Field(ge=0)] = 0,
        label_drop: SomeShare = 0.1,
        parametrisation: Parametrisation = "velocity",
        times: Times = "quadratic",
        horizon: Horizon = 5.0,
        dropout: Share = 0.0,
        lr: PositiveFloat = 1e-3,
        sampler: Sampler | None = None,
    ):
        super().__init__()
        self.space, self.classes, self.label_drop, self.lr = space, classes, label_drop, lr
        self.sampler: Sampler | None = None
        self.process = Process(parametrisation, times, horizon, 1.0)
        c = space.channels
        self.approximations = nn.ModuleList(Normalise(c) for _ in space.levels)
        self.normals = nn.ModuleList(Normalise(3 * c) for _ in space.levels)
        self.network = make_network(network, 3 * c, 3 * c, space.size(space.levels[-1]), classes, c, width, dropout)
        if isinstance(self.network, MLP) and len(space.levels) > 1:
            raise SpaceError(
                self,
                f"an MLP serves one size, and levels {', '.join(map(str, space.levels))} have several",
                "take another network, or set share_scales: false",
                at="network",
            )
        if sampler is not None and (reason := sampler.refuses(_Given(self, space.levels[0], None))):
            raise SpaceError(sampler, reason)
        self.sampler = sampler
        self.draws = sampler is not None

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        require_labels(self.classes, batches())
        for index in range(len(self.space.levels)):
            self._at(self.approximations, index).fit(batch.data.approximations[index] for batch in batches())
            self._at(self.normals, index).fit(batch.data.details[index].flatten(1, 2) for batch in batches())

    def loss(self, batch: Batch) -> Loss:
        """F's mean squared error, a mean over the levels."""
        labels = without(batch.labels, self.classes, self.label_drop)
        errors = [
            self.process.error(
                self.network,
                self._at(self.normals, index)(details.flatten(1, 2)),
                labels,
                self._at(self.approximations, index)(given),
            ).mean()
            for index, (given, details) in enumerate(zip(batch.data.given, batch.data.details, strict=True))
        ]
        terms = {f"level {level}": error.detach() for level, error in zip(self.space.levels, errors, strict=True)}
        return Loss(torch.stack(errors).mean(), terms if len(errors) > 1 else {})

    def objectives(self) -> Sequence[Objective]:
        optimizer = functools.partial(torch.optim.Adam, lr=self.lr, fused=True)
        return [Objective("score", [{"params": list(self.network.parameters())}], self.loss, optimizer)]

    @property
    def conditional(self) -> bool:  # type: ignore[override]
        return self.classes > 0

    def refuses(self, sampler: Sampler) -> str | None:
        return _Given(self, self.space.levels[0], None).refuses(sampler)

    def draw(self, approx: Tensor, level: int, labels: Tensor | None = None, sampler: Sampler | None = None) -> Tensor:
        chosen = self.sampler or sampler
        if chosen is None:
            raise TypeError("a score model of details draws with a sampler, and has none")
        return chosen.sample(_Given(self, level, approx), len(approx), labels)

    @staticmethod
    def _at(modules: nn.ModuleList, index: int) -> Normalise:
        found = modules[index]
        assert isinstance(found, Normalise)
        return found


class _Given(Denoiser):
    """The details of one level given an approximation (B, C, h, w), as a denoiser of images (3 C, h, w)."""

    def __init__(self, model: ScoreDetails, level: int, approx: Tensor | None):
        super().__init__()
        self.model, self.index = model, model.space.levels.index(level)
        c, (h, w) = model.space.channels, model.space.size(level)
        self.space = ImageSpace(3 * c, h, w)
        self.shape, self.classes, self.sampler = (3 * c, h, w), model.classes, model.sampler
        self.sigmas = model.process.sigmas
        self.condition = None if approx is None else model._at(model.approximations, self.index)(approx)

    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        assert self.condition is not None
        condition = self.condition.repeat(len(x) // len(self.condition), 1, 1, 1)  # guidance asks for two at once
        return self.model.process.denoised(self.model.network, x, sigma, labels, condition)

    def finished(self, x: Tensor) -> Any:
        return self.model._at(self.model.normals, self.index).inverse(x).unflatten(1, (-1, 3))
