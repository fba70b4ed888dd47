"""Standard input, output and error that are closed, or that nobody can write to."""

from __future__ import annotations

import os
import sys


def open_streams() -> None:
    """Open /dev/null where standard input, output or error are closed.

    A file of a run would otherwise get one of their numbers, and whatever prints would write into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def settle_output() -> None:
    """Let go of output that cannot be written (the reader is gone, the disk is full): nothing tries again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
