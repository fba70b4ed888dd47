"""One run folder has one writer."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from wavekit_core.errors import BusyError, RecipeError
from wavekit_core.runs.publish import disk_faults


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a run folder, which need not exist yet.

    The lock is the kernel's, on a file beside the folder: a killed owner leaves none, and whoever ends removes the file.
    Raises BusyError that names the owner, RecipeError for a path that can hold no run, ResourceError.
    """
    folder = Path(os.path.realpath(folder))  # the same lock through every link
    if not folder.name:
        raise RecipeError(f"{folder}: is no place for a run; name a folder below it")
    lock = folder.parent / f".{folder.name}.lock"
    missing = [parent for parent in folder.parents if not parent.exists()]
    try:
        with disk_faults(folder):
            descriptor = _acquire(lock, folder)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.unlink()  # while it is held: a waiter that has it open sees that the name is gone
            os.close(descriptor)
    finally:
        for parent in missing:  # a start that came to nothing leaves no empty folders
            with contextlib.suppress(OSError):
                parent.rmdir()


def _acquire(lock: Path, folder: Path) -> int:
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except FileNotFoundError:  # an owner that ended has just removed the folder
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
                return descriptor
        except BlockingIOError:
            owner = os.pread(descriptor, 100, 0).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise BusyError(f"{folder}: {owner} writes to it; wait for it, or name another folder with --out") from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
