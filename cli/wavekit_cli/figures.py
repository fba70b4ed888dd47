"""Figures as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table


def figures_table(rows: Sequence[dict[str, Any]]) -> Table:
    """A row a figure: the model's value, the control's and the real images' beside it."""
    control = {row["name"]: row for row in rows if row["subject"] == "control"}
    table = Table("figure", "model", "control", "real images", "images", "better", box=None, pad_edge=False)
    for row in (row for row in rows if row["subject"] == "model"):
        beside = control.get(row["name"])
        table.add_row(
            f"{row['name']} ({row['unit']})" if row["unit"] else row["name"],
            f"{row['value']:.4g}",
            f"{beside['value']:.4g}" if beside else "",
            "" if row["floor"] is None else f"{row['floor']:.4g}",
            str(row["count"]),
            row["better"],
        )
    return table
