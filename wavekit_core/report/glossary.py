"""What each figure says, in a sentence of its metric's own docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

from wavekit_core.kinds import Metric

# "`name`: what it is", up to the end of the sentence
_ENTRY = re.compile(r"`([^`\s]+)`: (.+?[.;])(?= |$)")
_BRACKETS = re.compile(r" \([^()]*\)")  # sources, which end no sentence
_SENTENCE = re.compile(r".+?\.(?= |$)")


def sentences(metrics: Iterable[Metric], figures: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs (name, sentence) for the figures that were measured: a metric's docstring says "`name`: what it is", or else its
    first sentence stands for all of its figures. A figure `a/b` or `a[b]` is explained with `a`."""
    found: dict[str, str] = {}
    for metric in metrics:
        text = _BRACKETS.sub("", " ".join((inspect.getdoc(type(metric)) or "").split()))
        entries = {name: said for name, said in _ENTRY.findall(text) if any(_belongs(f, name) for f in figures)}
        first = _SENTENCE.match(text)
        if not entries and first and type(metric).__doc__ is not None:
            entries = {name_of(metric): first[0]}
        found |= {name: f"{said[0].upper()}{said[1:].rstrip('.;')}." for name, said in entries.items()}
    return list(found.items())


def name_of(metric: Metric) -> str:
    """A metric as its recipe calls it."""
    checked = getattr(metric, "_checked", None)
    return str(checked.entry.name) if checked and checked.entry else type(metric).__name__


def _belongs(figure: str, name: str) -> bool:
    return figure == name or (figure.startswith(name) and figure[len(name)] in "/[")
