"""What stands between a command and the terminal: every fault becomes one message and an exit code."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

from typer import Exit

from wavekit_core.engine import interrupts
from wavekit_core.errors import Interrupted, ResourceError, WavekitError


def guarded(function: Callable[..., None]) -> Callable[..., None]:
    """The command with its faults turned into `Exit`. Signals are handled from here on."""
    interrupts.install()

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except Exit:
            raise
        except BaseException as error:
            if os.environ.get("WAVEKIT_DEBUG"):
                traceback.print_exc()
            raise Exit(report(error)) from None

    return command


def report(error: BaseException) -> int:
    """Say what went wrong on the standard error; the exit code."""
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    known = _known(error)
    if isinstance(known, Interrupted):
        _say(f"interrupted (signal {known.signum})")
        return known.exit_code
    if isinstance(known, KeyboardInterrupt):
        return 130
    if isinstance(known, WavekitError):
        text = str(known)
        _say(text if text.startswith("error:") else f"error: {_printable(text)}")
        return known.exit_code
    if isinstance(known, SystemExit):
        return known.code if isinstance(known.code, int) else 1
    return _crash(error)


def _known(error: BaseException) -> BaseException:
    """Faults of the machine that surface as others' exceptions, as ours."""
    text = str(error)
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return ResourceError(
            "the memory does not suffice; make train.batch_size or the model smaller, or train.shards larger"
        )
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return ResourceError(f"{where}{os.strerror(error.errno)}; mend that and run the same command again")
    return error


def _crash(error: BaseException) -> int:
    _say(f"error: a fault of wavekit itself: {type(error).__name__}: {_printable(str(error))[:300]}")
    try:
        with tempfile.NamedTemporaryFile("w", prefix="wavekit-crash-", suffix=".txt", delete=False) as file:
            file.write("".join(traceback.format_exception(error)))
        _say(f"the traceback is in {file.name}; please report it")
    except OSError:
        _say("run it again with `wavekit --debug …` for the traceback, and please report it")
    return 1


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)[:3000]


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
