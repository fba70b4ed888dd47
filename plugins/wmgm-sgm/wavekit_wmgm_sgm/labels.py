"""Labels that a class-conditional model needs."""

from __future__ import annotations

from collections.abc import Iterable

from wavekit_core.errors import RecipeError
from wavekit_core.kinds import Batch


def require_labels(classes: int, batches: Iterable[Batch]) -> None:
    """Raise RecipeError unless every training image has a label from 0 to `classes` - 1 (or `classes` is 0)."""
    if not classes:
        return
    largest = -1
    for batch in batches:
        if batch.labels is None:
            raise RecipeError(
                f"classes: {classes}, and the training images have no labels; set classes: 0, or use labelled images"
            )
        largest = max(largest, int(batch.labels.max())) if len(batch.labels) else largest
    if largest >= classes:
        raise RecipeError(
            f"classes: {classes}, and the training images are of {largest + 1} classes; set classes: {largest + 1}"
        )
