"""wavekit compare"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option


def command(
    runs: Annotated[
        list[Path], Argument(help="Run folders; a grid's folder stands for its finished cells.", metavar="RUN...")
    ],
    json_file: Annotated[Path | None, Option("--json", metavar="FILE", help="Write the figures there.")] = None,
    html_file: Annotated[Path | None, Option("--html", metavar="FILE", help="Write a page there.")] = None,
    against: Annotated[
        Literal["steps", "images", "seconds", "flops"], Option(help="What the page's curves stand against at first.")
    ] = "steps",
    baseline: Annotated[
        Path | None, Option(metavar="RUN", help="The run against whose group means are set (default: the first).")
    ] = None,
) -> None:
    """Runs beside each other: figures, facts, means over seeds; with --html also curves and pictures."""
    from wavekit_cli.console import out
    from wavekit_cli.figures import print_table
    from wavekit_core.compare import compare
    from wavekit_core.compare.rows import legend_of, rows_of, tables_of
    from wavekit_core.grid.folder import runs_in
    from wavekit_core.runs.folder import RunFolder
    from wavekit_core.runs.publish import publish_file

    folders = [folder for path in runs for folder in runs_in(path)]
    found = compare(folders, RunFolder(baseline) if baseline else None)
    console = out()
    for table in tables_of(found):
        print_table(console, table)
        for line in legend_of(table):
            console.print(line, style="dim")
        console.print()
    for note in found.notes:
        console.print(f"note: {note}")
    if json_file:
        publish_file(json_file, json.dumps(rows_of(found), indent=1).encode() + b"\n")
    if html_file:
        from wavekit_core.compare.page import page_of  # matplotlib only when it is drawn

        publish_file(html_file, page_of("Comparison", found, against))
        console.print(f"page: {html_file}")
