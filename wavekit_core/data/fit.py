"""How an image of any size becomes one of the size that a recipe declares: four words, one meaning each, for every data set.

| fit | meaning |
| --- | --- |
| `resize-crop` | the largest centred square, scaled to size × size |
| `resize` | the whole image, scaled to size × size whatever its aspect |
| `pad` | the image as it is, centred, zeros around it; one that is larger is refused |
| `crop` | no scaling: the disjoint tiles of size × size from the upper left corner on, each an image of its own |

Scaling is Pillow's on 8-bit pixels: bicubic (Keys, a = -1/2), antialiased when it makes smaller, rounded.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wavekit_core.errors import DataError

Fit = Literal["resize-crop", "crop", "pad", "resize"]


def fit_image(image: Image.Image, size: int, fit: Fit) -> Image.Image:
    """An image of mode L or RGB as size × size. `crop` leaves it whole. Raises `DataError` if it cannot be padded."""
    if fit == "crop":
        return image
    width, height = image.size
    if fit == "pad":
        if max(width, height) > size:
            raise DataError(f"{height}×{width} pixels, to be padded to {size}×{size}; use a larger size or another fit")
        padded = Image.new(image.mode, (size, size))
        padded.paste(image, ((size - width) // 2, (size - height) // 2))
        return padded
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side) if fit == "resize-crop" else (0, 0, width, height)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box)


def fit_pixels(pixels: NDArray[np.uint8], size: int, fit: Fit) -> NDArray[np.uint8]:
    """`fit_image` for (C, H, W) of any number of channels."""
    if fit == "crop" or pixels.shape[1:] == (size, size):
        return pixels
    if len(pixels) == 3:
        return channels_first(fit_image(Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))), size, fit))
    return np.concatenate([channels_first(fit_image(Image.fromarray(plane), size, fit)) for plane in pixels])


def channels_first(image: Image.Image) -> NDArray[np.uint8]:
    """Mode L or RGB as (C, H, W), contiguous."""
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels.reshape(image.height, image.width, -1).transpose(2, 0, 1))


def tile_count(height: int, width: int, size: int) -> int:
    """How many disjoint tiles an image has; the same for one that lies on its side."""
    return (height // size) * (width // size)


def tile_place(height: int, width: int, size: int, tile: int) -> tuple[int, int]:
    """Top and left of tile number `tile`, counted row by row."""
    row, column = divmod(tile, width // size)
    return row * size, column * size
