"""The report's section on the details of a cascade: a table of diagnostics, and how samples come about scale by scale."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from wavekit_core.cascade import Cascade
from wavekit_core.engine.shards import seeded
from wavekit_core.hooks import hookimpl
from wavekit_core.kinds import Generator, Sampler
from wavekit_core.pictures import grid
from wavekit_core.pipeline import Pipeline
from wavekit_core.pyramid import Pyramid
from wavekit_core.report.sections import Section, View, picture, table
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets.scales import approximations, finer, range_of
from wavekit_msal_gan.diagnostics import diversity, energies, kurtosis, parent_swap

IMAGES = 256
DRAWS = 4
SHOWN = 6


@hookimpl
@torch.no_grad()
def report_section(view: View) -> Section | None:
    """For runs whose generator is a cascade: details drawn for the approximations of held-out images, and samples."""
    images = view.session.held_out(IMAGES).data.to(view.session.device)
    model: Generator = view.session.pipeline
    sampler: Sampler | None = None
    while isinstance(model, Pipeline):
        images, sampler, model = model.represent(images), model.sampler or sampler, model.generator
    if not isinstance(model, Cascade) or not model.reconstructs_with(sampler) or len(images) < 2:
        return None
    with seeded("wavekit_msal_gan", "report", view.step):
        return Section("Details, scale by scale", _figures(model, sampler, images) + _samples(model, sampler))


def _figures(model: Cascade, sampler: Sampler | None, pyramid: Pyramid) -> str:
    rows = []
    for level, (approx, details) in zip(range(pyramid.levels, 0, -1), _levels(pyramid), strict=True):
        stage = model.stage_of(level)
        own = None if sampler is None or stage.refuses(sampler) else sampler
        draw = functools.partial(stage.draw, level=level, sampler=own)
        drawn = draw(approx)
        spread, swap = diversity(draw, approx, details, DRAWS), parent_swap(draw, approx, details)
        pairs = [(_listed(f(details)), _listed(f(drawn))) for f in (kurtosis, energies)]
        rows.append((level, f"{spread:.3g}", f"{swap:.3g}", *pairs[0], *pairs[1]))
    head = ("level", "diversity", "swapped", "kurtosis, true", "drawn", "energy, true", "drawn")
    note = (
        f"<p class=dim>Details of {len(pyramid)} held-out images, true, and drawn for the true approximation of their level; "
        "level 1 is the finest; bands in the order H, V, D. Diversity: the spread of details drawn for one approximation, as a "
        "share of the spread of all true ones (0: the model does not use its noise). Swapped: the squared error for another "
        "image's approximation by that for their own (1: the model does not use the approximation). Kurtosis is 3 for normal "
        "numbers, and larger for sparser ones. Energy: the mean square.</p>"
    )
    return table(head, rows) + note


def _levels(pyramid: Pyramid) -> list[tuple[Tensor, Tensor]]:
    """(approximation, details) of every level, coarse to fine."""
    found = approximations(pyramid)
    return [(found[pyramid.levels - index], details) for index, details in enumerate(pyramid.details)]


def _listed(values: Tensor) -> str:
    return ", ".join(f"{value:.3g}" for value in values.tolist())


def _samples(model: Cascade, sampler: Sampler | None) -> str:
    if not model.samples_with(sampler):
        return ""
    pyramid = model.sample_with(sampler, SHOWN)
    space = pyramid.space
    approx, details = _levels(pyramid)[-1]
    scales = {**approximations(pyramid), 0: finer(space, 1, approx, details)}
    size = (space.image.height, space.image.width)
    columns = []
    for level in range(space.levels, -1, -1):
        low, high = range_of(space, level)
        columns.append(F.interpolate((scales[level] - low) / (high - low), size))
    strip = torch.stack(columns, 1).flatten(0, 1)
    caption = "Samples, a row each: the coarse approximation, and what the details of each level make of it"
    return picture(grid(strip, ImageSpace(space.channels, *size), len(columns)), caption)
