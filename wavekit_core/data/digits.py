"""scikit-learn's handwritten digits: a real data set that needs no download."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wavekit_core.data.arrays import ArraySplit
from wavekit_core.kinds.dataset import Dataset
from wavekit_core.spaces import ImageSpace

HELD_OUT_EVERY = 6


class Digits(Dataset):
    """The 1,797 digits of `sklearn.datasets.load_digits`: the test part of UCI's Optical Recognition of Handwritten Digits.

    Images (1, size, size) in [0, 1], white ink on black, classes 0 … 9. The originals are 8 × 8 with 17 grey values; 16
    and 32 are enlarged by bicubic interpolation (Keys, a = -1/2, edges repeated), clamped and rounded to 8 bits. Held out:
    every image whose index is a multiple of 6, 300 in all; 1,497 remain for training. Writers occur in both parts.
    """

    def __init__(self, size: Literal[8, 16, 32] = 16):
        from sklearn.datasets import load_digits  # takes a second to import: only when it is used

        self.space = ImageSpace(1, size, size)
        self.classes = tuple("0123456789")
        source, labels = load_digits(return_X_y=True)
        enlarged = enlarge(source.reshape(-1, 8, 8) / 16, size // 8)
        images = np.rint(enlarged.clip(0, 1) * 255).astype(np.uint8)[:, None]
        held_out = np.arange(len(images)) % HELD_OUT_EVERY == 0
        self.train = ArraySplit(images[~held_out], labels[~held_out])
        self.held_out = ArraySplit(images[held_out], labels[held_out])
        self._digest = hashlib.sha256(images.tobytes() + labels.astype("<i8").tobytes()).hexdigest()

    def digest(self) -> str:
        return self._digest


def enlarge(images: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """(N, h, w) to (N, factor·h, factor·w) by bicubic convolution; may leave the range of the input.

    Pixel centres keep their place and edges are repeated (Keys 1981, "Cubic convolution interpolation for digital image
    processing", eq. 15). For factors 2 and 4 every weight is a multiple of 2^-10, so the result is exact in float64 and
    the same on every machine.
    """
    if factor == 1:
        return images
    across = _weights(images.shape[2], factor)
    down = _weights(images.shape[1], factor)
    return np.einsum("Yy,nyx,Xx->nYX", down, images, across)


def _weights(length: int, factor: int) -> NDArray[np.float64]:
    """The matrix (factor·length, length) that enlarges one axis."""
    matrix = np.zeros((factor * length, length))
    for row in range(factor * length):
        centre = (row + 0.5) / factor - 0.5
        first = int(np.floor(centre)) - 1
        for source in range(first, first + 4):
            distance = abs(centre - source)
            near = 1.5 * distance**3 - 2.5 * distance**2 + 1
            far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
            matrix[row, min(max(source, 0), length - 1)] += near if distance <= 1 else far
    return matrix
