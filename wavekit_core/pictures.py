"""Pictures of batches: 8-bit steps, grids of images as PNG."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wavekit_core.spaces import ImageSpace


def grid(images: Tensor, space: ImageSpace, columns: int) -> bytes:
    """Images (N, C, H, W) in rows of `columns` as a PNG, small ones enlarged by whole pixels, one pixel of grey between."""
    count, channels, height, width = images.shape
    scale = max(1, min(4, 640 // max(1, columns * width)))
    pixels = levels(images, space).repeat(scale, -1).repeat(scale, -2)
    rows = -(-count // columns)
    cell_h, cell_w = height * scale + 1, width * scale + 1
    canvas = np.full((rows * cell_h + 1, columns * cell_w + 1, channels), 96, np.uint8)
    for i, image in enumerate(pixels.transpose(0, 2, 3, 1)):
        top, left = (i // columns) * cell_h + 1, (i % columns) * cell_w + 1
        canvas[top : top + cell_h - 1, left : left + cell_w - 1] = image
    return png(canvas)


def quantise(images: Tensor, space: ImageSpace) -> Tensor:
    """Images clamped to the range of `space` and rounded to 256 steps, as any stored picture is; float32."""
    steps = ((images.float() - space.low) / (space.high - space.low) * 255).clamp(0, 255).round()
    return steps / 255 * (space.high - space.low) + space.low


def levels(images: Tensor, space: ImageSpace) -> np.ndarray:
    """Images of `space` as uint8 (N, C, H, W)."""
    scaled = (images.float() - space.low) / (space.high - space.low) * 255
    return scaled.clamp(0, 255).round().to(torch.uint8).cpu().numpy()


def png(pixels: np.ndarray) -> bytes:
    """(H, W, C) or (H, W) uint8, one or three channels, as a PNG. Other channel counts show the first three or one."""
    if pixels.ndim == 3:
        pixels = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0]
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "png", optimize=False)
    return out.getvalue()


def pairs(upper: Tensor, lower: Tensor, columns: int) -> Tensor:
    """Two batches row by row: `columns` of the first, below them their partners of the second."""
    rows = []
    for a, b in zip(upper.split(columns), lower.split(columns), strict=True):
        rows += [a, b]
    return torch.cat(rows)
