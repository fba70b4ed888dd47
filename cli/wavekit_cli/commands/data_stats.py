"""wavekit data stats"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Context, Option

from wavekit_cli.commands.run import DataRoot, Settings, use_data_root

if TYPE_CHECKING:
    from wavekit_core.bands import Predicted, Subject, Survey


def command(
    target: Annotated[str, Argument(help="A recipe, or a data set's name.")],
    context: Context,
    settings: Settings = None,
    images: Annotated[int | None, Option(metavar="N", min=1, help="Look at N training images (default: all).")] = None,
    crop: Annotated[
        int | None,
        Option(
            metavar="N", min=2, max=32, help="Side of the crops compared with white noise (default: by their number)."
        ),
    ] = None,
    json_file: Annotated[Path | None, Option("--json", metavar="FILE", help="Write the figures there.")] = None,
    html_file: Annotated[
        Path | None, Option("--html", metavar="FILE", help="Write a page with pictures there.")
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """A data set in the bands of its recipe's wavelet transform, or of Haar: energy, signal to noise, distance to white noise,
    sparsity, conditioning, and the error that samplers are predicted to make."""
    from wavekit_core.runs.publish import require_place

    for file in (json_file, html_file):
        require_place(file)
    use_data_root(data_root)
    from wavekit_cli.console import out, watcher
    from wavekit_cli.figures import print_table
    from wavekit_core.bands import predictions, survey
    from wavekit_core.bands.cells import tables
    from wavekit_core.bands.verdicts import verdicts
    from wavekit_core.runs.publish import publish_file

    view, console = watcher(), out()
    subject = _subject(target, settings)
    found = survey(subject, images, crop, view)
    predicted = predictions(found, watcher=view)
    console.print(f"{found.images:,} training images, {found.space}")
    for remark in subject.remarks:
        console.print(f"note: {remark}")
    for title, cells, note in tables(found, predicted):
        console.print(f"\n{title}", style="bold")
        print_table(console, cells)
        console.print(note, style="dim")
    console.print()
    for verdict in verdicts(found, predicted):
        console.print(verdict)
    title = f"Bands of {' '.join([target, *(settings or ())])}"
    if json_file:
        result = document(title, subject, found, predicted, context.find_root().obj)
        publish_file(json_file, json.dumps(result, indent=1, ensure_ascii=False).encode() + b"\n")
        console.print(f"figures: {json_file}")
    if html_file:
        from wavekit_core.bands.pictures import sections
        from wavekit_core.report.sections import page

        lead = f"{found.images:,} training images, {found.space}."
        publish_file(html_file, page(title, lead, sections(found, predicted)))
        console.print(f"page: {html_file}")


def _subject(target: str, settings: list[str] | None) -> Subject:
    from wavekit_cli.commands.data_info import dataset_of
    from wavekit_core.bands import subject_of
    from wavekit_core.recipe.recipe import load
    from wavekit_core.registry import installed

    dataset = dataset_of(target, settings)
    is_name = target in installed().names("dataset") or (":" in target and not os.path.exists(target))
    return subject_of(dataset, None if is_name else load(Path(target), settings or ()))


def document(
    title: str, subject: Subject, found: Survey, predicted: Sequence[Predicted], argv: Sequence[str]
) -> dict[str, Any]:
    """What `--json` writes; `docs/tables.py` reads it."""
    from wavekit_cli.figures import command_line
    from wavekit_core.bands.cells import rows, tables
    from wavekit_core.bands.verdicts import verdicts
    from wavekit_core.runs.facts import machine

    shown = [(name, cells) for name, cells, _ in tables(found, predicted)]
    return {
        "title": title,
        "command": command_line(argv, ("--json", "--html", "--data-root")),
        "machine": machine(),
        "commit": None,
        "images": found.images,
        "notes": [f"{found.images:,} training images, {found.space}.", *subject.remarks, *verdicts(found, predicted)],
        "tables": [
            {"head": [cells.head[0] or name, *cells.head[1:]], "lines": [[*line] for line in cells.lines]}
            for name, cells in shown
        ],
        "rows": rows(found, predicted),
    }
