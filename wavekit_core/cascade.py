"""The cascade: a coarse generator, and details scale by scale.

p(x) = p(approximation of level S) · ∏ p(details of level k | approximation of level k)

S4: Multi-scale Generative Modeling for Fast Sampling, arXiv 2411.09356, Eq. 17, Algorithms 1 and 2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from wavekit_core.component import Slot
from wavekit_core.contract import require
from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Batch, DetailGenerator, DetailSpace, Generator, Loss, Objective, Sampler, Scales
from wavekit_core.pyramid import Pyramid, PyramidSpace
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets.scales import approximations, finer, range_of, refusal


class Cascade(Generator):
    """A pyramid as an approximation and the details that follow from it, coarse to fine.

    Both stages learn from true approximations (S4 Alg. 1); in drawing, each level's details are drawn given what the levels
    before gave (Alg. 2: x_H = G(x_L, z), then x_L ← IDWT(x_L, x_H)). `reconstruct` keeps an image's approximation and draws its
    details: what S4's Table 2 measures.

    A sampler is handed to each stage that takes it; a stage with a sampler of its own keeps that.

    Args:
        space: pyramids, of norm `ortho`.
        coarse: the model of the coarsest approximation, built for it as images (C, h, w) of its range.
        detail: a detail generator.
        share_scales: one detail generator for all levels (S4's MS), or one a level (SS).
        training: `joint`: every step trains all stages; `in-turn`: first the coarse stage, then the details (where both have
            something to train).
        coarse_share: of the steps, for the coarse stage, if in turn.
        augment: standard deviation of the noise on the approximations that details are given in training, as a share of
            their range (conditioning augmentation; Ho et al. 2021, Cascaded Diffusion Models, §4).

    Raises SpaceError for a pyramid of another norm, or of a transform that does not say its filters.
    """

    space: PyramidSpace

    def __init__(
        self,
        space: PyramidSpace,
        coarse: Slot[Generator],
        detail: Slot[Generator],
        share_scales: bool = True,
        training: Literal["joint", "in-turn"] = "joint",
        coarse_share: Annotated[float, Field(gt=0, lt=1)] = 0.5,
        augment: Annotated[float, Field(ge=0, le=1)] = 0.0,
    ):
        super().__init__()
        if reason := refusal(space):
            raise SpaceError(self, *reason.rsplit("; ", 1))
        self.space, self.training_order, self.coarse_share, self.augment = space, training, coarse_share, augment
        self.coarse = coarse(ImageSpace(space.channels, *space.sizes[0], *range_of(space, space.levels)))
        levels = tuple(range(space.levels, 0, -1))
        groups = [levels] if share_scales else [(level,) for level in levels]
        self.details = nn.ModuleList(detail(DetailSpace(space, group)) for group in groups)
        for one in self.details:
            if not isinstance(one, DetailGenerator):
                raise SpaceError(
                    self,
                    f"{type(one).__name__} models no details given their approximation",
                    "take a detail generator such as msal-gan",
                    at="detail",
                )

    @property
    def stages(self) -> list[DetailGenerator]:
        return list(self.details)  # type: ignore[arg-type]

    @property
    def conditional(self) -> bool:  # type: ignore[override]
        return any(stage.conditional for stage in (self.coarse, *self.stages))

    def stage_of(self, level: int) -> DetailGenerator:
        """The detail generator of a level."""
        return next(one for one in self.stages if level in one.space.levels)

    def scales(self, pyramid: Pyramid, space: DetailSpace) -> Scales:
        """What the detail generator of `space` learns from."""
        found = approximations(pyramid)
        approx = tuple(found[level] for level in space.levels)
        details = tuple(pyramid.details[self.space.levels - level] for level in space.levels)
        augmented = None
        if self.augment and self.training:
            widths = [high - low for low, high in (range_of(self.space, level) for level in space.levels)]
            augmented = tuple(
                a + self.augment * width * torch.randn_like(a) for a, width in zip(approx, widths, strict=True)
            )
        return Scales(approx, details, space, augmented)

    def objectives(self) -> Sequence[Objective]:
        """Those of the stages, named after them: `coarse-…`, `detail-…`, or `detail2-…` for that of level 2."""

        def staged(
            name: str, objective: Objective, data: Callable[[Pyramid], Any], share: tuple[float, float]
        ) -> Objective:
            def loss(batch: Batch) -> Loss:
                return objective.loss(Batch(data(batch.data), batch.labels))

            begin, end = share
            during = tuple(end if s == 1.0 else begin + (end - begin) * s for s in objective.during)
            return dataclasses.replace(objective, name=f"{name}-{objective.name}", loss=loss, during=during)  # type: ignore[arg-type]

        own = [list(stage.objectives()) for stage in (self.coarse, *self.stages)]
        alone = not own[0] or not any(own[1:])  # one of the two has nothing to train
        cut = 0.0 if alone or self.training_order == "joint" else self.coarse_share
        found = [staged("coarse", one, lambda pyramid: pyramid.approx, (0.0, cut or 1.0)) for one in own[0]]
        for stage, objectives in zip(self.stages, own[1:], strict=True):
            name = "detail" if len(self.stages) == 1 else f"detail{stage.space.levels[0]}"
            found += [
                staged(name, one, lambda pyramid, space=stage.space: self.scales(pyramid, space), (cut, 1.0))  # type: ignore[misc]
                for one in objectives
            ]
        return found

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        self.coarse.fit(lambda: (Batch(batch.data.approx, batch.labels) for batch in batches()))
        for stage in self.stages:
            space = stage.space
            stage.fit(
                lambda space=space: (Batch(self.scales(batch.data, space), batch.labels) for batch in batches())  # type: ignore[misc]
            )

    # with a sampler

    def refuses(self, sampler: Sampler) -> str | None:
        """A stage that cannot draw without a sampler has to take it; of the others, one."""
        stages = (self.coarse, *self.stages)
        reasons = [stage.refuses(sampler) for stage in stages]
        if None not in reasons:
            return f"no stage of the cascade takes it; the coarse one: {reasons[0]}"
        alone = [self.coarse.samples_with(None), *(stage.draws for stage in self.stages)]
        for stage, reason, draws in zip(stages, reasons, alone, strict=True):
            if reason and not draws:
                return f"{type(stage).__name__} cannot draw without a sampler, and does not take it: {reason}"
        return None

    def samples_with(self, sampler: Sampler | None) -> bool:
        return self.coarse.samples_with(self._for(self.coarse, sampler)) and self.reconstructs_with(sampler)

    def fit_sampler(self, batches: Callable[[], Iterable[Batch]], sampler: Sampler | None = None) -> None:
        def approx() -> Iterable[Batch]:
            return (Batch(batch.data.approx, batch.labels) for batch in batches())

        self.coarse.fit_sampler(approx, self._for(self.coarse, sampler))

    @property
    def samples(self) -> bool:
        return self.samples_with(None)

    @property
    def reconstructs(self) -> bool:
        return self.reconstructs_with(None)

    def reconstructs_with(self, sampler: Sampler | None) -> bool:
        return all(stage.draws or self._for(stage, sampler) is not None for stage in self.stages)

    def sample(self, count: int, labels: Tensor | None = None) -> Pyramid:
        return self.sample_with(None, count, labels)

    def sample_with(self, sampler: Sampler | None, count: int, labels: Tensor | None = None) -> Pyramid:
        own = self._for(self.coarse, sampler)
        approx = self.coarse.sample_with(own, count, labels)
        require(self.coarse.space, approx, count, own or self.coarse, "drawing the coarse approximation")
        return self._with_details(approx, labels, sampler)

    def evaluations_with(self, sampler: Sampler | None) -> dict[str, int]:
        coarse = self.coarse.evaluations_with(self._for(self.coarse, sampler))
        found = {f"coarse {name}": count for name, count in coarse.items()}
        for level in range(self.space.levels, 0, -1):
            stage = self.stage_of(level)
            if counts := stage.evaluations_with(self._for(stage, sampler)):
                found[f"detail of level {level}"] = sum(counts.values())
        return found

    def reconstruct(self, data: Pyramid) -> Pyramid:
        return self.reconstruct_with(None, data)

    def reconstruct_with(self, sampler: Sampler | None, data: Pyramid) -> Pyramid:
        """The pyramid with its own approximation and drawn details."""
        return self._with_details(data.approx, None, sampler)

    def _with_details(self, approx: Tensor, labels: Tensor | None, sampler: Sampler | None) -> Pyramid:
        begin, details = approx, []
        for level in range(self.space.levels, 0, -1):
            stage = self.stage_of(level)
            details.append(stage.draw(approx, level, labels, self._for(stage, sampler)))
            if level > 1:
                approx = finer(self.space, level, approx, details[-1])
        return Pyramid(begin, tuple(details), self.space)

    def _for(self, stage: Generator, sampler: Sampler | None) -> Sampler | None:
        """The sampler, if the stage takes it."""
        return None if sampler is None or stage.refuses(sampler) else sampler
