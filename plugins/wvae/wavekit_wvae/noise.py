"""The noise scale s of a wavelet latent: one number, one a group of bands, one a coefficient, or predicted from the image.

S0 Eq. 12: "single global learnable, possibly different for approximation vs details, or coefficient-specific".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from wavekit_core.pyramid import Pyramid, PyramidSpace
from wavekit_core.spaces import Band
from wavekit_wvae.coefficients import CoefficientHeads, level_of
from wavekit_wvae.scales import Form, Scale, positive, raw_of

Granularity = Literal["global", "approx+detail", "per-level", "per-band", "per-coefficient", "amortised"]
Unit = Literal["coefficient", "band"]


class Noise(nn.Module):
    """s of every pyramid band, `granularity` but `amortised`.

    Buffer `units` (bands,): what s is a multiple of, 1 until `fit`. `groups` names the bands that share a scale.
    """

    units: Tensor

    def __init__(self, bands: Sequence[Band], granularity: Granularity, init: float, fixed: bool, form: Form):
        super().__init__()
        self.bands = tuple(bands)
        self.groups: dict[str, list[str]] = {}
        for band in bands:
            self.groups.setdefault(_group(band, granularity), []).append(band.name)
        self.form = form
        self.register_buffer("units", torch.ones(len(self.bands)))
        self.build(granularity, init, fixed)

    def build(self, granularity: Granularity, init: float, fixed: bool) -> None:
        each = granularity == "per-coefficient"
        self.counts = [band.numbers for band in self.bands] if each else [1] * len(self.groups)
        self.scale = Scale(sum(self.counts), init, fixed, form=self.form)

    def forward(self, features: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """By band, (1, 1, 1, 1) or (1, C, h, w): broadcasts to (B, C, h, w). `features` are not looked at."""
        pieces = self.scale().split(self.counts)
        shared = {name: piece for names, piece in zip(self.groups.values(), pieces, strict=True) for name in names}
        scales = {}
        for band, unit in zip(self.bands, self.units, strict=True):
            shape = (1, *band.shape) if len(shared[band.name]) > 1 else (1, 1, 1, 1)
            scales[band.name] = unit * shared[band.name].reshape(shape)  # (count,) to (1, …)
        return scales

    def terms(self, scales: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The mean of s by group, to log: `noise/<group>`."""
        return {f"noise/{g}": torch.stack([scales[n].mean() for n in names]).mean() for g, names in self.groups.items()}

    @torch.no_grad()
    def fit(self, pyramids: Iterable[Pyramid]) -> None:
        """Take every band's standard deviation over training images as its unit. A band without variance keeps 1."""
        sums, squares, counts = (torch.zeros(len(self.bands), dtype=torch.float64) for _ in range(3))
        for pyramid in pyramids:
            bands = pyramid.bands()
            values = [bands[band.name].double().cpu() for band in self.bands]
            sums += torch.stack([v.sum() for v in values])
            squares += torch.stack([v.square().sum() for v in values])
            counts += torch.tensor([v.numel() for v in values])
        deviation = (squares / counts - (sums / counts).square()).clamp(min=0).sqrt()
        self.units.copy_(torch.where(deviation > 1e-6, deviation, 1.0))


class AmortisedNoise(Noise):
    """s of every coefficient, predicted by heads on the features that predict its mean; starts at `init` everywhere."""

    def __init__(
        self, bands: Sequence[Band], space: PyramidSpace, widths: Sequence[int], init: float, form: Form
    ) -> None:
        super().__init__(bands, "per-band", init, False, form)
        self.heads = CoefficientHeads(space, widths, zero=True, grow=1.0, bias=raw_of(init, form))

    def build(self, granularity: Granularity, init: float, fixed: bool) -> None:
        """No scale but the heads'."""

    def forward(self, features: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """(B, C, h, w) by band, from features (B, width_j, h_j, w_j) of every level, coarse to fine."""
        raw = self.heads(features)
        units = zip(self.bands, self.units, strict=True)
        return {band.name: unit * positive(raw[band.name], self.form) for band, unit in units}


def _group(band: Band, granularity: Granularity) -> str:
    if granularity in ("per-band", "per-coefficient"):
        return band.name
    if granularity == "global":
        return "all"
    if granularity == "approx+detail" or band.role == "approx":
        return band.role
    return f"level-{level_of(band.name)}"
