"""Looking at wavelet latents, and changing them: S0 §5 and Fig. 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wavekit_core.kinds import Autoencoder
from wavekit_core.pyramid import Pyramid
from wavekit_wvae.coefficients import level_of
from wavekit_wvae.laplace import soft

Box = tuple[int, int, int, int]
Operation = Literal["gain", "zero", "set", "swap", "threshold"]
QUANTILE = 0.995


def heatmap(
    pyramid: Pyramid,
    index: int = 0,
    layout: Literal["mallat", "overlay"] = "mallat",
    transform: Literal["log", "abs", "signed"] = "log",
    per_band: bool = True,
) -> np.ndarray:
    """A 2-D picture of the coefficients of element `index` of a batch.

    Args:
        layout: `mallat` sets the bands side by side, the approximation top left (H', W'); `overlay` adds the details'
            magnitudes of all levels at the place in the image that they belong to (2·h_1, 2·w_1).
        transform: log(1 + |c|), |c| or c.
        per_band: divide every band by its 99.5 % quantile of |·| and clip to [0, 1] (`signed`: [-1, 1]); colour
            channels are averaged.
    """
    change: dict[str, Callable[[Tensor], Tensor]] = {
        "log": lambda c: c.abs().log1p(),
        "abs": torch.abs,
        "signed": lambda c: c,
    }
    bands = {name: change[transform](c[index].detach().float()) for name, c in pyramid.bands().items()}
    if per_band:
        bands = {name: _scaled(band) for name, band in bands.items()}
    shown = {name: band.mean(0, keepdim=True) for name, band in bands.items()}  # (C, h, w) to (1, h, w)
    if layout == "mallat":
        return Pyramid.from_bands(shown, pyramid.space).mallat()[0].cpu().numpy()
    height, width = pyramid.space.sizes[-1]
    details = (band.abs()[None] for name, band in shown.items() if name[1] != "A")
    return sum(F.interpolate(d, size=(2 * height, 2 * width), mode="nearest")[0, 0] for d in details).cpu().numpy()  # type: ignore[union-attr]


def _scaled(band: Tensor) -> Tensor:
    top = torch.quantile(band.abs().flatten(), QUANTILE)
    return (band / top.clamp(min=1e-12)).clamp(-1, 1)


def edit(
    pyramid: Pyramid,
    band: str,
    box: Box,
    op: Operation,
    value: float | None = None,
    other: Pyramid | None = None,
) -> Pyramid:
    """A copy of a pyramid with the coefficients of one band changed inside a box.

    With Haar and a pure inverse transform, one coefficient of level j changes exactly its 2^j × 2^j block of pixels.

    Args:
        band: `cA2`, `cH1`, …
        box: (top, left, bottom, right) in the band's own rows and columns, the ends exclusive.
        op: `gain` (times `value`), `zero`, `set` (to `value`), `swap` (for those of `other`), or `threshold` (soft, at
            `value`).

    Raises:
        ValueError: unknown band, a box outside the band, or `value` or `other` missing.
    """
    bands = pyramid.bands()
    if band not in bands:
        raise ValueError(f"no band {band!r}; the pyramid has {', '.join(bands)}")
    top, left, bottom, right = box
    height, width = bands[band].shape[-2:]
    if not (0 <= top < bottom <= height and 0 <= left < right <= width):
        raise ValueError(f"box {box} is empty or outside {band}, which has {height} rows and {width} columns")
    if op in ("gain", "set", "threshold") and value is None:
        raise ValueError(f"{op} needs a value")
    if op == "swap" and other is None:
        raise ValueError("swap needs another pyramid")
    inside = (..., slice(top, bottom), slice(left, right))
    replaced = other.bands()[band][inside] if other is not None else None
    changed = bands[band].clone()
    changed[inside] = _operate(changed[inside], op, value or 0.0, replaced)
    return Pyramid.from_bands(bands | {band: changed}, pyramid.space)


def _operate(c: Tensor, op: Operation, value: float, replaced: Tensor | None) -> Tensor:
    if op == "gain":
        return c * value
    if op == "threshold":
        return soft(c, value)
    if op == "swap":
        assert replaced is not None
        return replaced.expand_as(c)
    return torch.full_like(c, value if op == "set" else 0.0)


def pixels_of(band: str, box: Box) -> Box:
    """The block of pixels that a box of Haar coefficients answers for, (top, left, bottom, right)."""
    factor = 2 ** level_of(band)
    top, left, bottom, right = (factor * edge for edge in box)
    return top, left, bottom, right


def leakage(before: Tensor, after: Tensor, block: Box) -> float:
    """The share of the change's energy that falls outside a block of pixels: 0 for Haar with a pure inverse, above it with
    longer filters or a refinement behind the inverse. 0 where nothing changed."""
    change = (after - before).double().square()
    top, left, bottom, right = block
    total = float(change.sum())
    return max(0.0, 1 - float(change[..., top:bottom, left:right].sum()) / total) if total else 0.0


@torch.no_grad()
def walk(model: Autoencoder, a: Tensor, b: Tensor, steps: int = 8) -> Tensor:
    """Images (steps, C, H, W) on the way between the posterior means of two images (C, H, W), their reconstructions at
    the ends.

    Codes go along the great circle (`slerp`): Gaussian codes lie near a sphere, and the straight line would lead through
    its empty middle. Bands of a pyramid go straight, since a mean of coefficients is the coefficients of a mean.
    """
    mean = model.encode(torch.stack([a, b])).mean
    way = torch.linspace(0, 1, steps, device=a.device)
    latent = {}
    for band in model.latent.bands:
        if band.drawn:
            start, end = mean[band.name].flatten(1)  # (2, *shape) to two (numbers,)
            points = slerp(start, end, way) if band.role == "code" else torch.lerp(start, end, way[:, None])
            latent[band.name] = points.reshape(steps, *band.shape)
    return model.decode(latent)


def slerp(start: Tensor, end: Tensor, way: Tensor) -> Tensor:
    """(steps, numbers): from one vector (numbers,) to another, turning evenly, for parts `way` (steps,) of the way.

    (sin((1 − t)θ)·start + sin(tθ)·end) / sin θ with the angle θ between them (Shoemake, SIGGRAPH 1985, Eq. 4); straight
    where it is 0, π or of a vector without a direction.
    """
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=0).clamp(-1, 1)
    angle = cosine.arccos()
    if angle.sin() < 1e-4 or not (start.any() and end.any()):
        return torch.lerp(start, end, way[:, None])
    t = way[:, None]
    return (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()
