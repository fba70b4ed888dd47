"""Are samples where real images are, and everywhere where they are?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from wavekit_core.kinds.metric import Figure
from wavekit_core.metrics.extractors import Features
from wavekit_core.metrics.feature_sets import FeatureMetric, Vectors
from wavekit_core.metrics.real_images import Seed

ROWS = 512


class Manifold(FeatureMetric):
    """`precision`, `recall`, `density` and `coverage` of samples, each with the network in brackets: see `neighbourhoods`.

    Precision and density see what is wrong with samples, recall and coverage what is missing. A density above the floor means
    samples that crowd where real images are densest. There is no figure of k images or fewer. `features` names the network,
    `weights` its file where the package has none; see `FeatureMetric`.
    """

    def __init__(
        self,
        features: Features,
        k: Annotated[int, Field(ge=1, le=100)] = 5,
        weights: str | None = None,
        seed: Seed = 0,
    ):
        super().__init__(features, "samples", weights, seed)
        self._k = k
        self.least = k + 1

    def compare(self, made: Vectors, real: Vectors, training: Vectors) -> Sequence[Figure]:
        values, floors = neighbourhoods(made, real, self._k), neighbourhoods(training, real, self._k)
        shares: list[tuple[str, Literal["higher", "real"], str]] = [
            ("precision", "higher", "share of samples"),
            ("recall", "higher", "share of real images"),
            ("density", "real", "share of the k neighbourhoods expected"),
            ("coverage", "higher", "share of real images"),
        ]
        return [
            Figure(
                f"{name}[{self._features}]",
                values[name],
                self.unit(f"{unit}, k = {self._k}"),
                better,
                len(made),
                floors[name],
            )
            for name, better, unit in shares
        ]


def neighbourhoods(made: Vectors, real: Vectors, k: int) -> dict[str, float]:
    """Precision, recall, density and coverage of features `made` (N, d) among `real` (M, d), N and M above k; in float64.

    The neighbourhood of a vector is the open ball up to the k-th nearest other of its own set. `precision`: the share of made
    vectors that lie in the neighbourhood of a real one; `recall`: the share of real vectors in that of a made one
    (Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing generative models", eq. 1 and 2).
    `density`: the mean number of real neighbourhoods that a made vector lies in, divided by k; `coverage`: the share of real
    neighbourhoods with a made vector in them (Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative
    models", eq. 3 and 4).
    """
    if min(len(made), len(real)) <= k:
        raise ValueError(f"{len(made)} and {len(real)} feature vectors; {k} neighbours need more")
    made, real = np.asarray(made, np.float64), np.asarray(real, np.float64)
    radii_made, radii_real = _radii(made, k), _radii(real, k)
    around = np.zeros(len(made), np.int64)  # real neighbourhoods that each made vector lies in
    recalled = covered = 0
    for rows, squares in _squares(real, made):
        inside = squares < radii_real[rows, None]
        around += inside.sum(axis=0)
        covered += int(inside.any(axis=1).sum())
        recalled += int((squares < radii_made).any(axis=1).sum())
    return {
        "precision": float((around > 0).mean()),
        "recall": recalled / len(real),
        "density": float(around.mean()) / k,
        "coverage": covered / len(real),
    }


def _radii(vectors: Vectors, k: int) -> Vectors:
    """Squared distance (N,) from each vector (N, d) to the k-th nearest other."""
    radii = np.empty(len(vectors))
    for rows, squares in _squares(vectors, vectors):
        np.fill_diagonal(squares[:, rows], np.inf)
        radii[rows] = np.partition(squares, k - 1, axis=1)[:, k - 1]
    return radii


def _squares(a: Vectors, b: Vectors) -> Iterator[tuple[slice, Vectors]]:
    """Squared distances from ROWS vectors of `a` at a time to all of `b`."""
    lengths = np.square(b).sum(axis=1)
    for start in range(0, len(a), ROWS):
        rows = slice(start, min(start + ROWS, len(a)))
        part = a[rows]
        yield rows, np.maximum(np.square(part).sum(axis=1)[:, None] + lengths - 2 * part @ b.T, 0)
