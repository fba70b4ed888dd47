"""8-bit images to the coefficients of a stream and back: colour, size, wavelet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from wavekit_core.compiled import compiled
from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.integer import integer_analysis, integer_synthesis
from wavekit_core.wavelets.operator import analysis, synthesis
from wavekit_embedded_tokenizer.colour import FORWARD, INVERSE, rgb, ycocg
from wavekit_embedded_tokenizer.layout import Layout, layout

WAVELETS = ("haar", "bior2.2", "bior4.4")
MODES = ("periodization", "whole-symmetric")
DEEPEST = 5  # levels by default
RECONSTRUCTED = 0.45  # of an interval: where in it coefficients are, mostly
MIDDLE = 128  # of the grey levels

_FROM_RGB, _TO_RGB = FORWARD.numpy(), INVERSE.numpy()


@dataclass(frozen=True)
class Coding:
    """How an image of `height`×`width` is coded. Sides are filled up with their last row or column to what the levels need."""

    height: int
    width: int
    channels: int
    levels: int
    wavelet: str = "bior4.4"
    mode: str = "whole-symmetric"
    lossless: bool = False

    @property
    def layout(self) -> Layout:
        return layout(*padded(self.height, self.width, self.levels), self.levels, self.channels)


def padded(height: int, width: int, levels: int) -> tuple[int, int]:
    """The next sizes that 2^(levels + 1) divides."""
    unit = 2 << levels
    return -(-height // unit) * unit, -(-width // unit) * unit


def levels_for(height: int, width: int) -> int:
    """As many as leave the coarsest bands two rows and columns, five at most."""
    return max(1, min(DEEPEST, min(height, width).bit_length() - 2))


def coefficients(pixels: NDArray[np.uint8], how: Coding) -> NDArray[np.float32]:
    """Pixels (H, W) or (H, W, 3) to (places,): in steps of one grey level, weighted so that an error of one anywhere is an
    error of one in the image, in the mean square; or lossless, |n| + 1/2 for whole numbers n and 0 for 0."""
    of = how.layout
    planes = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
    filling = ((0, 0), (0, of.height - how.height), (0, of.width - how.width))
    values = np.zeros(of.places, np.float32)
    bank = FilterBank.from_pywt(how.wavelet)
    if how.lossless:
        levels = planes.astype(np.int32)
        levels = ycocg(levels) if len(levels) == 3 else levels
        levels[0] -= MIDDLE
        levels = np.pad(levels, filling, mode="edge")
        whole = _bands(*integer_analysis(torch.from_numpy(levels), bank, how.levels))
        of.into([b + np.float32(0.5) * np.sign(b) for b in whole], values)
        return values
    x = planes.astype(np.float32) - MIDDLE
    if len(x) == 3:
        x = _mixed(_FROM_RGB * _colour_norms()[:, None], x)
    x = np.pad(x, filling, mode="edge")
    bands = _bands(*analysis(torch.from_numpy(x), bank, how.mode, how.levels))  # type: ignore[arg-type]
    of.into([b * w for b, w in zip(bands, _band_norms(how.wavelet, how.levels), strict=True)], values)
    return values


def pixels_of(known: NDArray[np.int32], sign: NDArray[np.int8], lowest: float, how: Coding) -> NDArray[np.uint8]:
    """What `codec.decode` gives to pixels (H, W) or (H, W, 3)."""
    of, bank = how.layout, FilterBank.from_pywt(how.wavelet)
    size = (of.height, of.width)
    if how.lossless:
        whole = [b.astype(np.int32) for b in of.views((known >> 1) * sign)]
        planes = integer_synthesis(*_pyramid(whole), bank, size).numpy()[:, : how.height, : how.width]
        planes[0] += MIDDLE
        planes = rgb(planes) if how.channels == 3 else planes
    else:
        values = np.empty(len(known), np.float32)
        _within(known, sign, RECONSTRUCTED, lowest, values)
        views = of.views(values)
        bands = [b / w for b, w in zip(views, _band_norms(how.wavelet, how.levels), strict=True)]
        planes = synthesis(*_pyramid(bands), bank, how.mode, size).numpy()[:, : how.height, : how.width]  # type: ignore[arg-type]
        if how.channels == 3:
            planes = _mixed(_TO_RGB / _colour_norms(), planes)
        planes = planes + np.float32(MIDDLE)
        np.rint(planes, out=planes)
    planes = np.clip(planes, 0, 255, out=planes).astype(np.uint8)
    return planes[0] if how.channels == 1 else np.ascontiguousarray(np.moveaxis(planes, 0, 2))


@compiled
def _within(known, sign, share, lowest, values):  # type: ignore[no-untyped-def]
    """Coefficients at a share of the intervals that they are known to lie in; the lowest bit of `known` is half of its width."""
    for k in range(len(known)):
        if known[k]:
            values[k] = (known[k] + (2 * share - 1) * (known[k] & -known[k])) * sign[k] * (lowest / 2)
        else:
            values[k] = 0.0


def _mixed(matrix: NDArray[np.float64], planes: NDArray[np.float32]) -> NDArray[np.float32]:
    return (matrix.astype(np.float32) @ planes.reshape(3, -1)).reshape(planes.shape)


def _bands(approx: torch.Tensor, details: tuple[torch.Tensor, ...]) -> list[NDArray]:  # type: ignore[type-arg]
    """In the order of a layout: HL is cV, LH is cH."""
    return [approx.numpy(), *(level[:, i].numpy() for level in details for i in (1, 0, 2))]


def _pyramid(bands: list[NDArray]) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:  # type: ignore[type-arg]
    approx, *rest = (torch.from_numpy(np.ascontiguousarray(b)) for b in bands)
    return approx, tuple(torch.stack([rest[i + 1], rest[i], rest[i + 2]], 1) for i in range(0, len(rest), 3))


def _colour_norms() -> NDArray[np.float64]:
    """What an error of one in Y, Cb, Cr is in the image."""
    return np.sqrt((_TO_RGB**2).sum(0))


@lru_cache(maxsize=64)
def _band_norms(wavelet: str, levels: int) -> tuple[np.float32, ...]:
    """The norms of the bands' synthesis functions, in the order of a layout."""
    bank = FilterBank.from_pywt(wavelet)
    low, high = np.array([1.0]), np.array([1.0])
    norms: list[tuple[float, float]] = []
    smooth = np.array([1.0])
    for _ in range(levels):
        up = [_upsampled(np.array(f), len(norms)) for f in (bank.rec_lo, bank.rec_hi)]
        low, high = np.convolve(smooth, up[0]), np.convolve(smooth, up[1])
        norms.append((float(np.linalg.norm(low)), float(np.linalg.norm(high))))
        smooth = low
    found = [norms[-1][0] ** 2]
    for smooth_norm, detail_norm in reversed(norms):
        found += [detail_norm * smooth_norm] * 2 + [detail_norm * detail_norm]
    return tuple(np.float32(n) for n in found)


def _upsampled(taps: NDArray[np.float64], times: int) -> NDArray[np.float64]:
    out = np.zeros((len(taps) - 1) * 2**times + 1)
    out[:: 2**times] = taps
    return out
