"""What a person sees while something runs: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from wavekit_core.watch import Advance, Watcher

EVERY = 5.0  # seconds between plain lines
SHORT = 2.0  # what takes less is not worth a line


def out() -> Console:
    """The standard output: as wide as the terminal, and wide enough for any table elsewhere."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if not console.is_terminal:
        console.width = 240
    return console


def watcher() -> Watcher:
    """A live watcher on a terminal, a plain one elsewhere. Both write to the standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    return Live(console) if console.is_terminal else Plain()


class Live(Watcher):
    """A progress bar with rate and time left."""

    def __init__(self, console: Console):
        self.console = console

    @contextlib.contextmanager
    def phase(self, name: str, total: int, done: int = 0, unit: str = "") -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
        )
        started = time.perf_counter()
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(name, total=total, completed=done, rate="", note="")

            def advance(now: int, note: str) -> None:
                rate = (now - done) / max(1e-9, time.perf_counter() - started)
                progress.update(task, completed=now, note=note, rate=f"{rate:,.0f} {unit}/s" if unit else "")

            yield advance
        if time.perf_counter() - started > SHORT:
            self.console.print(f"{name}: {_took(started)}", style="dim")

    def say(self, text: str) -> None:
        self.console.print(text)

    def warn(self, text: str) -> None:
        self.console.print(f"warning: {text}", style="yellow")


class Plain(Watcher):
    """A line every few seconds."""

    @contextlib.contextmanager
    def phase(self, name: str, total: int, done: int = 0, unit: str = "") -> Iterator[Advance]:
        started = last = time.perf_counter()

        def advance(now: int, note: str) -> None:
            nonlocal last
            clock = time.perf_counter()
            if clock - last < EVERY:
                return
            last = clock
            rate = (now - done) / (clock - started)
            left = f", {(total - now) / rate:.0f} s left" if rate and unit else ""
            speed = f", {rate:,.0f} {unit}/s" if unit else ""
            self.say(f"{name}: {100 * now / max(1, total):.0f} %{speed}{left}{', ' + note if note else ''}")

        hint = threading.Timer(SHORT, self.say, (f"{name} …",))
        hint.daemon = True
        hint.start()
        try:
            yield advance
        finally:
            hint.cancel()
        if time.perf_counter() - started > SHORT:
            self.say(f"{name}: {_took(started)}")

    def say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        self.say(f"warning: {text}")


def _took(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"
