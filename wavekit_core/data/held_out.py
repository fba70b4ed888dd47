"""Which images are held out: by place or by name, never by chance."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wavekit_core.errors import DataError

# a whole number: the last so many; a fraction: as many, evenly spread
Part = Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)]


def by_index(name: str, count: int, part: int | float) -> NDArray[np.bool_]:
    """Which of `count` records are held out (count,): the last `part`, or every record at which `part` · (index + 1) reaches
    another whole number. At least one is held out and one left. Raises `DataError` with `name` if there are too few."""
    index = np.arange(count)
    if isinstance(part, int):
        if part >= count:
            raise DataError(f"{name}: {count} images, of which {part} are to be held out; hold out fewer")
        return index >= count - part
    if count < 2:
        raise DataError(f"{name}: {count} images; one is needed for training and one is held out; give more")
    chosen = np.floor((index + 1) * part) > np.floor(index * part)
    chosen[-1] |= not chosen.any()
    chosen[0] &= not chosen.all()
    return chosen


def by_name(where: str, names: Sequence[str], fraction: float) -> NDArray[np.bool_]:
    """Which names are held out (N,): those whose SHA-256 lies below `fraction` of its range, so a new name moves no other one.

    Equal names stay together. At least one is held out and one left. Raises `DataError` if there is only one.
    """
    if len(set(names)) < 2:
        raise DataError(
            f"{where}: only one image or folder; one is needed for training and one is held out; add at least one more"
        )
    drawn = np.array([int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8]) / 2**64 for name in names])
    chosen = drawn < fraction
    if not chosen.any():
        chosen = drawn == drawn.min()
    if chosen.all():
        chosen = drawn < drawn.max()
    return chosen
