"""The image files in a .zip, read in place: nothing is ever extracted."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from wavekit_core.data.files import open_regular, shown
from wavekit_core.data.image_file import SUFFIXES
from wavekit_core.errors import DataError

MEMBER_LIMIT = 2**28
TOTAL_RATIO = 100  # announced bytes for a byte of the archive; image files hardly shrink
TOTAL_FREE = 2**30  # below this the ratio does not matter
_ENCRYPTED = 0x1 | 0x40


class ImageArchive:
    """Members named like images, with the rules of `ImageTree`.

    Raises `DataError` that refuses the whole archive, with the name of the first member that is the reason: a path that leaves
    the archive, a link or device, an encrypted or twice listed member, a compression other than deflate, more bytes than
    MEMBER_LIMIT, or in all more than a deflated set of images can have.
    """

    def __init__(self, path: str):
        self._path = path
        self._file = open_regular(path)
        try:
            self._zip = zipfile.ZipFile(self._file)
            size = os.fstat(self._file.fileno()).st_size
            self._members = self._checked(size)
        except DataError:
            self._file.close()
            raise
        except Exception as error:  # what zipfile raises on damaged archives is not a closed list
            self._file.close()
            reason = str(error) or type(error).__name__
            raise DataError(f"{shown(path)}: is no whole .zip archive ({reason:.200}); make it again") from error

    def candidates(self) -> Iterator[tuple[str, str | None]]:
        """(name, None) of every member that is named like an image."""
        for name in self._members:
            hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
            if not hidden and name.lower().endswith(SUFFIXES):
                yield name, None

    def path(self, name: str) -> str:
        """What to call a member in a message."""
        return os.path.join(self._path, name)

    def open(self, name: str, whole: bool = True) -> BinaryIO:
        """`whole`: the member in memory, its checksum compared; else a stream for who reads only the beginning.

        Raises `DataError` naming the member.
        """
        try:
            member = cast(BinaryIO, self._zip.open(self._members[name]))
            if not whole:
                return member
            with member:
                return io.BytesIO(member.read())  # zipfile reads no more than what is announced
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise DataError(
                f"{shown(self.path(name))}: cannot be read ({reason:.200}); make the archive again"
            ) from error

    def _checked(self, size: int) -> dict[str, zipfile.ZipInfo]:
        members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            if fault := _fault(info) or ("is listed twice" if info.filename in members else None):
                raise self._refusal(info.orig_filename, fault)
            members[info.filename] = info
        announced = sum(info.file_size for info in members.values())
        stored = sum(info.compress_size for info in members.values())
        if announced > TOTAL_FREE + TOTAL_RATIO * size or stored > size:
            raise DataError(
                f"{shown(self._path)}: announces {announced} bytes from {size}, which is no set of images; the archive is "
                "refused; make it again from the images"
            )
        return {name: info for name, info in members.items() if not info.is_dir()}

    def _refusal(self, name: str, fault: str) -> DataError:
        return DataError(
            f"{shown(self._path)}: its member {shown(name)[:200]} {fault}; the whole archive is refused; make it again "
            "from regular files"
        )


def _fault(info: zipfile.ZipInfo) -> str | None:
    """Why a member condemns its archive, or None."""
    name = info.orig_filename
    parts = name.rstrip("/").split("/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if name.startswith("/") or "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        return "has a path that is no plain path below the archive"
    if name[1:2] == ":":
        return "has a path with a drive"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in another way than by deflate"
    if info.file_size > MEMBER_LIMIT:
        return f"announces {info.file_size} bytes, the limit is {MEMBER_LIMIT}"
    return None
