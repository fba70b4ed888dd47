"""What a run tells whoever watches it. The command line draws it; the default is silent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

Advance = Callable[[int, str], None]


class Watcher:
    """Silent. `phase` yields `advance(done, note)`; `say` is one line for the log."""

    @contextlib.contextmanager
    def phase(self, name: str, total: int, done: int = 0, unit: str = "") -> Iterator[Advance]:
        """A piece of work of `total` parts; `unit` names the parts in a rate such as images a second."""
        yield lambda done, note: None

    def say(self, text: str) -> None:
        """A line that stays."""

    def warn(self, text: str) -> None:
        """A line that must not be missed."""
