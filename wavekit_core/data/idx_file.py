"""One IDX file: a header of big-endian words, then bytes. Nothing that the header says is believed before it is checked."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from math import prod
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from wavekit_core.data.files import open_regular, shown
from wavekit_core.errors import DataError

BYTES_LIMIT = 4 * 2**30
DEFLATE_RATIO = 1032  # a deflate stream cannot grow by more (zlib technical details)
_UBYTE = 8


class IdxFile:
    """Unsigned bytes with `axes` axes. The constructor reads and checks the header; `read` gives the content.

    Raises `DataError`, naming the file, if it is not such a file or if its length is not what its header says.
    """

    def __init__(self, path: str | Path, axes: int):
        self.path, self.axes = Path(path), axes
        with open_regular(path) as file:
            self.size = os.fstat(file.fileno()).st_size
            self.compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            self.shape = self._shape(self._bytes_of(file, 4 + 4 * axes))
        self._check_length()

    def read(self) -> NDArray[np.uint8]:
        """The content, of `shape`; checks that nothing is missing, left over or, if compressed, changed (CRC-32)."""
        with open_regular(self.path) as file:
            stream = self._stream(file)
            header = self._bytes(stream, 4 + 4 * self.axes)
            if self._shape(header) != self.shape:
                raise self._fault("changed while it was in use", "read it again")
            content = np.empty(prod(self.shape), np.uint8)
            view = content.data
            while len(view) and (got := self._into(stream, view)):
                view = view[got:]
            if len(view):
                raise self._fault(
                    f"ends after {len(content) - len(view)} of {len(content)} bytes; it is cut off", "get it again"
                )
            if self._bytes(stream, 1):  # also reaches the end of a gzip stream, where its checksum is compared
                raise self._fault(f"longer than the {len(content)} bytes that its header announces", "get it again")
        return content.reshape(self.shape)

    def _shape(self, header: bytes) -> tuple[int, ...]:
        if len(header) < 4 + 4 * self.axes:
            raise self._fault(f"has {len(header)} bytes, an IDX header has {4 + 4 * self.axes}", "get it again")
        if header[:2] != b"\0\0" or header[2] != _UBYTE or header[3] != self.axes:
            what = {1: "labels", 3: "images"}.get(self.axes, "data")
            raise self._fault(
                f"starts with {header[:4].hex()}, not {bytes([0, 0, _UBYTE, self.axes]).hex()}, so it is no IDX file of {what}",
                f"give the file of {what}, as it was published",
            )
        return struct.unpack(f">{self.axes}I", header[4:])

    def _check_length(self) -> None:
        """Before anything is allocated: could a file of this size hold what the header announces?"""
        announced = prod(self.shape)
        stored = self.size - 4 - 4 * self.axes
        if (stored != announced) if not self.compressed else (announced > self.size * DEFLATE_RATIO):
            raise self._fault(
                f"its header announces {'×'.join(map(str, self.shape))} bytes, which a file of {self.size} bytes does not "
                "hold; it is cut off or damaged",
                "get it again",
            )
        if announced > BYTES_LIMIT:
            raise self._fault(f"{announced} bytes of pixels, the limit is {BYTES_LIMIT}", "use an image-folder instead")
        if self.axes == 3 and announced == 0 and self.shape[0]:
            raise self._fault(f"images of {self.shape[1]}×{self.shape[2]} pixels", "give a file with pixels")

    def _stream(self, file: BinaryIO) -> BinaryIO:
        return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if self.compressed else file

    def _bytes_of(self, file: BinaryIO, count: int) -> bytes:
        return self._bytes(self._stream(file), count)

    def _bytes(self, stream: BinaryIO, count: int) -> bytes:
        buffer = bytearray(count)
        view = memoryview(buffer)
        while len(view) and (got := self._into(stream, view)):
            view = view[got:]
        return bytes(buffer[: count - len(view)])

    def _into(self, stream: BinaryIO, view: memoryview) -> int:
        try:
            return stream.readinto(view[: 1 << 20])  # type: ignore[attr-defined]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._fault(f"its compressed content is damaged or cut off ({error})", "get it again") from error
        except OSError as error:
            raise self._fault(f"cannot be read ({error.strerror or error})", "check the disk") from error

    def _fault(self, what: str, remedy: str) -> DataError:
        return DataError(f"{shown(self.path)}: {what}; {remedy}")
