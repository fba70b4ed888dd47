"""What is drawn from a model's weights and kept with a run: pictures and arrays as files."""

from __future__ import annotations

import io

import numpy as np

from wavekit_core.pictures import grid, levels, pairs
from wavekit_core.session import Session


def pictures(session: Session, count: int) -> dict[str, bytes]:
    """grid.png and samples.npz of new samples, reconstructions.png of held-out images, as far as the model can."""
    model, space = session.pipeline, session.space
    files = {}
    columns = max(8, min(10, len(session.classes) or 8))
    if model.samples:
        images, labels = session.draw(model, count)
        files["grid.png"] = grid(images[: columns * 8], space, columns)
        out = io.BytesIO()
        np.savez(out, images=levels(images, space), labels=np.array([]) if labels is None else labels.numpy())
        files["samples.npz"] = out.getvalue()
    if model.reconstructs:
        originals = session.held_out(2 * columns).data
        if width := min(columns, len(originals)):
            originals = originals[: len(originals) // width * width]
            shown = pairs(originals, session.reconstruct(model, originals), width)
            files["reconstructions.png"] = grid(shown, space, width)
    return files
