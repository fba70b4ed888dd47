"""Evaluation: the metrics of a recipe on its model, and on the control beside it."""

from __future__ import annotations

import dataclasses
from typing import Any

from wavekit_core.contract import name_of
from wavekit_core.kinds import Evidence, Figure, Metric
from wavekit_core.pictures import quantise
from wavekit_core.pipeline import Pipeline
from wavekit_core.session import Session
from wavekit_core.watch import Watcher

MAX_RECONSTRUCTIONS = 1000


def evidence(session: Session, model: Pipeline) -> Evidence:
    """Held-out images, reconstructions of them and samples, of a model whose weights are in place."""
    shown = session.held_out(MAX_RECONSTRUCTIONS)
    originals = quantise(shown.data, session.dataset.space)
    samples, labels = session.draw(model, session.recipe.samples.count) if model.samples else (None, None)
    return Evidence(
        dataset=session.dataset,
        originals=originals,
        reconstructions=session.reconstruct(model, originals) if model.reconstructs else None,
        samples=samples,
        sample_labels=labels,
        nats=session.nats(model, originals) if model.has_likelihood else None,
        code=session.code(model, originals, shown.labels) if model.has_code else None,
    )


def evaluate(session: Session, watcher: Watcher) -> list[dict[str, Any]]:
    """Rows `{subject, name, value, unit, better, count, floor}` for the model and the control. Metrics that read what a model
    does not give are left out."""
    subjects = {"model": session.pipeline}
    if control := session.control:
        subjects["control"] = control
    rows = []
    with watcher.phase("evaluating", len(subjects) * max(1, len(session.metrics))) as advance:
        done = 0
        for subject, model in subjects.items():
            shown = evidence(session, model)
            for metric in session.metrics:
                advance(done, f"{metric.reads} of the {subject}")
                lacking = metric.needs_classes and not session.classes
                figures = metric.measure(shown) if not lacking and getattr(shown, metric.reads) is not None else ()
                rows += [_row(subject, figure) for figure in figures]
                if not figures and subject == "model":
                    nothing = f"{name_of(metric)} has nothing to measure on this model and these data"
                    watcher.say(f"note: {without_classes(metric) if lacking else nothing}")
                done += 1
    return rows


def measured(session: Session, step: int, watcher: Watcher) -> dict[str, Any]:
    """What evaluation.json holds, of the weights of `step`, which are in place."""
    found: dict[str, Any] = {"step": step, "averaged": session.recipe.train.ema > 0}
    if counts := session.pipeline.evaluations_with(None):
        found["evaluations"] = counts
    return found | {"figures": evaluate(session, watcher)}


def without_classes(metric: Metric) -> str:
    """Why a metric that needs classes measures nothing on a data set that has none."""
    return (
        f"{name_of(metric)} needs classes, and the data set has none: it measures nothing; leave it out, or use a metric that "
        "needs none, such as swd, or frechet with other features than class-cnn"
    )


def _row(subject: str, figure: Figure) -> dict[str, Any]:
    return {"subject": subject, **dataclasses.asdict(figure)}
