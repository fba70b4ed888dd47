"""Faults of a recipe, all at once, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wavekit_core.errors import RecipeError

MAX_SHOWN = 9
WIDTH = 110


@dataclass(frozen=True)
class Mark:
    """A place in a recipe: a file with line and column from 1, or a name such as `-s train.steps=0` without them."""

    file: str
    line: int = 0
    column: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where, and what was found, what was expected, what to do. `length` underlines that many
    characters."""

    mark: Mark
    message: str
    length: int = 1
    exit_code: int = 2

    def render(self) -> str:
        text = f"error: {printable(str(self.mark))}: {printable(self.message)[:400]}"
        if not self.mark.line:
            return text
        number = f"{self.mark.line:5d} | "
        start = max(0, self.mark.column - 1 - WIDTH // 2) if len(self.mark.text) > WIDTH else 0
        line = printable(self.mark.text[start : start + WIDTH])
        caret = len(printable(self.mark.text[start : self.mark.column - 1]))
        return f"{text}\n{number}{line}\n{' ' * (len(number) + caret)}{'^' * max(1, min(self.length, WIDTH - caret))}"


class RecipeFaults(RecipeError):
    """Every fault that was found. The exit code is the lowest of its faults'."""

    def __init__(self, faults: Sequence[Fault]):
        self.faults = sorted(faults, key=lambda f: (f.mark.file, f.mark.line, f.mark.column))
        self.exit_code = min(fault.exit_code for fault in faults)
        super().__init__(self.render())

    def render(self) -> str:
        shown = [fault.render() for fault in self.faults[:MAX_SHOWN]]
        if (rest := len(self.faults) - MAX_SHOWN) > 0:
            shown.append(f"… and {rest} more fault{'s' * (rest > 1)}")
        return "\n".join(shown)


def printable(text: str) -> str:
    """Control and direction characters escaped, so that a recipe cannot write to the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
