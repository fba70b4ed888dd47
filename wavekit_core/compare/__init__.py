"""Several runs beside each other: figures, facts, curves and pictures.

`compare(folders)` is the comparison as plain data; `compare_rows` gives it for a JSON file, `compare_page` as a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wavekit_core.compare.comparison import Comparison, compare
from wavekit_core.compare.rows import rows_of
from wavekit_core.runs.folder import RunFolder

__all__ = ["Comparison", "compare", "compare_page", "compare_rows"]


def compare_rows(folders: Sequence[RunFolder], baseline: RunFolder | None = None) -> dict[str, Any]:
    """The comparison for a JSON file: rows of figures, facts of the runs, means over seeds, notes."""
    return rows_of(compare(folders, baseline))


def compare_page(
    title: str, folders: Sequence[RunFolder], baseline: RunFolder | None = None, against: str = "steps"
) -> bytes:
    """The comparison as one HTML page that needs nothing but itself; its curves stand against `against` (steps, images,
    seconds or flops) first."""
    from wavekit_core.compare.page import page_of  # matplotlib only when it is drawn

    return page_of(title, compare(folders, baseline), against)
