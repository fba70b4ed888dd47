"""The sections that every report has, in their order. Recipe and environment come last, after those of plugins."""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from wavekit_core.bands.section import bands
from wavekit_core.pictures import grid
from wavekit_core.report.cells import behind, figure_cells, of_model
from wavekit_core.report.curves import STYLES, TERM, Curve, Panel, panels
from wavekit_core.report.glossary import sentences
from wavekit_core.report.sections import HALF, SMALL, Section, View, picture, plot, table
from wavekit_core.runs.manifest import listing

ROWS = 8  # of a grid of samples
FEW = 3  # terms of a family that have a panel each


def samples(view: View) -> Section | None:
    """The newest grid, real images and the control's samples side by side at one scale; then the way through training."""
    drawn = [step for step in view.folder.sample_steps() if step <= view.step]
    steps = [step for step in drawn if "grid.png" in listing(view.folder.sample_folder(step))]
    if not steps:
        return None
    said = ", a column a class" if _by_class(view) and len(view.session.classes) == _columns(view) else ""
    beside = [_grid(view, steps[-1], f"Samples at step {steps[-1]}{said}", HALF)]
    beside += [picture(content, caption, HALF) for caption, content in _beside(view)]
    body = f"<div class=row>{''.join(beside)}</div>"
    earlier = [_grid(view, step, f"step {step}", SMALL) for step in _spread(steps[:-1], 6)]
    if earlier:
        body += f"<p class=dim>On the way:</p><div class=row>{''.join(earlier)}</div>"
    return Section("Samples", body)


def _by_class(view: View) -> bool:
    return bool(view.session.classes) and view.session.pipeline.conditional


def _columns(view: View) -> int:
    """As many as the grids of samples have."""
    return max(8, min(10, len(view.session.classes) or 8))


def _beside(view: View) -> list[tuple[str, bytes]]:
    """Real held-out images and, where the recipe has a control, what it draws: as many, and as large, as the model's."""
    session, space = view.session, view.session.space
    columns = _columns(view)
    count = min(columns * ROWS, session.recipe.samples.count)
    shown = []
    real = session.held_out(4 * count)
    if len(real.data):
        arranged = real.data
        if _by_class(view) and real.labels is not None:
            arranged = _in_turn(real.data, real.labels, len(session.classes))
        shown.append(("Real held-out images", grid(arranged[:count], space, columns)))
    control = session.control
    if control is not None and control.samples:
        drawn, _ = session.draw(control, count)
        caption = f"Samples of the control ({session.recipe.part('control').entry.name}), which trains no network"
        shown.append((caption, grid(drawn, space, columns)))
    return shown


def _in_turn(images: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Images so that class follows class, as samples are asked for; as many full turns as the rarest class allows."""
    of_class = [torch.nonzero(labels == label).flatten() for label in range(classes)]
    turns = min(len(found) for found in of_class)
    order = torch.stack([found[:turns] for found in of_class], dim=1).flatten()
    return images[order] if turns else images


def _grid(view: View, step: int, caption: str, width: int) -> str:
    return picture(view.folder.sample_files(step)["grid.png"], caption, width)


def _spread(steps: list[int], most: int) -> list[int]:
    if len(steps) <= most:
        return steps
    return [steps[i * (len(steps) - 1) // (most - 1)] for i in range(most)]


def reconstructions(view: View) -> Section | None:
    """Held-out images above what the model makes of them."""
    files = view.folder.sample_files(view.step)
    if "reconstructions.png" not in files:
        return None
    return Section(
        "Reconstructions", picture(files["reconstructions.png"], "Held-out images, and below each its reconstruction")
    )


def figures(view: View) -> Section | None:
    """Every metric, with the control's figure and the floor beside it, and what each word means."""
    rows = view.evaluation["figures"]
    if not rows:
        return None
    worse = behind(rows)
    note = (
        f"<p>The control, which trains no network, is better in: {html.escape(', '.join(worse))}.</p>" if worse else ""
    )
    averaged = "averaged weights" if view.evaluation["averaged"] else "the last weights"
    how = f"<p class=dim>Measured on {averaged} of step {view.evaluation['step']}; images rounded to 8 bits first.</p>"
    words = [*sentences(view.session.metrics, [row["name"] for row in of_model(rows)])]
    if any(row["subject"] == "control" for row in rows):
        name = view.session.recipe.part("control").entry.name
        words.append(("control", f"{name}: fitted to the same images without training a network, and measured alike."))
    words += [
        (
            "real images",
            "The floor: the same measure between real images. A perfect model lies there, give or take chance; "
            "reconstructions can pass it.",
        ),
        ("N", "The number of images measured. Figures of different N do not compare."),
        ("better", "“lower” and “higher” say the good direction; “real” is best near the value of real images."),
    ]
    listed = "".join(f"<dt>{html.escape(word)}</dt><dd>{_coded(said)}</dd>" for word, said in words)
    return Section("Figures", table(*figure_cells(rows)) + note + how + f"<dl>{listed}</dl>")


def _coded(text: str) -> str:
    """Text as HTML, what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def curves(view: View) -> Section | None:
    """Every logged term against the step, and every figure that was measured at several steps."""
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in view.rows:
        for key, value in row.items():
            if key not in ("step", "images", "rate"):
                series[key].append((row["step"], value))
    shown = _terms(series)
    measured: dict[str, list[tuple[float, float]]] = defaultdict(list)
    newest: dict[str, Mapping[str, Any]] = {}
    for one in view.folder.evaluations():
        for figure in of_model(one["figures"]):
            measured[figure["name"]].append((one["step"], figure["value"]))
            newest[figure["name"]] = figure
    for name, points in measured.items():
        if len(points) > 1:
            marked = [Curve(name, points, marks=True)]
            shown.append(Panel(name, newest[name]["unit"], marked, newest[name]["floor"]))
    if not shown:
        return None
    train = view.session.recipe.train
    caption = (
        f"Terms of the losses are means over the steps between two points; a step is {train.batch_size} images. Figures are "
        "those of the checkpoints that were evaluated; a dotted line is the value of real images."
    )
    return Section("Curves", plot(panels(shown, "training step", named=False), caption))


def _terms(series: Mapping[str, Sequence[tuple[float, float]]]) -> list[Panel]:
    """A panel a term; terms of one family, such as `objective/noise/…`, are in one panel if they are more than FEW."""
    families: dict[str, list[str]] = defaultdict(list)
    for name in series:
        family = name.rpartition("/")[0]
        families[family if "/" in family else name].append(name)
    shown = []
    for family, names in families.items():
        if len(names) > FEW:
            curves = [
                Curve(name.rpartition("/")[2], series[name], f"C{i % 10}", STYLES[i // 10 % len(STYLES)])
                for i, name in enumerate(names)
            ]
            shown.append(Panel(f"{family}/…", TERM, curves, named=True))
        else:
            shown += [Panel(name, TERM, [Curve(name, series[name])]) for name in names]
    return shown


def spaces(view: View) -> Section:
    """What flows through the pipeline."""
    pipeline = view.session.pipeline
    rows = [("data", pipeline.spaces[0])]
    rows += [(type(t).__name__, space) for t, space in zip(pipeline.transforms, pipeline.spaces[1:], strict=True)]
    if latent := getattr(pipeline.generator, "latent", None):
        rows.append((f"{type(pipeline.generator).__name__}, latent", latent))
    count = sum(p.numel() for p in pipeline.parameters() if p.requires_grad)
    said = f"{count:,} trained parameters."
    if known := view.evaluation.get("evaluations"):
        stages = ", ".join(f"{number:,} of the {stage}" for stage, number in known.items())
        said += f" Evaluations for one image: {stages}."
    return Section("Spaces", table(["after", "space"], rows) + f"<p>{html.escape(said)}</p>")


def recipe(view: View) -> Section:
    """The recipe with every default, and where each value came from."""
    return Section("Recipe", f"<pre>{html.escape(view.folder.head()['resolved.yaml'].decode())}</pre>")


def environment(view: View) -> Section:
    """The lock: what would have to be equal to get the same bytes."""
    rows = []
    for key, value in view.folder.lock().items():
        if key == "plugins":
            value = ", ".join(f"{name} {fact['version']}" for name, fact in value.items())
        elif isinstance(value, dict):
            value = ", ".join(f"{name} {fact}" for name, fact in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        rows.append((key, "" if value is None else value))
    return Section("Environment", table(["fact", "value"], rows))


SECTIONS = (samples, figures, reconstructions, curves, spaces, bands, recipe, environment)
