"""Are the coefficients of samples distributed like those of real images, band by band?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from wavekit_core.errors import SpaceError
from wavekit_core.kinds.dataset import Dataset
from wavekit_core.kinds.metric import Evidence, Figure, Metric, Reads
from wavekit_core.kinds.transform import Transform
from wavekit_core.metrics.real_images import CHUNK, Seed, batches, load, subset
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.registry import installed, node
from wavekit_core.spaces import ImageSpace

PROJECTIONS_AT_ONCE = 64
FITTED_TO = 10_000


class SlicedWasserstein(Metric):
    """`swd`: sliced Wasserstein-1 distance between held-out images and samples, of a pyramid's bands.

    A group is the approximation (`swd/cA2`) or the three details of a level (`swd/d2`, `swd/d1`), one vector an image. Its
    distance is the mean over `projections` random unit vectors of W1 between the projected sets, that is the mean absolute
    difference of the sorted values (Rabin et al. 2011, "Wasserstein barycenter and its application to texture mixing"). The
    unit is one coefficient of the transform. `swd` is the mean over groups.

    Both sets have the size of the smallest among samples, held-out and training images; larger ones are thinned out. The
    floor is the distance between held-out and training images at that number. A transform that gives no pyramid, or does not
    fit the images, is refused.
    """

    reads: Reads = "samples"

    def __init__(
        self,
        transform: Transform = node("haar", levels=2),
        projections: Annotated[int, Field(ge=1, le=65_536)] = 256,
        seed: Seed = 0,
    ):
        self._transform, self._projections, self._seed = transform, projections, seed
        self._fitted_to: Dataset | None = None

    def require(self, space: ImageSpace) -> None:
        target = self._transform.target(space)
        if not isinstance(target, PyramidSpace):
            raise SpaceError(
                self, f"swd needs a transform that gives a pyramid, not {target}", "use haar", at="transform"
            )

    @torch.no_grad()
    def measure(self, evidence: Evidence) -> Sequence[Figure]:
        dataset, samples = evidence.dataset, evidence.samples
        if samples is None:
            return []
        count = min(len(samples), len(dataset.held_out), len(dataset.train))
        if count == 0:
            return []
        self._prepare(dataset)
        chosen = [subset(len(part), count, self._seed) for part in (dataset.held_out, samples, dataset.train)]
        space = dataset.space
        real, training = load(dataset.held_out, chosen[0], space), load(dataset.train, chosen[2], space)
        sets = [self._groups(images) for images in (real, samples[torch.from_numpy(chosen[1])].float().cpu(), training)]
        directions = torch.Generator().manual_seed(self._seed)
        distances = {}
        for name in sets[0]:
            value, floor = sliced_distances(sets[0][name], [s[name] for s in sets[1:]], self._projections, directions)
            distances[f"swd/{name}"] = (value, floor)
        mean = tuple(sum(column) / len(distances) for column in zip(*distances.values(), strict=True))
        unit = f"W1 of a coefficient, {installed().name_of(type(self._transform))}, {self._projections} directions"
        return [
            Figure(name, value, unit, "lower", count, floor)
            for name, (value, floor) in [("swd", mean), *distances.items()]
        ]

    def _prepare(self, dataset: Dataset) -> None:
        """Fit the transform to the training images."""
        self.require(dataset.space)
        if self._fitted_to is not dataset:
            chosen = subset(len(dataset.train), FITTED_TO, self._seed)
            self._transform.fit(batch.data for batch in batches(dataset.train, chosen, dataset.space))
            self._fitted_to = dataset

    def _groups(self, images: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W) to vectors (N, d) of each group, coarse to fine."""
        pyramids: list[Any] = [self._transform(chunk) for chunk in images.split(CHUNK)]
        levels = pyramids[0].levels
        groups = {f"cA{levels}": torch.cat([p.approx.flatten(1) for p in pyramids])}
        for index in range(levels):
            groups[f"d{levels - index}"] = torch.cat([p.details[index].flatten(1) for p in pyramids])
        return groups


def sliced_distances(
    reference: Tensor, others: Sequence[Tensor], projections: int, generator: torch.Generator
) -> list[float]:
    """Sliced W1 distance from `reference` (N, d) to each of `others` (N, d), along the same random directions."""
    totals = [0.0 for _ in others]
    for start in range(0, projections, PROJECTIONS_AT_ONCE):
        width = min(PROJECTIONS_AT_ONCE, projections - start)
        directions = torch.randn(reference.shape[1], width, generator=generator, dtype=torch.float32)
        directions /= directions.norm(dim=0)
        ours = (reference @ directions).double().sort(dim=0).values
        for index, other in enumerate(others):
            theirs = (other @ directions).double().sort(dim=0).values
            totals[index] += float((ours - theirs).abs().mean(dim=0).sum())
    return [total / projections for total in totals]
