"""Publishing: a file or folder appears whole or not at all.

temporary name → files → manifest → fsync of every file → fsync of the folder → rename → fsync of the parent. Deleting is
renaming away, then removing. Everything that wavekit leaves on disk goes through here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from wavekit_core.errors import DamagedError, RecipeError, ResourceError
from wavekit_core.runs import manifest

TEMPORARY = ".tmp-"
TRASH = ".trash-"

_ELSEWHERE = "name a writable folder with --out"
_ADVICE = {
    errno.ENOSPC: "make room on the disk and run the same command again",
    errno.EDQUOT: "make room in the quota and run the same command again",
    errno.EROFS: _ELSEWHERE,
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.ENOTDIR: _ELSEWHERE,
    errno.EEXIST: _ELSEWHERE,
    errno.ENAMETOOLONG: _ELSEWHERE,
    errno.EIO: "the disk reports a fault; check it, then run the same command again",
}


@contextlib.contextmanager
def disk_faults(path: Path, size: int = 0) -> Iterator[None]:
    """Turn an OSError into a ResourceError that names the path and says what to do. `size` bytes were to be written."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "run the same command again once that is mended")
        what = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and size:
            what += f" for {_amount(size)}"
        raise ResourceError(f"{path}: cannot be written: {what}; {advice}") from error


def require_place(file: Path | None) -> None:
    """Find out before long work, not after it, whether a file can be written. Raises RecipeError and ResourceError."""
    if file is not None:
        if file.is_dir():
            raise RecipeError(f"{file} is a folder; name a file in it")
        with disk_faults(file):
            tempfile.TemporaryFile(dir=file.parent).close()


def require_room(folder: Path, size: int, what: str) -> None:
    """Raises ResourceError if the disk that holds `folder` has no room for `size` bytes."""
    while not folder.exists():
        folder = folder.parent
    with disk_faults(folder):
        free = shutil.disk_usage(folder).free
    if free < size:
        raise ResourceError(
            f"{folder}: {what} needs {_amount(size)} and the disk has {_amount(free)} free; "
            "make room and run the same command again"
        )


def _amount(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def publish_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Make the folder `target` with these files and their manifest. An existing folder is removed first.

    Raises ResourceError. Whatever ends it early, no half of the folder is seen under its name.
    """
    size = sum(map(len, files.values()))
    require_room(target.parent, size, target.name)
    with disk_faults(target, size):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / f"{TEMPORARY}{target.name}"
        _discard(temporary)
        try:
            temporary.mkdir()
            for name, content in files.items():
                _write(temporary / name, content)
            _write(temporary / manifest.NAME, manifest.of(files))
            sync(temporary)
            if target.exists():
                remove_folder(target)
            os.rename(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                _discard(temporary)
            raise
        sync(target.parent)


def publish_file(target: Path, content: bytes) -> None:
    """Make or replace one file. Raises ResourceError. Whatever ends it early, the target is as it was or complete."""
    with disk_faults(target, len(content)):
        temporary = target.parent / f"{TEMPORARY}{target.name}"
        try:
            _write(temporary, content)
            os.rename(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync(target.parent)


def publish_listed(folder: Path, name: str, content: bytes) -> None:
    """Make or replace a file of a folder that stays open, and its entry in the manifest, as one.

    The new content is complete under its temporary name before the manifest names it; `roll_forward` finishes a rename that
    a kill prevented. Raises ResourceError, and DamagedError for a damaged manifest.
    """
    with disk_faults(folder / name, len(content)):
        _write(folder / f"{TEMPORARY}{name}", content)
        sync(folder)
        publish_file(folder / manifest.NAME, manifest.changed(folder, name, content))
        os.rename(folder / f"{TEMPORARY}{name}", folder / name)
        sync(folder)


def roll_forward(folder: Path) -> None:
    """Finish what `publish_listed` had promised in the manifest. Raises DamagedError for a damaged manifest."""
    for name, expected in manifest.listing(folder).items():
        with contextlib.suppress(DamagedError):  # missing, or not the promised content: `sweep` removes it
            manifest.read_listed(folder / f"{TEMPORARY}{name}", expected)
            os.rename(folder / f"{TEMPORARY}{name}", folder / name)
    sync(folder)


def remove_folder(target: Path) -> None:
    """Remove a folder so that no half of it is ever seen under its name."""
    trash = target.parent / f"{TRASH}{target.name}"
    _discard(trash)
    if os.path.lexists(target):
        os.rename(target, trash)
        sync(target.parent)
        _discard(trash)


def sweep(folder: Path) -> None:
    """Remove what an earlier process left half done. Only the owner of the run calls this."""
    for pattern in (f"{TEMPORARY}*", f"{TRASH}*"):
        for left in list(folder.rglob(pattern)):
            _discard(left)


def sweep_beside(folder: Path) -> None:
    """Remove what an earlier process left half done of the folder itself."""
    for prefix in (TEMPORARY, TRASH):
        _discard(folder.parent / f"{prefix}{folder.name}")


def append(path: Path, line: str) -> None:
    """Add a line to a log. It is made durable by `sync` when a checkpoint refers to it.

    Raises ResourceError, and DamagedError if the path is a link, a pipe or a folder.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise DamagedError(f"{path}: is no regular file; remove it") from None
        with disk_faults(path):
            raise
    with disk_faults(path, len(line)), open(descriptor, "ab") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DamagedError(f"{path}: is no regular file; remove it")
        file.write(line.encode() + b"\n")


def sync(path: Path) -> None:
    """fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    _discard(path)
    with open(path, "xb") as file:  # a name of ours that stands there already may be a link
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
