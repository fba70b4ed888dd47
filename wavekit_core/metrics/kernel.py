"""The maximum mean discrepancy between two sets of features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wavekit_core.kinds.metric import Figure
from wavekit_core.metrics.feature_sets import FeatureMetric, Vectors

ROWS = 1024


class KernelDistance(FeatureMetric):
    """`gkd[network]` of samples, `rkd[network]` of reconstructions (`gkid` and `rkid` of inception): see `kernel_distance`.

    Its expectation does not depend on the number of images, its spread does: the value of a perfect model lies about zero, on
    both sides. All images are used at once, not subsets, so nothing is drawn. `features` names the network, `weights` its
    file where the package has none; see `FeatureMetric`.
    """

    def compare(self, made: Vectors, real: Vectors, training: Vectors) -> Sequence[Figure]:
        value, floor = kernel_distance(made, real), kernel_distance(training, real)
        return [Figure(self.named("kd"), value, self.unit("MMD² of (x·y/d + 1)³"), "lower", len(made), floor)]


def kernel_distance(first: Vectors, second: Vectors) -> float:
    """The unbiased squared maximum mean discrepancy of features (N, d) and (M, d), N and M at least 2, with the kernel
    (x·y/d + 1)³; in float64, may be negative.

    Gretton et al. 2012, "A kernel two-sample test", eq. 3; the kernel of Bińkowski et al. 2018, "Demystifying MMD GANs", whose
    KID is the mean of this over random subsets.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if min(len(a), len(b)) < 2:
        raise ValueError(f"{len(a)} and {len(b)} feature vectors; a discrepancy needs two")
    within = sum(_total(x, x, diagonal=False) / (len(x) * (len(x) - 1)) for x in (a, b))
    return within - 2 * _total(a, b) / (len(a) * len(b))


def _total(a: Vectors, b: Vectors, diagonal: bool = True) -> float:
    """The sum of the kernel over all pairs, without those of a vector with itself if not `diagonal`."""
    total = 0.0
    for start in range(0, len(a), ROWS):
        values = a[start : start + ROWS] @ b.T
        values /= a.shape[1]
        values += 1
        values *= values * values
        if not diagonal:
            np.fill_diagonal(values[:, start:], 0)
        total += float(values.sum())
    return total
