"""All levels of an image or signal one after the other, while they are in the cache, with a kernel that does one level."""

from __future__ import annotations

from typing import Any

from wavekit_core.wavelets.kernels import lifting_kernel, polyphase
from wavekit_core.wavelets.kernels.compiled import compiled
from wavekit_core.wavelets.kernels.vectors import ahead, pointer

# A level is a row of numbers: height, width, h, w, address of its details, whether results go past the caches, and from here
# on what the kernel of the level wants to know. A signal has the height 1.
DETAILS, PAST, DOWN, ALONG, SCALES, LENGTH = 4, 5, 6, 12, 18, 19


def _splitting(step: Any, bands: int) -> Any:
    @compiled
    def split(first, last, room, one, x, approx, table, kept, rest):  # type: ignore[no-untyped-def]
        """Planes from `first` to `last`. `room`: `kept` and `rest` numbers for the approximations between
        levels, which take turns, and room for the step."""
        levels = len(table)
        for plane in range(first, last):
            source = ahead(pointer(x, one), plane * table[0, 0] * table[0, 1])
            for k in range(levels):
                count = table[k, 2] * table[k, 3]
                target = ahead(pointer(room, one), k % 2 * kept)
                if k == levels - 1:
                    target = ahead(pointer(approx, one), plane * count)
                d = ahead(pointer(table[k, DETAILS], one), plane * bands * count)
                level = ahead(pointer(table.ctypes.data, plane), k * LENGTH)
                step(source, target, d, ahead(pointer(room, one), kept + rest), one, level)
                source = target

    return split


def _joining(step: Any, bands: int) -> Any:
    @compiled
    def join(first, last, room, one, x, approx, table, kept, rest):  # type: ignore[no-untyped-def]
        """The opposite direction."""
        levels = len(table)
        for plane in range(first, last):
            source = ahead(pointer(approx, one), plane * table[levels - 1, 2] * table[levels - 1, 3])
            for k in range(levels - 1, -1, -1):
                target = ahead(pointer(room, one), (k + 1) % 2 * kept)
                if k == 0:
                    target = ahead(pointer(x, one), plane * table[0, 0] * table[0, 1])
                d = ahead(pointer(table[k, DETAILS], one), plane * bands * table[k, 2] * table[k, 3])
                level = ahead(pointer(table.ctypes.data, plane), k * LENGTH)
                step(target, source, d, ahead(pointer(room, one), kept + rest), one, level)
                source = target

    return join


KERNELS = {
    ("lifting", "split", 2): _splitting(lifting_kernel.split_image, 3),
    ("lifting", "join", 2): _joining(lifting_kernel.join_image, 3),
    ("polyphase", "split", 2): _splitting(polyphase.split_image, 3),
    ("polyphase", "join", 2): _joining(polyphase.join_image, 3),
    ("polyphase", "split", 1): _splitting(polyphase.split_signal, 1),
    ("polyphase", "join", 1): _joining(polyphase.join_signal, 1),
}
