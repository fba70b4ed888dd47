"""What a section of the report is, and what it is made from.

A plugin adds one with the hook `report_section(view) -> Section | None`.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Plot
from PIL import Image

from wavekit_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from wavekit_core.session import Session

WIDTH = 1400  # pixels of a picture across the page, on a screen of high resolution
HALF, SMALL = 900, 500  # of one of two, or of one among several in a row
DPI = 160
EXACT = 300_000  # bytes up to which a picture is kept as it is


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


def page(heading: str, lead: str, sections: Sequence[Section], step: int | None = None) -> bytes:
    """A whole page. `lead` is HTML; `step` is that of the run which the page reports, if it is one."""
    template = jinja2.Template((files(__package__) / "page.html").read_text(), autoescape=True)
    return template.render(heading=heading, lead=lead, sections=sections, step=step).encode()


def picture(png: bytes, caption: str, width: int = WIDTH) -> str:
    """A PNG as an inline figure. A large one is brought to `width` pixels and JPEG, so that pages stay small enough to send;
    the exact one is in the run folder."""
    kind, content = "png", png
    if len(png) > EXACT:
        image = Image.open(io.BytesIO(png)).convert("RGB")
        image.thumbnail((width, 4 * width), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        image.save(out, "jpeg", quality=88)
        kind, content = min(("jpeg", out.getvalue()), ("png", png), key=lambda one: len(one[1]))
    return _inline(kind, content, caption)


def _inline(kind: str, content: bytes, caption: str) -> str:
    data, text = base64.b64encode(content).decode(), html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/{kind};base64,{data}"><figcaption>{text}</figcaption></figure>'


def plot(figure: Plot, caption: str) -> str:
    """A matplotlib figure as an inline PNG of few colours, twice the screen's resolution."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    out = io.BytesIO()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    drawn.quantize(128, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out, "png")
    return _inline("png", out.getvalue(), caption)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; cells are escaped."""

    def line(cells: Sequence[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
