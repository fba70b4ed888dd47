"""The Fréchet distance between two Gaussians that are fitted to features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wavekit_core.kinds.metric import Figure
from wavekit_core.metrics.feature_sets import FeatureMetric, Vectors


class FrechetDistance(FeatureMetric):
    """`gfd[network]` of samples, `rfd[network]` of reconstructions (`gfid` and `rfid` of inception): see `frechet_distance`.

    The distance falls with the number of images and compares only at the same number, network and reference. It takes at
    least two images; below some hundreds it says more about their number than about the model. `features` names the network,
    `weights` its file where the package has none; see `FeatureMetric`.
    """

    def compare(self, made: Vectors, real: Vectors, training: Vectors) -> Sequence[Figure]:
        value, floor = frechet_distance(made, real), frechet_distance(training, real)
        return [Figure(self.named("fd"), value, self.unit("squared feature"), "lower", len(made), floor)]


def frechet_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½) of features (N, d) and (M, d), N and M at least 2; in float64.

    Dowson and Landau 1982; used on features of a network by Heusel et al. 2017, eq. 6. It is biased upwards for small
    numbers: compare only values at the same number of images. The root's trace comes from the symmetric
    C1^½ C2 C1^½, which has the eigenvalues of C1 C2 and keeps them real for singular covariances.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if min(len(a), len(b)) < 2:
        raise ValueError(f"{len(a)} and {len(b)} feature vectors; a covariance needs two")
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    values, vectors = np.linalg.eigh(cov_a)
    root_a = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    product = root_a @ cov_b @ root_a
    root_trace = np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(0)).sum()
    distance = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * root_trace
    return float(max(distance, 0.0))
