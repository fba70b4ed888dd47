"""Curves in panels, for the report and for comparisons."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.figure import Figure as Plot

COLUMNS = 3
TERM = "mean over a batch"  # the unit of a loss's terms
STYLES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Curve:
    """Points of one run; `marks` shows each."""

    label: str
    points: Sequence[tuple[float, float]]
    colour: str = "C0"
    style: str = "-"
    marks: bool = False


@dataclass(frozen=True)
class Panel:
    """One quantity, or several of one unit that a legend of its own tells apart if they are `named`. `unit` stands at the
    upright axis; `level` is a value to compare with, drawn across."""

    title: str
    unit: str
    curves: Sequence[Curve]
    level: float | None = None
    named: bool = False


def panels(shown: Sequence[Panel], along: str, named: bool = True) -> Plot:
    """Panels with the axis `along` in common, and one legend of the curves' labels if they are to be `named`."""
    rows = -(-len(shown) // COLUMNS)
    height, top = 2.4 * rows + 0.6, 0.3 + 0.25 * named * -(-len({c.label for p in shown for c in p.curves}) // 4)
    figure = Plot(figsize=(11, height + top))  # margins by hand: matplotlib's own layout takes several drawings
    edges = {"left": 0.06, "right": 0.99, "bottom": 0.5 / (height + top), "top": 1 - (top + 0.2) / (height + top)}
    figure.subplots_adjust(**edges, wspace=0.25, hspace=0.55)
    labels: dict[str, Artist] = {}
    for index, panel in enumerate(shown, 1):
        axes = figure.add_subplot(rows, COLUMNS, index)
        for curve in panel.curves:
            alone = curve.marks or len(curve.points) == 1
            (line,) = axes.plot(
                *zip(*curve.points, strict=True),
                linewidth=1,
                color=curve.colour,
                linestyle=curve.style,
                marker="." if alone else "",
            )
            line.set_label(_plain(curve.label))
            labels.setdefault(curve.label, line)
        if panel.level is not None:
            line = axes.axhline(panel.level, color="grey", linestyle=":", linewidth=1)
            labels.setdefault("real images", line)
        axes.set_title(panel.title, fontsize=9, parse_math=False)
        axes.set_xlabel(along, fontsize=7, parse_math=False)
        axes.set_ylabel(textwrap.fill(panel.unit, 30), fontsize=7, parse_math=False)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
        if panel.named:
            axes.legend(fontsize=6, ncols=2, loc="upper right")
    if named:
        figure.legend(list(labels.values()), [_plain(name) for name in labels], loc="upper left", ncols=4, fontsize=8)
    return figure


def _plain(label: str) -> str:
    return label.replace("$", r"\$")
