"""The section of a run's report on the bands of its data."""

from __future__ import annotations

import html

import torch

from wavekit_core.bands.cells import of_approximations, of_bands
from wavekit_core.bands.pictures import summary
from wavekit_core.bands.predictions import predictions
from wavekit_core.bands.subject import of_pyramid, pyramid_of
from wavekit_core.bands.survey import survey
from wavekit_core.cascade import Cascade
from wavekit_core.check import innermost
from wavekit_core.report.sections import Section, View, table

IMAGES = 1000
STEPS = (8, 16, 32)


@torch.no_grad()
def bands(view: View) -> Section | None:
    """For runs of a cascade, whose parts this is about: energy, signal to noise, sparsity and predicted errors, over IMAGES
    training images. Behind a transform that changes what is trained on, the images are those behind it."""
    pipeline = view.session.pipeline
    if not isinstance(innermost(pipeline), Cascade):
        return None
    found = pyramid_of(pipeline)
    if found is None or found[1] > len(pipeline.transforms):
        return None
    subject = of_pyramid(view.session.dataset, found[0], pipeline, found[1])
    looked = survey(subject, IMAGES)
    remarks = "".join(f"<p class=dim>{html.escape(remark)}</p>" for remark in subject.remarks)
    note = (
        f"<p class=dim>{looked.images:,} training images, {html.escape(str(looked.space))}. "
        "<code>wavekit data stats</code> has more, and says what each column is.</p>"
    )
    body = summary(looked, predictions(looked, STEPS)) + table(*of_bands(looked)) + table(*of_approximations(looked))
    return Section("Bands of the data", body + remarks + note)
