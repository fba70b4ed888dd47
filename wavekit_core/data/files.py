"""Opening files that someone else wrote: regular files only, and names that can be printed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from wavekit_core.errors import DataError


class NotHere(DataError):
    """A named data set is not on this machine; `wavekit data download` may fetch it."""


def open_regular(path: str | os.PathLike[str], *, follow_links: bool = True) -> BinaryIO:
    """Open a regular file for reading.

    A pipe or a device is refused without waiting for it. Raises `DataError` naming the file if it is missing, may not be
    read, is no regular file, or is a link where links are not followed.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        mode = os.stat(path, follow_symlinks=follow_links).st_mode
        if not stat.S_ISREG(mode):  # before opening: to open some devices has an effect
            raise DataError(f"{shown(path)}: {_what(mode)}, not a regular file; give the file itself")
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise DataError(f"{shown(path)}: there is no such file{looked_in(path)}; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise DataError(f"{shown(path)}: cannot be opened ({_reason(error)}); check the path and its rights") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # exchanged in between
        os.close(descriptor)
        raise DataError(f"{shown(path)}: not a regular file; give the file itself")
    return os.fdopen(descriptor, "rb")


def shown(path: str | os.PathLike[str]) -> str:
    """A path for a message: what does not print (control characters, bytes that are no text) is escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in os.fspath(path)
    )


def looked_in(path: str | os.PathLike[str]) -> str:
    """For a message that a path is missing: where a relative one was looked for."""
    return "" if os.path.isabs(path) else f", looked in {shown(os.getcwd())}"


def data_root(given: str | None) -> Path | None:
    """The folder that holds the data sets: `given`, else the environment's WAVEKIT_DATA_ROOT, else None."""
    root = given or os.environ.get("WAVEKIT_DATA_ROOT")
    return Path(root) if root else None


def _what(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFLNK: "a link", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
