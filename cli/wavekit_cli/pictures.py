"""Writing drawn images where the user wants them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from torch import Tensor

from wavekit_core.errors import RecipeError
from wavekit_core.pictures import grid, levels, png
from wavekit_core.runs.publish import disk_faults, publish_file
from wavekit_core.spaces import ImageSpace


def write_images(images: Tensor, labels: Tensor | None, space: ImageSpace, columns: int, target: Path) -> None:
    """A grid for `.png`, arrays for `.npz`, one file an image for a folder."""
    pixels = levels(images, space)
    if target.suffix == ".png":
        publish_file(target, grid(images, space, columns))
    elif target.suffix == ".npz":
        out = io.BytesIO()
        np.savez(out, images=pixels, labels=np.array([]) if labels is None else labels.numpy())
        publish_file(target, out.getvalue())
    elif target.suffix:
        raise RecipeError(f"{target}: {target.suffix} is not known; name a .png, a .npz or a folder")
    else:
        with disk_faults(target):
            target.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(pixels.transpose(0, 2, 3, 1)):
            suffix = "" if labels is None else f"-class-{int(labels[i])}"
            publish_file(target / f"{i:06d}{suffix}.png", png(image))
