"""What was found, drawn, and as sections of a page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Plot

from wavekit_core.bands.cells import mean, tables
from wavekit_core.bands.formulas import snr
from wavekit_core.bands.predictions import Predicted
from wavekit_core.bands.survey import OCTAVES, THRESHOLD, Survey
from wavekit_core.bands.verdicts import verdicts
from wavekit_core.report.sections import Section, plot, table

TIMES = [10 ** (power / 10) for power in range(-30, 9)]  # of the Ornstein–Uhlenbeck process, 0.001 to 6
STYLES = {"A": "-", "H": "-", "V": "--", "D": ":"}
CAPTION = (
    "Above: share of the variance by band; signal to noise of each band against time; share of small coefficients by level "
    "against the threshold, as a share of the image's range. Below: distance of crops to white noise; predicted KL of samplers "
    "on Gaussian data of the measured spectra against evaluations of the network; the same as Wasserstein distance."
)


def drawn(survey: Survey, predicted: Sequence[Predicted]) -> Plot:
    """Six panels: energy, signal to noise, sparsity, distance to white noise, predicted errors."""
    figure = Plot(figsize=(12, 7.2), layout="constrained")
    panels = [figure.add_subplot(2, 3, index) for index in range(1, 7)]
    for axes in panels:
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    _energy(panels[0], survey)
    _noise(panels[1], survey)
    _sparsity(panels[2], survey)
    _whiteness(panels[3], survey)
    _errors(panels[4], predicted, "kl", "KL(data ‖ samples), nats a dimension")
    _errors(panels[5], predicted, "w2", "squared Wasserstein distance, a dimension")
    figure.legend(*panels[4].get_legend_handles_labels(), fontsize=7, loc="outside lower center", ncols=4)
    return figure


def _titled(axes: Axes, title: str, along: str, up: str, legend: bool = True) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(along, fontsize=7)
    axes.set_ylabel(up, fontsize=7)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=6)


def _energy(axes: Axes, survey: Survey) -> None:
    names = [band.name for band in survey.bands]
    axes.bar(range(len(names)), [max(survey.share(band), 1e-12) for band in survey.bands], color=_colours(survey))
    axes.set_yscale("log")
    axes.set_xticks(range(len(names)), names, rotation=60)
    _titled(axes, "Energy", "band", "share of the variance", legend=False)


def _colours(survey: Survey) -> list[str]:
    return [f"C{band.level if band.name[1] != 'A' else 0}" for band in survey.bands]


def _noise(axes: Axes, survey: Survey) -> None:
    gain = (2 / (survey.space.image.high - survey.space.image.low)) ** 2
    for band, colour in zip(survey.bands, _colours(survey), strict=True):
        values = [snr(max(gain * band.variance, 1e-12), t) for t in TIMES]
        axes.loglog(TIMES, values, color=colour, linestyle=STYLES[band.name[1]], linewidth=1, label=band.name)
    axes.axhline(1, color="grey", linewidth=1)
    axes.set_ylim(1e-4, None)
    _titled(axes, "Signal to noise", "time t", "ratio, images in [−1, 1]")


def _sparsity(axes: Axes, survey: Survey) -> None:
    thresholds = [THRESHOLD * 2.0**octave for octave in OCTAVES]
    for level in range(1, survey.space.levels + 1):
        shares = [mean(values) for values in zip(*(band.below for band in survey.at(level)), strict=True)]
        axes.semilogx(thresholds, shares, color=f"C{level}", linewidth=1, marker=".", label=f"level {level}")
        at = THRESHOLD * 2.0 ** (level - 1)
        axes.plot([at], [mean([band.sparsity(True) for band in survey.at(level)])], "o", color=f"C{level}", mfc="none")
    axes.axvline(THRESHOLD, color="grey", linewidth=1)
    _titled(axes, "Sparsity (rings: τ doubled a level)", "τ", "share of |c| ≤ τ")


def _whiteness(axes: Axes, survey: Survey) -> None:
    fields = [(field, field.crops) for field in survey.approximations if field.crops]
    for attribute, label in (("kl", "KL(N(0, I) ‖ crops)"), ("kl_reverse", "KL(crops ‖ N(0, I))")):
        points = [(field.level, getattr(crops, attribute)) for field, crops in fields]
        finite = [(level, value) for level, value in points if value != float("inf")]
        if finite:
            axes.semilogy(*zip(*finite, strict=True), marker=".", linewidth=1, label=label)
    axes.set_xticks([field.level for field in survey.approximations])
    _titled(axes, "Distance to white noise", "level of the approximation", "nats a dimension")


def _errors(axes: Axes, predicted: Sequence[Predicted], attribute: str, up: str) -> None:
    whats, samplers = (list(dict.fromkeys(getattr(one, key) for one in predicted)) for key in ("what", "sampler"))
    for i, what in enumerate(whats):
        for j, sampler in enumerate(samplers):
            some = [one for one in predicted if (one.what, one.sampler) == (what, sampler)]
            points: list[tuple[Any, Any]] = [(one.evaluations, getattr(one, attribute)) for one in some]
            style, name = ("-", "--", ":", "-.")[j % 4], f"{what}, {sampler}"
            axes.loglog(*zip(*points, strict=True), color=f"C{i}", linestyle=style, linewidth=1, marker=".", label=name)
    _titled(axes, "Predicted error", "evaluations of the network", up, legend=False)


def summary(survey: Survey, predicted: Sequence[Predicted]) -> str:
    """The picture and the verdicts, as HTML."""
    said = "".join(f"<p>{html.escape(one)}</p>" for one in verdicts(survey, predicted))
    return plot(drawn(survey, predicted), CAPTION) + said


def sections(survey: Survey, predicted: Sequence[Predicted]) -> list[Section]:
    """A whole page's."""
    found = [Section("What the bands show", summary(survey, predicted))]
    for title, cells, note in tables(survey, predicted):
        found.append(Section(title, table(*cells) + f"<p class=dim>{html.escape(note)}</p>"))
    return found
