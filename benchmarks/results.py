"""What benchmarks leave: the files of docs/results, which docs/tables.py makes tables of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wavekit_core.runs.facts import machine


def publish(
    file: Path | None, title: str, command: str, rows: Sequence[Any], commit: str | None = None, **more: Any
) -> None:
    """Write `rows` to `file`, if one is asked for, with what they are, the command that made them, and the machine. `commit` is
    that of the runs that were measured; `more` stands between: a note, notes, tables."""
    if file is not None:
        result = {"title": title, "command": command, "machine": machine(), "commit": commit, **more, "rows": rows}
        file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
