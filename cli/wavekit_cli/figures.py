"""Tables on the terminal."""

from __future__ import annotations

from rich.table import Table

from wavekit_core.report.cells import Cells


def terminal_table(cells: Cells) -> Table:
    """Cells as they stand."""
    table = Table(*cells.head, box=None, pad_edge=False)
    for line in cells.lines:
        table.add_row(*line)
    return table
