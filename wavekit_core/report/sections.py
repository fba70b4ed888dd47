"""What a section of the report is, and what it is made from.

A plugin adds one with the hook `report_section(view) -> Section | None`.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure as Plot

from wavekit_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from wavekit_core.session import Session


@dataclass(frozen=True)
class View:
    """A run as the report sees it: the session holds the data and the model with its averaged weights in place."""

    folder: RunFolder
    session: Session
    step: int
    rows: Sequence[dict[str, Any]]  # of metrics.jsonl
    evaluation: dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A title and the HTML below it. Everything is inline: the page opens from disk."""

    title: str
    body: str


def picture(png: bytes, caption: str) -> str:
    """A PNG as an inline figure."""
    data = base64.b64encode(png).decode()
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'


def plot(figure: Plot, caption: str) -> str:
    """A matplotlib figure as an inline PNG, twice the screen's resolution."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=160, bbox_inches="tight", metadata={"Software": None})
    return picture(out.getvalue(), caption)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; cells are escaped."""

    def line(cells: Sequence[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
