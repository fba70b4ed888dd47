"""`--processes N`: start the processes of a run on this machine, pass signals on, and end as they end. Imports nothing heavy."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import IO

GRACE = 10.0  # seconds for the first process to end by itself after another has failed
LOST = 6


def launch(count: int, argv: Sequence[str]) -> int:
    """Run `wavekit argv` in `count` processes; the exit code of the first that fails, 0 if none does.

    The first process keeps the standard streams. What another one says on its standard error is shown if it alone failed.
    A process that a signal killed ends the run with 6. The processes stand in sessions of their own, so that a ^C reaches them
    once, through here; if this process is killed, they end at once (`end_with_parent`).
    """
    with _children(count, argv) as (children, said):
        with _forwarding(children):
            failed = _first_failure(children)
            if failed is None:
                return 0
            if failed or children[failed].returncode == LOST:  # what follows from another's fault: wait for that one
                until = time.monotonic() + GRACE
                for child in children:
                    _wait(child, max(0.0, until - time.monotonic()))
            if children[failed].returncode == LOST:
                own = (index for index, child in enumerate(children) if child.poll() not in (None, 0, LOST))
                failed = next(own, failed)
            code = children[failed].returncode
        if failed and children[0].poll() != code:
            said[failed].seek(0)
            _say(f"process {failed + 1} of {count}:\n{said[failed].read().decode(errors='replace').strip()}")
        if code < 0:
            name = signal.Signals(-code).name
            _say(
                f"error: process {failed + 1} of {count} was ended by {name}; the same command goes on from the last checkpoint"
            )
            return LOST
        return code


@contextlib.contextmanager
def _children(count: int, argv: Sequence[str]) -> Iterator[tuple[list[subprocess.Popen[bytes]], list[IO[bytes]]]]:
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    common |= {"WAVEKIT_PARENT": str(os.getpid())}
    if sys.platform == "linux":
        common["GLOO_SOCKET_IFNAME"] = "lo"
    common["TORCH_CPP_LOG_LEVEL"] = os.environ.get("TORCH_CPP_LOG_LEVEL", "ERROR")
    children: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as files:
        said: list[IO[bytes]] = [files.enter_context(tempfile.TemporaryFile()) for _ in range(count)]
        files.callback(_end, children)
        for index in range(count):
            own = {"RANK": str(index), "LOCAL_RANK": str(index)}
            children.append(
                subprocess.Popen(
                    [sys.executable, "-m", "wavekit_cli", *argv],
                    env=os.environ | common | own,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL if index else None,
                    stderr=said[index] if index else None,
                    start_new_session=True,
                )
            )
        yield children, said


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        with contextlib.suppress(OSError):
            child.kill()
        child.wait()


@contextlib.contextmanager
def _forwarding(children: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Signals to this process go to all the others."""

    def forward(number: int, frame: object) -> None:
        for child in children:
            with contextlib.suppress(OSError):
                child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first_failure(children: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Wait for the first process that fails; None when the first process has ended well."""
    while True:
        codes = [child.poll() for child in children]
        for index, code in enumerate(codes):
            if code:
                return index
        if codes[0] == 0:
            for child in children:
                _wait(child, GRACE)
            return None
        time.sleep(0.02)


def _wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(seconds)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def is_first() -> bool:
    """Whether this process is the first of its run, or alone; `engine.processes.environment` says what is wrong with the rest."""
    return "WORLD_SIZE" not in os.environ or os.environ.get("RANK") == "0"


def end_with_parent() -> None:
    """In a process that `launch` started: end at once when the launcher is gone. Its end closes our standard input."""
    if "WAVEKIT_PARENT" not in os.environ:
        return

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1):
                pass
        os._exit(LOST)

    threading.Thread(target=watch, daemon=True).start()
