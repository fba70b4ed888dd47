"""The command line of wavekit. `main(argv)` returns the exit code; nothing heavy is imported before a command is known."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

__version__ = "0.1.0"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. The exit codes are listed in `wavekit --help`."""
    from wavekit_cli.app import run

    return run(list(sys.argv[1:] if argv is None else argv))


def entry() -> None:
    """The console script."""
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):  # until a command saves its state: end at once
        signal.signal(number, lambda *_, code=code: os._exit(code))
    code = main()
    if interrupts := sys.modules.get("wavekit_core.engine.interrupts"):
        interrupts.ignore()
    if "WORLD_SIZE" in os.environ:  # the threads of torch.distributed may abort a process that takes itself down
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
