"""What is looked at: a data set, and the pyramid of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from wavekit_core.engine.order import permutation
from wavekit_core.engine.shards import seed_from
from wavekit_core.errors import SpaceError
from wavekit_core.filters import FilterBank
from wavekit_core.kinds import Dataset, Transform
from wavekit_core.pipeline import Pipeline
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.recipe.nodes import Checked, build
from wavekit_core.recipe.recipe import Recipe
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets.transform import WaveletTransform

CHUNK = 2**20  # numbers at a time
LEVELS = 5  # of Haar at most, where a recipe has no wavelet transform
SMALLEST = 4  # pixels of the coarsest approximation's side then


@dataclass(frozen=True)
class Subject:
    """The training images of `dataset`, brought by `represent` to the images of which `space` holds the pyramids."""

    dataset: Dataset
    space: PyramidSpace
    represent: Callable[[Tensor], Tensor] = lambda images: images
    remarks: Sequence[str] = ()

    def batches(self, count: int | None = None) -> Iterator[Tensor]:
        """`count` of the training images, all by default, as the data set has them (B, C, H, W); always the same ones, spread
        over the set."""
        total = len(self.dataset.train)
        chosen = np.sort(permutation(total, 0, seed_from(0, "bands"))[: min(total, count or total)])
        size = max(1, CHUNK // self.dataset.space.numbers)
        for start in range(0, len(chosen), size):
            yield self.dataset.train.batch(chosen[start : start + size]).data


def default_space(image: ImageSpace) -> PyramidSpace:
    """Haar at as many levels, up to LEVELS, as sides can be halved without remainder and stay SMALLEST or longer; at least
    one."""
    levels = 1
    while levels < LEVELS and all(side % 2 ** (levels + 1) == 0 for side in (image.height, image.width)):
        if min(image.height, image.width) >> (levels + 1) < SMALLEST:
            break
        levels += 1
    return WaveletTransform(FilterBank.from_pywt("haar"), levels).target(image)


def pyramid_of(pipeline: Pipeline) -> tuple[PyramidSpace, int] | None:
    """The first pyramid on the way of the data and how many transforms of the pipeline come before it: behind a transform of a
    pipeline, or of the generator that takes one (a parameter `transform`). None if there is none."""
    inner, before = pipeline, 0
    while isinstance(inner, Pipeline):
        for index, space in enumerate(inner.spaces[1:]):
            if isinstance(space, PyramidSpace):
                return space, before + index
        before += len(inner.transforms)
        inner = inner.generator  # type: ignore[assignment]
    transform, image = getattr(inner, "transform", None), getattr(inner, "space", None)
    if isinstance(transform, Transform) and isinstance(image, ImageSpace):
        target = transform.target(image)
        if isinstance(target, PyramidSpace):
            return target, before
    return None


def subject_of(dataset: Dataset, recipe: Recipe | None = None) -> Subject:
    """The data set with the pyramid of `recipe`, or Haar's if it has none. Raises SpaceError where the pyramid is not one of
    filter banks, or lies in a pipeline inside the pipeline behind transforms of its own."""
    found = None
    if recipe is not None:
        with torch.device("meta"):
            found = pyramid_of(_pipeline(recipe, dataset.space))
    if recipe is None or found is None:
        space = default_space(dataset.space)
        said = "the recipe has no wavelet transform: " if recipe else ""
        return Subject(dataset, space, remarks=[f"{said}Haar, {space.levels} level{'s' * (space.levels > 1)}"])
    space, before = found
    pipeline = _pipeline(recipe, dataset.space) if before else None
    subject = of_pyramid(dataset, space, pipeline, before)
    for index, transform in enumerate(pipeline.transforms[:before] if pipeline else ()):
        assert isinstance(transform, Transform)
        assert pipeline is not None
        transform.fit(pipeline.represent(images, index) for images in subject.batches())
    return subject


def _pipeline(recipe: Recipe, space: ImageSpace) -> Pipeline:
    """The recipe's without its sampler, which does not matter here and may not fit."""
    parts = {name: recipe.part(name) for name in ("transform", "generator")}
    pipeline: Pipeline = build(Checked(Pipeline, recipe.checked.value, children=parts), space)
    return pipeline


def of_pyramid(dataset: Dataset, space: PyramidSpace, pipeline: Pipeline | None, before: int) -> Subject:
    """The data set with a pyramid behind `before` transforms of `pipeline`."""
    if space.bank is None:
        reason = f"{space.wavelet} does not say its filters, so its approximations cannot be looked at one by one"
        raise SpaceError(None, reason, "use a transform of filter banks, such as haar")
    remarks = []
    if space.norm != "ortho":
        remarks.append(f"coefficients are those of the filters as they are, not of the norm {space.norm}")
    if not space.orthonormal:
        remarks.append(
            f"{space.wavelet} is not orthonormal here: energies are those of its coefficients, not of pixels, and white noise on "
            "pixels is not white on coefficients, so signal to noise holds for noise that is added to coefficients"
        )
    if not before or pipeline is None:
        return Subject(dataset, space, remarks=remarks)
    if before > len(pipeline.transforms):
        raise SpaceError(None, "the pyramid lies inside a pipeline within the pipeline", "look at the inner one alone")
    model, device = pipeline, next(chain(pipeline.parameters(), pipeline.buffers()), torch.zeros(0)).device
    return Subject(dataset, space, lambda images: model.represent(images.to(device), before).cpu(), remarks)
