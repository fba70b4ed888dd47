"""Super-resolution and inpainting by a model of tokens: `python benchmarks/known_coefficients.py RUN --picture FILE`.

Columns, for held-out images of a run whose images are coded by `embedded-tokenizer`: the image as it is coded; what is known of
it, its approximation alone; three samples with that known; what is known, the upper half of every band; three samples with that
known. Classes are asked for where the model knows them. No model is trained for it: what is known leaves no choice.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor
from wavekit_embedded_tokenizer import EmbeddedTokenizer

from wavekit_core import open_run
from wavekit_core.pictures import grid
from wavekit_core.pyramid import Pyramid
from wavekit_core.tokens import Temperature, TokenSampler

COLUMNS = 3


def approximation(pyramid: Pyramid) -> Pyramid:
    """The approximation is known, no detail is."""
    return Pyramid(pyramid.approx, tuple(torch.full_like(d, torch.nan) for d in pyramid.details), pyramid.space)


def upper_half(pyramid: Pyramid) -> Pyramid:
    """Of every band the upper half of the rows is known."""

    def half(band: Tensor) -> Tensor:
        rows = torch.arange(band.shape[-2])[:, None]
        return torch.where(rows < band.shape[-2] / 2, band, torch.nan)

    return pyramid.map(half)


def shown(pyramid: Pyramid) -> Pyramid:
    return pyramid.map(lambda band: band.nan_to_num(0.0))


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--images", type=int, default=8)
    given = parser.parse_args()
    torch.manual_seed(0)
    run = open_run(given.run)
    model, sampler = run.model, run.model.sampler
    *before, tokenizer = model.transforms
    if not isinstance(tokenizer, EmbeddedTokenizer) or not isinstance(sampler, TokenSampler):
        parser.error(f"{given.run}: its images are not coded by embedded-tokenizer")
    batch = run.session.held_out(given.images)
    pyramid = model.represent(batch.data, len(before))
    exact = tokenizer.inverse(tokenizer(pyramid))  # what its code says of an image

    def images(found: Pyramid) -> Tensor:
        for one in reversed(before):
            found = one.inverse(found)
        return found

    columns = [images(exact)]
    for narrowed in (approximation(exact), upper_half(exact)):
        columns.append(images(shown(narrowed)))
        known = tokenizer.known(narrowed)
        for _ in range(COLUMNS):
            tokens = Temperature(guidance=sampler.guidance).sample(model.generator, given.images, batch.labels, known)
            columns.append(model.invert(tokens))
    given.picture.write_bytes(grid(torch.stack(columns, 1).flatten(0, 1), model.space, len(columns)))


if __name__ == "__main__":
    main()
