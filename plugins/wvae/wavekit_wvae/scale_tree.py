"""Detail coefficients as a scale mixture whose scale follows from the parent: (c | parent) ~ Laplace(0, b(|parent|)).

Wavelet coefficients are heavy-tailed because large ones have large parents (kurtosis 33/28/23/18 on levels 1 to 4 of
photographs); a binned regression from coarse to fine keeps that, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wavekit_core.spaces import Band
from wavekit_wvae.coefficients import level_of
from wavekit_wvae.laplace import draw_laplace
from wavekit_wvae.mixture import FittedBuffers

SUBSAMPLE = 500_000  # coefficients that the bins' edges are taken from


def parent_magnitude(bands: Mapping[str, Tensor], name: str, size: tuple[int, int]) -> Tensor:
    """(B, C, *size): what predicts the scale of a detail band from coarser bands.

    That is |c| of the same orientation one level up, or, at the coarsest level, the gradient of the approximation
    across the edges that the band answers to (both axes for the diagonal).
    """
    orientation, level = name[1], level_of(name)
    parent = bands.get(f"c{orientation}{level + 1}")
    if parent is None:
        approx = bands[f"cA{level}"]
        vertical, horizontal = _gradient(approx, -2), _gradient(approx, -1)
        magnitude = {"H": vertical, "V": horizontal, "D": vertical + horizontal}[orientation]
    else:
        magnitude = parent.abs()
    return magnitude if magnitude.shape[-2:] == size else F.interpolate(magnitude, size=size, mode="nearest")


def _gradient(x: Tensor, axis: int) -> Tensor:
    """|central difference| along an axis, one-sided at the ends."""
    return torch.gradient(x, dim=axis)[0].abs() if x.shape[axis] > 1 else torch.zeros_like(x)


class ScaleTree(FittedBuffers):
    """b of every detail band in `bins` quantile bins of its parent's magnitude.

    Buffers: `edges` (n, bins - 1) and `scales` (n, bins) for the n detail bands, coarse to fine; empty before the fit.
    """

    edges: Tensor
    scales: Tensor

    def __init__(self, bins: int = 12):
        super().__init__()
        self.bins = bins
        self.register_buffer("edges", torch.empty(0, 0))
        self.register_buffer("scales", torch.empty(0, 0))

    def fit(self, bands: Mapping[str, Tensor], names: Sequence[str]) -> None:
        """Fit to latents' bands (n, C, h, w). b is its maximum-likelihood estimate, the mean of |c| in the bin."""
        device = self.edges.device
        pairs = [self._fit_band(bands, name) for name in names]
        self.edges = torch.stack([edges for edges, _ in pairs]).to(device) if pairs else self.edges.new_empty(0, 0)
        self.scales = torch.stack([scales for _, scales in pairs]).to(device) if pairs else self.edges.new_empty(0, 0)

    def _fit_band(self, bands: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
        child = bands[name].abs()
        parent = parent_magnitude(bands, name, (child.shape[-2], child.shape[-1])).flatten()
        child = child.flatten()
        stride = -(-len(parent) // SUBSAMPLE)
        edges = torch.quantile(parent[::stride], torch.linspace(0, 1, self.bins + 1)[1:-1].to(parent))
        index = torch.bucketize(parent, edges)
        sums = torch.zeros(self.bins, device=child.device).index_add_(0, index, child)
        counts = torch.bincount(index, minlength=self.bins)
        means = sums / counts.clamp(min=1)
        return edges, torch.where(counts > 0, means, child.mean())  # equal edges leave bins empty

    def draw(self, coarse: Mapping[str, Tensor], details: Sequence[Band]) -> dict[str, Tensor]:
        """Detail bands (B, C, h, w) by name, given the approximation, coarse to fine in the order of the fit."""
        bands = dict(coarse)
        for band, edges, scales in zip(details, self.edges, self.scales, strict=True):
            channels, height, width = band.shape
            b = scales[torch.bucketize(parent_magnitude(bands, band.name, (height, width)), edges)]
            bands[band.name] = draw_laplace(b, (len(b), channels, height, width))
        return {band.name: bands[band.name] for band in details}
