"""Arrays of bytes in NumPy's .npy format. Nothing that the header says is believed before it is checked; nothing is unpickled."""

from __future__ import annotations

import os
from math import prod
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from wavekit_core.data.files import open_regular, shown
from wavekit_core.errors import DataError

KINDS = {"u": "whole numbers", "i": "whole numbers", "f": "floating-point numbers", "O": "objects", "b": "truth values"}


def read_header(file: BinaryIO, name: str) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape, type and length of the header of an array of whole numbers. Raises `DataError` with `name`."""
    try:
        version = npy.read_magic(file)
        reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = reader(file)
    except Exception as error:  # a header is parsed as Python text: what that raises is not a closed list
        reason = " ".join(str(error).split())
        raise DataError(f"{name}: is no .npy array ({reason:.160}); write it with numpy.save") from error
    if dtype.hasobject or dtype.kind not in "ui":
        what = "objects, which would have to be unpickled" if dtype.hasobject else KINDS.get(dtype.kind, str(dtype))
        raise DataError(
            f"{name}: holds {what} ({dtype}); images are uint8, labels whole numbers; convert and save it again"
        )
    if fortran and len(shape) > 1:
        raise DataError(f"{name}: is stored column by column; save numpy.ascontiguousarray of it")
    if any(length < 0 for length in shape):
        raise DataError(f"{name}: its header announces {shape}, which is no shape; write it again")
    return shape, dtype, file.tell()


def check_length(name: str, shape: tuple[int, ...], dtype: np.dtype, header: int, size: int) -> None:
    """Raises `DataError` unless `size` bytes are what the header announces."""
    announced = header + prod(shape) * dtype.itemsize
    if announced != size:
        raise DataError(
            f"{name}: its header announces {'×'.join(map(str, shape))} {dtype} and with it {announced} bytes, there are "
            f"{size}; it is cut off or damaged; write it again"
        )


class NpyFile:
    """A .npy file that is read item by item: memory holds what is asked for, whatever the file's size.

    The constructor reads and checks the header. Raises `DataError` naming the file, now or when it has changed later.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = path
        with open_regular(path) as file:
            self.shape, self.dtype, self._header = read_header(file, shown(path))
            self.size = os.fstat(file.fileno()).st_size
        check_length(shown(path), self.shape, self.dtype, self._header, self.size)

    def item(self, index: int) -> NDArray[np.integer]:
        """The array at `index` of the first axis, (…)."""
        return self.items(index, 1)[0]

    def items(self, first: int, count: int) -> NDArray[np.integer]:
        """(count, …) from `first` on."""
        content = np.empty((count, *self.shape[1:]), self.dtype)
        length = content.nbytes // count if count else 0
        with open_regular(self.path) as file:
            file.seek(self._header + first * length)
            whole = file.readinto(content.reshape(-1).view(np.uint8).data) == content.nbytes  # type: ignore[attr-defined]
            if not whole or os.fstat(file.fileno()).st_size != self.size:
                raise DataError(f"{shown(self.path)}: changed while it was in use; run the same command again")
        return content

    def read(self) -> NDArray[np.integer]:
        """All of it."""
        return self.items(0, self.shape[0])
