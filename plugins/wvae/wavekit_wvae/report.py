"""The report's section on a wavelet latent: energy and error by band, noise scales, coefficients as pictures, a walk through
the latent, and an edit of it."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure as Plot
from torch import Tensor

from wavekit_core.hooks import hookimpl
from wavekit_core.pictures import grid
from wavekit_core.pipeline import Pipeline
from wavekit_core.pyramid import Pyramid
from wavekit_core.report.sections import Section, View, picture, plot, table
from wavekit_wvae.interpret import Box, edit, heatmap, leakage, pixels_of, walk
from wavekit_wvae.wvae import WaveletVAE

IMAGES = 256
SHOWN = 4
STEPS = 8


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
    parts = [_bands(model, images), _heatmaps(model, images)]
    if len(images) > 1:
        parts.append(_walk(model, images))
    if model.has_pyramid:
        parts.append(_edit(model, images))
    return Section("Wavelet latent", "".join(parts))


def _bands(model: WaveletVAE, images: Tensor) -> str:
    original = model.transform(images)
    given = model.transform(model.reconstruct(images))
    scales = model.encode(images).scale
    rows = []
    pairs = zip(original.bands().items(), given.bands().values(), strict=True)
    for name, energy, error in [(name, _mean_square(a), _mean_square(a - b)) for (name, a), b in pairs]:
        s = f"{float(scales[name].mean()):.3g}" if name in scales else ""
        rows.append((name, f"{energy:.3g}", f"{error:.3g}", f"{100 * error / max(energy, 1e-30):.1f} %", s))
    head = ("band", "energy", "error", "error / energy", "noise scale s")
    note = (
        "<p class=dim>Mean squared coefficient of held-out images, of the reconstruction's difference to it, and the mean "
        "noise scale, all in the transform's own units. cA is the approximation; H, V and D answer to horizontal, vertical and "
        "diagonal edges; level 1 is the finest.</p>"
    )
    return table(head, rows) + note


def _mean_square(band: Tensor) -> float:
    return float(band.double().square().mean())


def _heatmaps(model: WaveletVAE, images: Tensor) -> str:
    count = min(SHOWN, len(images))
    original = model.transform(images[:count])
    given = model.transform(model.reconstruct(images[:count]))
    figure = Plot(figsize=(2.3 * count, 4.8), layout="constrained")
    for row, (title, pyramid) in enumerate((("image", original), ("reconstruction", given))):
        for column in range(count):
            axes = figure.add_subplot(2, count, row * count + column + 1)
            axes.imshow(heatmap(pyramid, column), cmap="magma", interpolation="nearest")
            axes.set_axis_off()
            axes.set_title(title, fontsize=8)
    return plot(figure, "Coefficients log(1 + |c|) in Mallat layout, every band scaled to its own 99.5 % quantile")


def _walk(model: WaveletVAE, images: Tensor) -> str:
    strip = torch.cat([walk(model, a, b, STEPS) for a, b in zip(images[:SHOWN:2], images[1:SHOWN:2], strict=False)])
    way = "along the great circle" if model.latent.names("code") else "straight"
    return picture(
        grid(strip, model.space, STEPS), f"From one held-out image's latent to another's, {way}, a row a pair"
    )


def _edit(model: WaveletVAE, images: Tensor) -> str:
    """The largest detail of a level, taken away and turned round, in every image shown."""
    pyramid = model.pyramid(model.encode(images[:SHOWN]).mean)
    level = min(2, pyramid.levels)
    before = model.render(pyramid)
    rows: list[Tensor] = [before]
    leaked = []
    for op, value in (("zero", None), ("gain", -1.0)):
        changed = []
        for index in range(len(before)):
            band, box = _largest(pyramid, level, index)
            after = model.render(edit(pyramid, band, box, op, value))[index]  # type: ignore[arg-type]
            leaked.append(leakage(before[index], after, pixels_of(band, box)))
            changed.append(after)
        rows.append(torch.stack(changed))
    caption = (
        f"Reconstructions; below them with the largest detail coefficient of level {level} set to 0; then with its sign turned. "
        f"Of the change's energy {share(sum(leaked) / len(leaked))} falls outside the {2**level}×{2**level} pixels that "
        "this coefficient answers for in Haar (with Haar and a pure inverse transform, none does)"
    )
    return picture(grid(torch.cat(rows), model.space, len(before)), caption)


def share(part: float) -> str:
    """A share from 0 to 1 in per cent."""
    return f"{100 * part:.2g} %" if part >= 1e-5 else "less than 0.001 %"


def _largest(pyramid: Pyramid, level: int, index: int) -> tuple[str, Box]:
    """The band of a level and the box of one coefficient with the most energy over the channels of image `index`."""
    bands = pyramid.bands()
    energies = {name: bands[name][index].square().sum(0) for name in (f"c{o}{level}" for o in "HVD")}
    name = max(energies, key=lambda one: float(energies[one].max()))
    row, column = divmod(int(energies[name].argmax()), energies[name].shape[1])
    return name, (row, column, row + 1, column + 1)
