"""SIGINT, SIGTERM and SIGUSR1: finish the step, save, end. A second SIGINT ends at once.

The handlers are installed by the command line before torch is imported. Outside a `deferred` block a signal raises
`Interrupted` where it arrives: nothing there needs saving, since whatever is published is whole.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from wavekit_core.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

_received: int | None = None
_deferring = False


def install() -> None:
    """Handle the signals from here on."""
    for number in SIGNALS:
        signal.signal(number, _handle)


def _handle(number: int, frame: FrameType | None) -> None:
    global _received
    if _received is not None and number == signal.SIGINT:
        os._exit(130)
    _received = number
    if not _deferring:
        raise Interrupted(number)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Within the block a signal is only noted; `received` tells of it."""
    global _deferring
    _deferring = True
    try:
        yield
    finally:
        _deferring = False


def received() -> int | None:
    """The signal that was noted, if any."""
    return _received


def ignore() -> None:
    """The work is done and its exit code fixed: no signal changes it while the interpreter takes itself down."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
