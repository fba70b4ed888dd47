"""Is a PNG file whole? Pillow fills what a stream does not give with black, without a word."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from wavekit_core.errors import DataError

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 16


def check_whole(file: BinaryIO) -> None:
    """Raise `DataError` unless the pixel stream has the length that the header announces and the end mark is there.

    PNG specification, third edition, sections 5 (chunks), 7.2 (scanlines) and 8 (Adam7). Memory is bounded; the position of
    `file` is kept.
    """
    position = file.tell()
    try:
        file.seek(8)
        announced, given, inflate = None, 0, zlib.decompressobj()
        while True:
            length, kind = struct.unpack(">I4s", _exactly(file, 8))
            if kind == b"IEND":
                break
            if kind == b"IHDR":
                announced = _stream_bytes(_exactly(file, length) if length == 13 else b"")
            elif kind == b"IDAT":
                given += _inflated(file, length, inflate, (announced or 0) - given)
            else:
                file.seek(length, 1)
            file.seek(4, 1)  # the checksum: zlib has its own
        if announced is None or given < announced:
            raise DataError(f"{given} bytes of pixels where its header announces {announced}; repair or remove it")
    except (zlib.error, struct.error) as error:
        raise DataError(f"its pixels are damaged ({error}); repair or remove it") from error
    finally:
        file.seek(position)


def _exactly(file: BinaryIO, count: int) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise DataError("the file is truncated; repair or remove it")
    return content


def _inflated(file: BinaryIO, length: int, inflate: zlib._Decompress, wanted: int) -> int:
    """How many bytes a chunk of `length` inflates to; stops counting after `wanted`."""
    given = 0
    while length:
        piece = _exactly(file, min(length, _PIECE))
        length -= len(piece)
        while given <= wanted and not inflate.eof:
            given += len(inflate.decompress(piece, _PIECE))
            piece = inflate.unconsumed_tail
            if not piece:
                break
    return given


def _stream_bytes(header: bytes) -> int:
    """Length of the inflated pixel stream: a filter byte and the packed samples of every line of every pass."""
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", header)
    bits = depth * _SAMPLES.get(colour, 0)
    passes = _ADAM7 if interlace else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total
