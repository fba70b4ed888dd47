"""The report's section on a wavelet latent: energy and error by band, noise scales, coefficients as pictures."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure as Plot
from torch import Tensor

from wavekit_core.hooks import hookimpl
from wavekit_core.pipeline import Pipeline
from wavekit_core.pyramid import Pyramid
from wavekit_core.report.sections import Section, View, plot, table
from wavekit_wvae.interpret import heatmap
from wavekit_wvae.wvae import WaveletVAE

IMAGES = 256
SHOWN = 4


@hookimpl
@torch.no_grad()
def report_section(view: View) -> Section | None:
    """For runs whose generator is a Wavelet-VAE of images: everything on held-out images, without noise."""
    model = view.session.pipeline.generator
    while isinstance(model, Pipeline):
        model = model.generator
    if not isinstance(model, WaveletVAE) or model.space != view.session.dataset.space:
        return None
    images = view.session.held_out(IMAGES).data.to(view.session.device)
    if not len(images):
        return None
    original = model.transform(images)
    given = model.transform(model.reconstruct(images))
    return Section("Wavelet latent", _bands(model, original, given) + _heatmaps(original, given))


def _bands(model: WaveletVAE, original: Pyramid, given: Pyramid) -> str:
    scales = model.noise_scales()
    rows = []
    pairs = zip(original.bands().items(), given.bands().values(), strict=True)
    for name, energy, error in [(name, _mean_square(a), _mean_square(a - b)) for (name, a), b in pairs]:
        rows.append(
            (name, f"{energy:.3g}", f"{error:.3g}", f"{100 * error / max(energy, 1e-30):.1f} %", f"{scales[name]:.3g}")
        )
    head = ("band", "energy", "error", "error / energy", "noise scale s")
    note = (
        "<p class=dim>Mean squared coefficient of held-out images, of the reconstruction's difference to it, and the learned "
        "noise scale, all in the transform's own units. cA is the approximation; H, V and D answer to horizontal, vertical and "
        "diagonal edges; level 1 is the finest.</p>"
    )
    return table(head, rows) + note


def _mean_square(band: Tensor) -> float:
    return float(band.double().square().mean())


def _heatmaps(original: Pyramid, given: Pyramid) -> str:
    count = min(SHOWN, len(original.approx))
    figure = Plot(figsize=(2.3 * count, 4.8), layout="constrained")
    for row, (title, pyramid) in enumerate((("image", original), ("reconstruction", given))):
        for column in range(count):
            axes = figure.add_subplot(2, count, row * count + column + 1)
            axes.imshow(heatmap(pyramid, column), cmap="magma", interpolation="nearest")
            axes.set_axis_off()
            axes.set_title(title, fontsize=8)
    return plot(figure, "Coefficients log(1 + |c|) in Mallat layout, every band scaled to its own 99.5 % quantile")
