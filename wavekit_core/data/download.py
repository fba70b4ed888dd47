"""Fetching the named data sets from their official addresses. Nothing else in wavekit uses the network."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wavekit_core.data.cifar_binary import META, TEST, TRAINING
from wavekit_core.data.files import open_regular, shown
from wavekit_core.errors import BusyError, DamagedError, ResourceError
from wavekit_core.runs.owner import owned
from wavekit_core.runs.publish import TEMPORARY, disk_faults, require_room, sync
from wavekit_core.watch import Watcher

TIMEOUT = 30.0  # seconds without a byte
PIECE = 1 << 16


@dataclass(frozen=True)
class Remote:
    """A file at an address: its name here, its length and its SHA-256. `members` are the files that a .tar.gz is fetched for,
    (name in the archive, bytes at most); without any the file itself is kept."""

    name: str
    address: str
    size: int
    sha256: str
    members: tuple[tuple[str, int], ...] = ()


def _four(base: str, *files: tuple[str, int, str]) -> tuple[Remote, ...]:
    return tuple(Remote(name, base + name, size, sha256) for name, size, sha256 in files)


SETS: dict[str, tuple[Remote, ...]] = {
    "mnist": _four(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        ("train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        ("t10k-images-idx3-ubyte.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        ("t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
    "fashion-mnist": _four(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        ("train-labels-idx1-ubyte.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        ("t10k-images-idx3-ubyte.gz", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        ("t10k-labels-idx1-ubyte.gz", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
    "cifar10": (
        Remote(
            "cifar-10-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            tuple((f"cifar-10-batches-bin/{name}", 30_730_000) for name in (META, *TRAINING, TEST)),
        ),
    ),
}


def download(name: str, root: Path, watcher: Watcher) -> Path:
    """Bring the data set `name` of SETS to the folder `root/name`; the folder. What is there already is kept.

    A file appears under its name when its SHA-256 is right, and not before. Of several processes one fetches, the others wait.
    Raises `ResourceError` if an address cannot be reached or the disk does not suffice, and `DamagedError` if what arrives, or
    what is there, is not the file; files that were unpacked from an archive are not compared.
    """
    folder = root / name
    with _alone(folder, watcher), _not_left_empty(folder):
        for remote in SETS[name]:
            missing = [target for target in _targets(folder, remote) if not target.exists()]
            if not missing:
                if not remote.members:
                    _compare(remote, folder / remote.name)
                watcher.say(f"{shown(folder if remote.members else folder / remote.name)}: is there already")
                continue
            require_room(folder, remote.size + sum(size for _, size in remote.members), name)
            with disk_faults(folder):
                folder.mkdir(parents=True, exist_ok=True)
            archive = folder / remote.name
            if archive.exists():  # put there by hand
                _compare(remote, archive)
                _unpack(remote, archive, folder)
                continue
            temporary = folder / f"{TEMPORARY}{remote.name}"
            try:
                _fetch(remote, temporary, folder, watcher)
                if remote.members:
                    _unpack(remote, temporary, folder)
                else:
                    _publish(temporary, archive)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
    return folder


def _targets(folder: Path, remote: Remote) -> list[Path]:
    """What a remote file becomes."""
    return [folder / os.path.basename(member) for member, _ in remote.members] or [folder / remote.name]


@contextlib.contextmanager
def _alone(folder: Path, watcher: Watcher) -> Iterator[None]:
    """Own the folder; wait for another process that does."""
    told = False
    while True:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(owned(folder))
            except BusyError:
                if not told:
                    watcher.say(f"{shown(folder)}: another process prepares it; waiting")
                told = True
                time.sleep(0.2)
                continue
            yield
            return


@contextlib.contextmanager
def _not_left_empty(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _fetch(remote: Remote, temporary: Path, folder: Path, watcher: Watcher) -> None:
    """Get the file to `temporary`, whole and with the right digest. Raises `ResourceError`, `DamagedError`."""
    digest, got = hashlib.sha256(), 0
    with contextlib.ExitStack() as stack:
        with disk_faults(temporary, remote.size):
            temporary.unlink(missing_ok=True)
            file = stack.enter_context(open(temporary, "xb"))
        advance = stack.enter_context(watcher.phase(f"fetching {remote.name}", remote.size // 1000, unit="kB"))
        for piece in _pieces(remote, folder):
            got += len(piece)
            if got > remote.size:
                break
            digest.update(piece)
            with disk_faults(temporary, remote.size):
                file.write(piece)
            advance(got // 1000, "")
        with disk_faults(temporary, remote.size):
            file.flush()
            os.fsync(file.fileno())
    if got < remote.size:
        raise _unreachable(remote, folder, f"the connection ended after {got} of {remote.size} bytes")
    if got > remote.size or digest.hexdigest() != remote.sha256:
        raise DamagedError(
            f"{remote.address}: what it gives is not {remote.name} ({'more bytes' if got > remote.size else 'SHA-256 differs'}); "
            f"nothing was kept; {_by_hand(folder)}"
        )


def _pieces(remote: Remote, folder: Path) -> Iterator[bytes]:
    """The content at an address. Raises `ResourceError`."""
    try:
        with urllib.request.urlopen(remote.address, timeout=TIMEOUT) as answer:
            while piece := answer.read(PIECE):
                yield piece
    except urllib.error.HTTPError as error:
        raise _unreachable(remote, folder, f"the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _unreachable(remote, folder, str(reason) or type(error).__name__) from error


def _unreachable(remote: Remote, folder: Path, reason: str) -> ResourceError:
    return ResourceError(f"{remote.address}: cannot be fetched ({reason:.200}); {_by_hand(folder)}")


def _by_hand(folder: Path) -> str:
    """What to do without this connection. The command checks what was put there."""
    wanted = [other.address for other in SETS[folder.name] if not (folder / other.name).exists()]
    return (
        f"run the same command again, or fetch {' and '.join(wanted)} in another way, put what you get into {shown(folder)} "
        "under the same name, and run the same command to check it"
    )


def _compare(remote: Remote, path: Path) -> None:
    """Raises `DamagedError` if a file that is there is another one, `DataError` if it cannot be read."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() != remote.sha256:
        raise DamagedError(f"{shown(path)}: is not the file of that name (SHA-256 differs); remove it and run again")


def _publish(temporary: Path, target: Path) -> None:
    with disk_faults(target):
        os.rename(temporary, target)
        sync(target.parent)


def _unpack(remote: Remote, archive: Path, folder: Path) -> None:
    """Copy the members out of an archive whose digest is right, each whole or not at all."""
    with open_regular(archive) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:gz") as tar:
                for name, limit in remote.members:
                    member = tar.getmember(name)
                    content = tar.extractfile(member) if member.isreg() and member.size <= limit else None
                    if content is None:
                        raise KeyError(name)
                    target = folder / os.path.basename(name)
                    temporary = folder / f"{TEMPORARY}{target.name}"
                    with disk_faults(target, member.size):
                        _write(content, temporary)  # type: ignore[arg-type]
                    _publish(temporary, target)
        except (KeyError, tarfile.TarError, EOFError) as error:
            raise DamagedError(f"{shown(archive)}: has not the files of this set ({error}); get it again") from error


def _write(content: BinaryIO, temporary: Path) -> None:
    temporary.unlink(missing_ok=True)
    with open(temporary, "xb") as file:
        while piece := content.read(1 << 20):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
