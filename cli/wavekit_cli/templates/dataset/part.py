"""Images that are computed: gratings of three directions."""

import hashlib
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from wavekit_core.data.arrays import ArraySplit
from wavekit_core.kinds import Dataset
from wavekit_core.spaces import ImageSpace

HELD_OUT_EVERY = 6
DIRECTIONS = {"horizontal": (1.0, 0.0), "vertical": (0.0, 1.0), "diagonal": (0.5**0.5, 0.5**0.5)}  # of (y, x)


class MyPart(Dataset):
    """Sine gratings (1, size, size) in [0, 1] of random phase and of 1 to size / 4 periods; the class is the direction.

    Every sixth image is held out. Nothing is downloaded; the same parameters give the same images.

    Args:
        size: height and width in pixels.
        count: images, training and held out together.
        seed: of everything that is random.
    """

    def __init__(
        self,
        size: Annotated[int, Field(ge=8, le=256)] = 16,
        count: Annotated[int, Field(ge=60, le=100_000)] = 1_200,
        seed: Annotated[int, Field(ge=0)] = 0,
    ):
        self.space = ImageSpace(1, size, size)
        self.classes = tuple(DIRECTIONS)
        images, labels = gratings(size, count, seed)
        held_out = np.arange(count) % HELD_OUT_EVERY == 0
        self.train = ArraySplit(images[~held_out], labels[~held_out])
        self.held_out = ArraySplit(images[held_out], labels[held_out])
        self._digest = hashlib.sha256(images.tobytes() + labels.astype("<i8").tobytes()).hexdigest()

    @classmethod
    def declares(cls, **values: Any) -> ImageSpace:
        size = values.get("size", 16)
        return ImageSpace(1, size, size)

    def digest(self) -> str:
        return self._digest


def gratings(size: int, count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (count, 1, size, size) and classes (count,)."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(DIRECTIONS), count)
    periods, phase = random.uniform(1, size / 4, count), random.uniform(0, 2 * np.pi, count)
    direction = np.array(list(DIRECTIONS.values()))[labels]  # (count, 2)
    across = direction * (2 * np.pi * periods / size)[:, None]  # radians a pixel
    y, x = np.mgrid[:size, :size]
    angle = across[:, 0, None, None] * y + across[:, 1, None, None] * x + phase[:, None, None]
    return np.rint((0.5 + 0.5 * np.sin(angle)) * 255).astype(np.uint8)[:, None], labels
