"""Manifests: the SHA-256 of every file of a published folder, and of the manifest itself."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from wavekit_core.errors import DamagedError, ResourceError

NAME = "manifest.json"
MAX_BYTES = 1 << 20

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"(?!\.)[^/\x00-\x1f]{1,200}")
# what opening a link, a socket or a pipe, or a path through a file, answers
_NO_FILE = (errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EISDIR)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def of(files: Mapping[str, bytes]) -> bytes:
    """The manifest of these files as it stands on disk."""
    return _written({name: _entry(content) for name, content in sorted(files.items())})


def changed(folder: Path, name: str, content: bytes) -> bytes:
    """The manifest of a folder with the entry of one file replaced. Raises DamagedError, ResourceError."""
    return _written(listing(folder) | {name: _entry(content)})


def _entry(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": digest(content)}


def _written(listed: Mapping[str, Any]) -> bytes:
    own = digest(json.dumps(listed, sort_keys=True).encode())
    return json.dumps({"files": listed, "sha256": own}, indent=1).encode() + b"\n"


def read_checked(folder: Path) -> dict[str, bytes]:
    """The files of a published folder, each read once and checked against the manifest before anything is parsed.

    Raises DamagedError that names the file (missing, added, changed, no regular file), ResourceError if one cannot be read.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise DamagedError(f"{folder}: is no folder that wavekit wrote")
    listed = listing(folder)
    with _readable(folder):
        found = {entry.name for entry in os.scandir(folder)} - {NAME}
    for name in sorted(found ^ set(listed)):
        raise DamagedError(f"{folder / name}: {'not in the manifest' if name in found else 'missing'}")
    return {name: read_listed(folder / name, expected) for name, expected in listed.items()}


def read_listed(path: Path, expected: Mapping[str, Any]) -> bytes:
    """One file, checked against its entry. Raises DamagedError, ResourceError."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(expected["bytes"]) if size == expected["bytes"] else b""
    if size != expected["bytes"]:
        raise DamagedError(f"{path}: has {size} bytes, {expected['bytes']} were written")
    if digest(content) != expected["sha256"]:
        raise DamagedError(f"{path}: its content is not what was written (SHA-256 differs)")
    return content


def listing(folder: Path) -> dict[str, dict[str, Any]]:
    """The entries of a folder's manifest.

    The manifest must be, byte for byte, what wavekit writes for them. Raises DamagedError, ResourceError.
    """
    path = folder / NAME
    with opened(path) as file:
        content = file.read(MAX_BYTES + 1)
    try:
        listed = json.loads(content)["files"]
        if len(content) <= MAX_BYTES and all(map(_legal, listed, listed.values())) and content == _written(listed):
            return dict(listed)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise DamagedError(f"{path}: is damaged or was not written by wavekit")


def _legal(name: str, entry: Mapping[str, Any]) -> bool:
    size, sha256 = entry["bytes"], entry["sha256"]
    legal = type(size) is int and 0 <= size < 1 << 40 and len(entry) == 2
    return legal and bool(_FILE.fullmatch(name)) and name != NAME and bool(_SHA256.fullmatch(sha256))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file to read. Links, pipes and folders are refused without waiting for them.

    Raises DamagedError for what is missing or no regular file, ResourceError for what cannot be read at the moment.
    """
    with _readable(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DamagedError(f"{path}: is no regular file")
            with open(descriptor, "rb", closefd=False) as file:
                yield file
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """A fault of the disk is no damage: what cannot be read now must not be dropped as broken."""
    try:
        yield
    except FileNotFoundError:
        raise DamagedError(f"{path}: missing") from None
    except OSError as error:
        if error.errno in _NO_FILE:
            raise DamagedError(f"{path}: is no regular file") from None
        what = os.strerror(error.errno) if error.errno else str(error)
        raise ResourceError(f"{path}: cannot be read: {what}; mend that and run the same command again") from error
