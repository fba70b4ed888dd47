"""wavekit verify"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, echo


def command(
    run: Annotated[Path, Argument(help="A run folder, or one of its checkpoints.")],
    fingerprint: Annotated[bool, Option("--fingerprint", help="Print the fingerprint of all results alone.")] = False,
) -> None:
    """Check every digest of a run; print the fingerprint of its results and the newest restorable step."""
    if (run / "grid.json").exists():
        from wavekit_cli.grids import verify_grid

        verify_grid(run)
        return
    from wavekit_core.runs.verify import verify

    found = verify(run)
    if fingerprint:
        echo(found.fingerprint)
        return
    echo(f"{run}: {found.files} files, every digest as written")
    if found.fingerprint:
        echo(f"fingerprint: {found.fingerprint}")
    echo(f"newest restorable step: {found.step}")
