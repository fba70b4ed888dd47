"""The page of a comparison."""

from __future__ import annotations

import html
import statistics
from collections.abc import Sequence

from matplotlib.ticker import LogLocator, NullFormatter

from wavekit_core.compare.collect import AXES, Run
from wavekit_core.compare.comparison import DRAWING, Comparison, families
from wavekit_core.compare.rows import facts_of, figures_of, means_of, settings_of
from wavekit_core.report.cells import Cells, of_model
from wavekit_core.report.curves import STYLES, TERM, Curve, Panel, panels
from wavekit_core.report.sections import HALF, SMALL, Section, page, picture, plot, table
from wavekit_core.runs.manifest import listing


def page_of(title: str, comparison: Comparison, against: str, claims: Cells | None = None) -> bytes:
    """One self-contained page; the curves stand against `against` first. `claims` is a table of a paper's claims beside ours."""
    sections = [
        _claims(claims) if claims else None,
        _figures(comparison),
        _seeds(comparison),
        Section("Facts", _wide(facts_of(comparison))),
        Section("Settings that differ", _wide(settings_of(comparison))) if comparison.settings else None,
        _costs(comparison),
        _curves(comparison, against),
        _pictures(comparison, "grid.png", "Samples", "Drawn with the same keys where the seeds are the same."),
        _pictures(
            comparison, "reconstructions.png", "Reconstructions", "Held-out images, and below each its reconstruction."
        ),
    ]
    lead = html.escape(f"{len(comparison.runs)} runs beside each other.")
    return page(title, lead, [section for section in sections if section])


def _wide(cells: Cells) -> str:
    return f"<div class=wide>{table(*cells)}</div>"


def _claims(claims: Cells) -> Section:
    how = (
        "<p class=dim>Each figure of the first cells over, or less, that of the second: the mean over pairs of cells of the same "
        "seed ± its standard deviation (N − 1 in its denominator), beside what the paper says. “Reproduces” is within a tenth of "
        "the paper's number.</p>"
    )
    return Section("Claims", _wide(claims) + how)


def _figures(comparison: Comparison) -> Section:
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in comparison.notes)
    cells = figures_of(comparison)
    controls = " a / b under control are the runs' own controls." if "control" in cells.head else ""
    how = (
        "<p class=dim>Of the newest evaluation of each run. A star marks the best; “real” is best near the value of real "
        f"images, which is the same measure between real images. N is the number of images measured.{controls}</p>"
    )
    body = _wide(cells) + how if comparison.lines else "<p>No run has been evaluated yet.</p>"
    return Section("Figures", body + (f"<ul>{notes}</ul>" if notes else ""))


def _seeds(comparison: Comparison) -> Section | None:
    if not comparison.means:
        return None
    how = (
        "<p class=dim>Mean ± standard deviation over runs that differ only in seed (N − 1 in its denominator), and each "
        "mean against that of the first column: × a ratio, for what is better when lower and for facts; + or − a difference, "
        "for other figures.</p>"
    )
    return Section("Over seeds", _wide(means_of(comparison)) + how)


def _curves(comparison: Comparison, against: str) -> Section | None:
    tabs = []
    for axis, along in AXES.items():
        shown = _panels(comparison, axis)
        if shown:
            tabs.append(
                (axis, plot(panels(shown, along), f"Every term of the losses and every figure against: {along}"))
            )
    if not tabs:
        return None
    chosen = against if against in dict(tabs) else tabs[0][0]
    inputs = "".join(
        f'<input type="radio" name="axis" id="axis-{axis}"{" checked" if axis == chosen else ""}>'
        f'<label for="axis-{axis}">{axis}</label>'
        for axis, _ in tabs
    )
    bodies = "".join(f'<div class="tab{index}">{body}</div>' for index, (_, body) in enumerate(tabs, 1))
    how = "<p class=dim>Losses are means over the steps between two points; runs of one colour differ only in seed.</p>"
    return Section("Curves", f"<div class=tabs>{inputs}{bodies}</div>{how}")


def _costs(comparison: Comparison) -> Section | None:
    """Every distance to real images against the time that drawing takes, where at least two runs know both."""
    shown = []
    for line in comparison.lines:
        known = [
            index
            for index, row in enumerate(line.rows)
            if row and row["floor"] is not None and _drawing(comparison, index)
        ]
        if line.better != "lower" or line.apart or len(known) < 2:
            continue
        curves = []
        for number, family in enumerate(families(comparison)):
            points = []
            for group in family.groups:
                if members := [index for index in group.members if index in known]:
                    seconds = statistics.fmean(_drawing(comparison, index) for index in members)
                    points.append((seconds, statistics.fmean(line.rows[index]["value"] for index in members)))  # type: ignore[index]
            if points:
                curves.append(Curve(family.name, sorted(points), f"C{number % 10}", marks=True))
        shown.append(Panel(line.name, line.unit, curves, line.rows[known[0]]["floor"]))  # type: ignore[index]
    if not shown:
        return None
    drawn = panels(shown, DRAWING)
    for axes in drawn.axes:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    how = "<p class=dim>Means over seeds. A curve joins runs of the same training that are drawn from in different ways.</p>"
    return Section("Figures against drawing", plot(drawn, f"Distances to real images against: {DRAWING}") + how)


def _drawing(comparison: Comparison, index: int) -> float:
    """Seconds for 100 images; 0 if a run does not know."""
    drawing = comparison.runs[index].drawing
    return drawing[0] if drawing else 0.0


def _panels(comparison: Comparison, axis: str) -> list[Panel]:
    looks = _looks(comparison)
    terms: dict[str, list[Curve]] = {}
    figures: dict[str, tuple[str, float | None, list[Curve]]] = {}
    for run, (colour, style) in zip(comparison.runs, looks, strict=True):
        for name, values in run.terms.items():
            if points := _placed(run, values, axis):
                terms.setdefault(name, []).append(Curve(run.name, points, colour, style))
        measured: dict[str, list[tuple[int, float]]] = {}
        rows = [(one["step"], row) for one in run.evaluations for row in of_model(one["figures"])]
        for step, row in rows:
            measured.setdefault(row["name"], []).append((step, row["value"]))
        newest = {row["name"]: row for _, row in rows}
        for name, values in measured.items():
            if points := _placed(run, values, axis):
                kept = figures.setdefault(name, (newest[name]["unit"], newest[name]["floor"], []))
                kept[2].append(Curve(run.name, points, colour, style, marks=True))
    shown = [Panel(name, TERM, curves) for name, curves in terms.items()]
    moving = {name: kept for name, kept in figures.items() if any(len(curve.points) > 1 for curve in kept[2])}
    return shown + [Panel(name, unit, curves, level) for name, (unit, level, curves) in moving.items()]


def _looks(comparison: Comparison) -> list[tuple[str, str]]:
    """Colour and line of every run: a colour a group."""
    looks = {}
    for number, group in enumerate(comparison.groups):
        for turn, index in enumerate(group.members):
            looks[index] = (f"C{number % 10}", STYLES[turn % len(STYLES)])
    return [looks[index] for index in range(len(comparison.runs))]


def _placed(run: Run, values: Sequence[tuple[int, float]], axis: str) -> list[tuple[float, float]]:
    found = [(run.place(step, axis), value) for step, value in values]
    return [(place, value) for place, value in found if place is not None]


def _pictures(comparison: Comparison, name: str, title: str, caption: str) -> Section | None:
    """One kind of picture of every run, at the newest step that all have, or at each one's own newest."""
    having = {
        run.name: [step for step in run.folder.sample_steps() if name in listing(run.folder.sample_folder(step))]
        for run in comparison.runs
    }
    having = {run: steps for run, steps in having.items() if steps}
    if not having:
        return None
    common = set.intersection(*map(set, having.values()))
    shown = []
    for run in comparison.runs:
        if steps := having.get(run.name):
            step = max(common) if common else steps[-1]
            text = f"{run.name}, step {step}, seed {run.seed}"
            shown.append(
                picture(run.folder.sample_files(step)[name], text, HALF if len(having) in (1, 2, 4) else SMALL)
            )
    kind = "half" if len(shown) in (1, 2, 4) else "row"
    return Section(title, f"<p class=dim>{html.escape(caption)}</p><div class={kind}>{''.join(shown)}</div>")
