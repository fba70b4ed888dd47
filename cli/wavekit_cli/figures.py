"""Tables on the terminal: no number and no name is ever cut; a table that is too wide is split into several."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console

from wavekit_core.report.cells import Cells

GAP = 2  # between columns
_UNIT = re.compile(r" \(.*\)(?= \[|$)")  # of "name (unit) [not comparable: …]"
_ASIDE = re.compile(r" [(\[].*")


def print_table(console: Console, cells: Cells) -> None:
    """Print cells as wide as the console at most, the names of the columns in bold."""
    for index, (head, lines) in enumerate(laid_out(cells, console.width)):
        if index:
            console.print()
        console.print("\n".join(head), style="bold")
        if lines:
            console.print("\n".join(lines))


def laid_out(cells: Cells, width: int) -> list[tuple[list[str], list[str]]]:
    """Cells as one or several tables of at most `width` characters, each a head and lines of text.

    A table that is too wide has its first column wrapped. If that is not enough, the other columns are spread over several
    tables that repeat the names of the first one; it loses its units where they leave too little room.
    """
    columns = list(zip(cells.head, *cells.lines, strict=True))
    wide = [max(map(cell_len, column)) for column in columns]
    if sum(wide) + GAP * (len(wide) - 1) <= width:
        return [_table(columns, wide)]
    wide[1:] = [max(*map(cell_len, column[0].split()), *map(cell_len, column[1:]), 1) for column in columns[1:]]
    others = sum(wide[1:]) + GAP * (len(wide) - 1)
    first, bare = columns[0], tuple(_UNIT.sub("", text) for text in columns[0])
    for tried in (first, bare):
        if others + _least(tried, width) <= width:
            return [_table([tried, *columns[1:]], [width - others, *wide[1:]])]
    if _least(first, width) + GAP + max(wide[1:], default=0) > width:
        first = bare
    names = tuple(_ASIDE.sub("", text) for text in columns[0])
    tables: list[tuple[list[str], list[str]]] = []
    at = 1
    while at < len(columns):
        shown = names if tables else first
        low = min(_least(shown, width), max(1, width - GAP - 1))
        most = max(1, width - low - GAP)
        used, end = low, at
        while end < len(columns) and (end == at or used + GAP + wide[end] <= width):
            used += GAP + min(wide[end], most)
            end += 1
        tables.append(_table([shown, *columns[at:end]], [low, *(min(size, most) for size in wide[at:end])]))
        at = end
    return tables


def _least(column: Sequence[str], width: int) -> int:
    """The room that a first column needs: its longest word, and a third of the width if it can use that."""
    return max(_longest_word(column), min(width // 3, max(map(cell_len, column))))


def _longest_word(column: Sequence[str]) -> int:
    return max((cell_len(word) for text in column for word in text.split()), default=1)


def _table(columns: Sequence[Sequence[str]], wide: Sequence[int]) -> tuple[list[str], list[str]]:
    """The lines of the first row, and those of all others; the text of a cell is wrapped to its column."""
    rows = []
    for row in zip(*columns, strict=True):
        parts = [_wrapped(text, size) for text, size in zip(row, wide, strict=True)]
        lines = []
        for at in range(max(map(len, parts))):
            shown = [part[at] if at < len(part) else "" for part in parts]
            padded = [text + " " * (size - cell_len(text)) for text, size in zip(shown, wide, strict=True)]
            lines.append((" " * GAP).join(padded).rstrip())
        rows.append(lines)
    return rows[0], [line for lines in rows[1:] for line in lines]


def _wrapped(text: str, width: int) -> list[str]:
    return [text] if cell_len(text) <= width else textwrap.wrap(text, width, break_on_hyphens=False)


def command_line(argv: Sequence[str], without: Sequence[str]) -> str:
    """The command as it is kept beside its figures: without these options and their values, which name places of one machine."""
    named = [word.split("=")[0] in without or (i > 0 and argv[i - 1] in without) for i, word in enumerate(argv)]
    return " ".join(["wavekit", *(word for word, place in zip(argv, named, strict=True) if not place)])
