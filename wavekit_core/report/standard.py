"""The sections that every report has, in their order. Recipe and environment come last, after those of plugins."""

from __future__ import annotations

import html
from collections import defaultdict
from typing import Any

from matplotlib.figure import Figure as Plot

from wavekit_core.report.sections import Section, View, picture, plot, table


def samples(view: View) -> Section | None:
    """The newest grid large, earlier ones small: the way through training."""
    steps = [s for s in view.folder.sample_steps() if s <= view.step and "grid.png" in view.folder.sample_files(s)]
    if not steps:
        return None
    columns = ", a column a class" if view.session.dataset.classes and view.session.pipeline.conditional else ""
    body = _grid(view, steps[-1], f"Samples at step {steps[-1]}{columns}")
    earlier = [_grid(view, step, f"step {step}") for step in _spread(steps[:-1], 6)]
    if earlier:
        body += f"<p class=dim>On the way:</p><div class=row>{''.join(earlier)}</div>"
    return Section("Samples", body)


def _grid(view: View, step: int, caption: str) -> str:
    return picture(view.folder.sample_files(step)["grid.png"], caption)


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
    """Every metric, with the control's figure and the floor beside it."""
    rows = view.evaluation["figures"]
    if not rows:
        return None
    control = {row["name"]: row for row in rows if row["subject"] == "control"}
    head = ["figure", "model"] + (["control"] if control else []) + ["real images", "images", "better"]
    lines, behind = [], []
    for row in (row for row in rows if row["subject"] == "model"):
        line = [f"{row['name']} ({row['unit']})" if row["unit"] else row["name"], f"{row['value']:.4g}"]
        if control:
            beside = control.get(row["name"])
            line.append(f"{beside['value']:.4g}" if beside else "")
            if beside and _badness(beside) < _badness(row):
                behind.append(row["name"])
        lines.append([*line, "" if row["floor"] is None else f"{row['floor']:.4g}", row["count"], row["better"]])
    note = (
        f"<p>The control, which trains no network, is better in: {html.escape(', '.join(behind))}.</p>"
        if behind
        else ""
    )
    averaged = "averaged weights" if view.evaluation["averaged"] else "the last weights"
    return Section(
        "Figures",
        table(head, lines) + note + f"<p class=dim>Measured on {averaged}; images rounded to 8 bits first.</p>",
    )


def _badness(row: dict[str, Any]) -> float:
    if row["better"] == "real":
        return abs(float(row["value"]) - float(row["floor"]))
    return float(row["value"]) * (-1 if row["better"] == "higher" else 1)


def curves(view: View) -> Section | None:
    """Every logged term against the step."""
    series: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in view.rows:
        for key, value in row.items():
            if key not in ("step", "images", "rate"):
                series[key].append((row["step"], value))
    if not series:
        return None
    names = list(series)
    columns = 3
    figure = Plot(figsize=(11, 2.3 * -(-len(names) // columns)), layout="constrained")
    for index, name in enumerate(names, 1):
        axes = figure.add_subplot(-(-len(names) // columns), columns, index)
        axes.plot(*zip(*series[name], strict=True), linewidth=1, marker="." if len(series[name]) == 1 else "")
        axes.set_title(name, fontsize=9, parse_math=False)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    return Section("Curves", plot(figure, "Means over the steps between two points"))


def spaces(view: View) -> Section:
    """What flows through the pipeline."""
    pipeline = view.session.pipeline
    rows = [("data", pipeline.spaces[0])]
    rows += [(type(t).__name__, space) for t, space in zip(pipeline.transforms, pipeline.spaces[1:], strict=True)]
    if latent := getattr(pipeline.generator, "latent", None):
        rows.append((f"{type(pipeline.generator).__name__}, latent", latent))
    count = sum(p.numel() for p in pipeline.parameters() if p.requires_grad)
    return Section("Spaces", table(["after", "space"], rows) + f"<p>{count:,} trained parameters.</p>")


def recipe(view: View) -> Section:
    """The recipe with every default, and where each value came from."""
    return Section("Recipe", f"<pre>{html.escape(view.folder.head()['resolved.yaml'].decode())}</pre>")


def environment(view: View) -> Section:
    """The lock: what would have to be equal to get the same bytes."""
    rows = []
    for key, value in view.folder.lock().items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {fact['version']}" for name, fact in value.items())
        rows.append((key, value))
    return Section("Environment", table(["fact", "value"], rows))


SECTIONS = (samples, figures, reconstructions, curves, spaces, recipe, environment)
