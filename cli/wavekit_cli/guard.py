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

from wavekit_cli.streams import open_streams, settle_output
from wavekit_core.engine import interrupts
from wavekit_core.errors import Interrupted, PluginError, ResourceError, WavekitError


def guarded(function: Callable[..., None]) -> Callable[..., None]:
    """The command with its faults turned into `Exit`. Signals are handled from here on."""
    open_streams()
    interrupts.install()

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
            sys.stdout.flush()
        except Exit:
            raise
        except BaseException as error:
            if os.environ.get("WAVEKIT_DEBUG"):
                traceback.print_exc()
            raise Exit(report(error)) from None

    return command


def report(error: BaseException) -> int:
    """Say what went wrong on the standard error; the exit code."""
    settle_output()
    if isinstance(error, BrokenPipeError) or isinstance(
        error.__context__, BrokenPipeError
    ):  # rich makes SystemExit of it
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
    return _crash(error)


def _known(error: BaseException) -> BaseException:
    """Faults of the machine that surface as others' exceptions, as ours."""
    text = str(error)
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return ResourceError(
            "the memory does not suffice; make train.batch_size or the model smaller, or train.shards larger"
        )
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return ResourceError(
            f"torch.compile failed: {' '.join(text.split())[:200]}; install a C++ compiler, or set train.compile to false"
        )
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return ResourceError(f"{where}{os.strerror(error.errno)}; mend that and run the same command again")
    return error


def _crash(error: BaseException) -> int:
    plugin = _plugin_at_fault(error)
    whose = f"a fault of the plugin {plugin}" if plugin else "a fault of wavekit itself"
    _say(f"error: {whose}: {type(error).__name__}: {_printable(str(error))[:300]}")
    try:
        with tempfile.NamedTemporaryFile("w", prefix="wavekit-crash-", suffix=".txt", delete=False) as file:
            file.write("".join(traceback.format_exception(error)))
        _say(f"the traceback is in {file.name}; please report it{' to its author' if plugin else ''}")
    except OSError:
        _say("run it again with `wavekit --debug …` for the traceback, and please report it")
    return PluginError.exit_code if plugin else 1


def _plugin_at_fault(error: BaseException) -> str:
    """Distribution and version of the plugin whose code raised, or called into a library that did; empty for wavekit's own."""
    from wavekit_core.registry import BUILT_IN, installed

    owners = {e.value.partition(":")[0].partition(".")[0]: e for e in installed().all() if e.distribution != BUILT_IN}
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module in owners:
            return f"{owners[module].distribution} {owners[module].version}"
        if module in ("wavekit_core", "wavekit_cli") and not frame.f_code.co_filename.endswith("guard.py"):
            return ""
    return ""


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)[:3000]


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
