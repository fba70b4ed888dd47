"""The file of a stream, `.wkt`; little-endian, described in docs/streams.md.

    file    magic 4s "WKT1", version u8, 0 u8, images u16; an entry each; CRC-32 of all this u32; their payloads in turn
    entry   height u32, width u32, channels u8, colour u8, wavelet u8, mode u8, levels u8, flags u8, lowest i8, top u8,
            0 u32, payload's length u64, its CRC-32 u32

Height and width are those of the image; coded is what `photo.padded` makes of them. The header must be whole. A payload that ends
before its length says is cut: it is read up to the last token that its bytes determine, and has no checksum then.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wavekit_core.data.files import open_regular, shown
from wavekit_core.errors import DamagedError, DataError, ResourceError
from wavekit_embedded_tokenizer.codec import LOWEST, PLANES
from wavekit_embedded_tokenizer.photo import MODES, WAVELETS, Coding, padded

MAGIC, VERSION = b"WKT1", 1
_FILE, _ENTRY, _SUM = struct.Struct("<4sBBH"), struct.Struct("<IIBBBBBBbBIQI"), struct.Struct("<I")
LOSSLESS, WHOLE = 1, 2  # flags
GREY, YCBCR, YCOCG = range(3)
PIXELS = 1 << 28  # at most, filled up
BYTES = 48  # of memory that a coefficient takes while an image is decoded
MOST_IMAGES = (1 << 16) - 1


@dataclass(frozen=True)
class Entry:
    """One image of a file: `lowest` is log2 T_f, `top` the first plane; `whole`: the payload is all of the sequence."""

    how: Coding
    lowest: int
    top: int
    whole: bool
    payload: bytes
    length: int = -1  # of the payload in the file that was written

    @property
    def cut(self) -> bool:
        """Whether the end of the payload has been lost since it was written."""
        return len(self.payload) < self.length

    @property
    def threshold(self) -> float:
        return 2.0**self.lowest


def header_size(images: int) -> int:
    return _FILE.size + images * _ENTRY.size + _SUM.size


def written(entries: list[Entry]) -> bytes:
    """The file. Raises ValueError for no images or too many."""
    if not 1 <= len(entries) <= MOST_IMAGES:
        raise ValueError(f"a stream holds 1 to {MOST_IMAGES} images, not {len(entries)}")
    head = _FILE.pack(MAGIC, VERSION, 0, len(entries)) + b"".join(map(_packed, entries))
    return head + _SUM.pack(zlib.crc32(head)) + b"".join(e.payload for e in entries)


def _packed(entry: Entry) -> bytes:
    how = entry.how
    return _ENTRY.pack(
        how.height, how.width, how.channels, _colour(how), WAVELETS.index(how.wavelet), MODES.index(how.mode), how.levels,
        LOSSLESS * how.lossless | WHOLE * entry.whole, entry.lowest, entry.top, 0,
        len(entry.payload), zlib.crc32(entry.payload),
    )  # fmt: skip


def _colour(how: Coding) -> int:
    return GREY if how.channels == 1 else YCOCG if how.lossless else YCBCR


def opened(path: Path, partial: bool) -> list[Entry]:
    """The images of a file. With `partial`, the file may end anywhere behind its header.

    Raises DamagedError for anything that `written` does not write, DataError for no regular file.
    """
    try:
        with open_regular(path) as file:
            return _read(file, partial)
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read ({os.strerror(error.errno or 0)}); check the disk") from error
    except DamagedError as error:
        raise DamagedError(f"{shown(path)}: {error}") from None


def _read(file: BinaryIO, partial: bool) -> list[Entry]:
    size = os.fstat(file.fileno()).st_size
    head = file.read(_FILE.size)
    if head[: len(MAGIC)] != MAGIC:
        raise DamagedError(
            "does not begin with WKT1, so it is no stream of wavekit; give a file that `wavekit encode` wrote"
        )
    if len(head) < _FILE.size:
        raise DamagedError("ends within its header; nothing can be read of it")
    _, version, zero, count = _FILE.unpack(head)
    if version > VERSION:
        raise DamagedError(f"is of version {version}, and this wavekit reads {VERSION}; install a newer one")
    if size < header_size(count):
        raise DamagedError("ends within its header; nothing can be read of it")
    head += file.read(count * _ENTRY.size)
    if file.read(_SUM.size) != _SUM.pack(zlib.crc32(head)):
        raise DamagedError("the checksum of its header is wrong; take an undamaged copy")
    if version != VERSION or zero or not count:
        raise DamagedError("its header has values that no stream has; take an undamaged copy")
    entries, left = [], size - header_size(count)
    for at in range(_FILE.size, len(head), _ENTRY.size):
        entry, checksum = _unpacked(head[at : at + _ENTRY.size])
        payload = file.read(min(entry.length, left))
        left -= len(payload)
        entry = Entry(entry.how, entry.lowest, entry.top, entry.whole, payload, entry.length)
        if not entry.cut and zlib.crc32(payload) != checksum:
            raise DamagedError("the checksum of its data is wrong; take an undamaged copy")
        entries.append(entry)
    if left:
        raise DamagedError(f"goes on for {left} bytes behind its end; take an undamaged copy")
    if not partial and any(entry.cut for entry in entries):
        whole = header_size(count) + sum(entry.length for entry in entries)
        raise DamagedError(f"is cut after {size} of {whole} bytes; see what is left of it with --partial")
    return entries


def _unpacked(raw: bytes) -> tuple[Entry, int]:
    height, width, channels, colour, wavelet, mode, levels, flags, lowest, top, zero, length, checksum = _ENTRY.unpack(
        raw
    )
    known = (
        min(height, width) >= 1
        and channels in (1, 3)
        and wavelet < len(WAVELETS)
        and mode < len(MODES)
        and 1 <= levels <= 16
        and flags <= LOSSLESS | WHOLE
        and LOWEST[0] <= lowest <= LOWEST[1]
        and top < PLANES
        and not zero
    )
    if not known:
        raise DamagedError("its header has values that no stream has; take an undamaged copy")
    lossless = bool(flags & LOSSLESS)
    how = Coding(height, width, channels, levels, WAVELETS[wavelet], MODES[mode], lossless)
    if colour != _colour(how) or (lossless and (lowest or how.wavelet == "bior4.4" or how.mode != MODES[1])):
        raise DamagedError("its header contradicts itself; take an undamaged copy")
    rows, columns = padded(height, width, levels)
    if rows * columns > PIXELS:
        raise DamagedError(
            f"announces {height}×{width} pixels, more than {PIXELS:,} with {levels} levels; nothing is read"
        )
    return Entry(how, lowest, top, bool(flags & WHOLE), b"", length), checksum


def check_memory(how: Coding) -> None:
    """Raises ResourceError if an image coded so does not fit into memory."""
    rows, columns = padded(how.height, how.width, how.levels)
    needed, available = rows * columns * how.channels * BYTES, _memory()
    if needed > available:
        raise ResourceError(
            f"an image of {how.height}×{how.width} needs {needed / 1e9:.1f} GB and the machine has {available / 1e9:.1f} GB; "
            "take a machine with more memory"
        )


def _memory() -> int:
    try:
        with open("/proc/meminfo") as file:  # Linux alone has it
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 1 << 62
