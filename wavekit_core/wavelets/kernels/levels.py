"""All levels of an image or signal one after the other, while they are in the cache, with a kernel that does one level."""

from __future__ import annotations

from wavekit_core.compiled import compiled, pasted
from wavekit_core.wavelets.kernels import lifting_kernel, polyphase
from wavekit_core.wavelets.kernels.vectors import ahead, pointer

# A level is a row of numbers: height, width, h, w, address of its details, whether results go past the caches, and from here
# on what the kernel of the level wants to know. A signal has the height 1.
DETAILS, PAST, DOWN, ALONG, SCALES, LENGTH = 4, 5, 6, 12, 18, 19


@pasted
def _split(step, bands, first, last, room, one, x, approx, table, kept, rest):  # type: ignore[no-untyped-def]
    """Planes from `first` to `last`, a level by `step`, with `bands` of details. `room`: `kept` and `rest` numbers for the
    approximations between levels, which take turns, and room for the step."""
    levels = len(table)
    rows = pointer(table.ctypes.data, first)
    for plane in range(first, last):
        source = ahead(pointer(x, one), plane * rows[0] * rows[1])
        for k in range(levels):
            level = ahead(rows, k * LENGTH)
            count = level[2] * level[3]
            target = ahead(pointer(room, one), k % 2 * kept)
            if k == levels - 1:
                target = ahead(pointer(approx, one), plane * count)
            d = ahead(pointer(level[DETAILS], one), plane * bands * count)
            step(source, target, d, ahead(pointer(room, one), kept + rest), one, level)
            source = target


@pasted
def _join(step, bands, first, last, room, one, x, approx, table, kept, rest):  # type: ignore[no-untyped-def]
    """The opposite direction."""
    levels = len(table)
    rows = pointer(table.ctypes.data, first)
    for plane in range(first, last):
        level = ahead(rows, (levels - 1) * LENGTH)
        source = ahead(pointer(approx, one), plane * level[2] * level[3])
        for k in range(levels - 1, -1, -1):
            level = ahead(rows, k * LENGTH)
            target = ahead(pointer(room, one), (k + 1) % 2 * kept)
            if k == 0:
                target = ahead(pointer(x, one), plane * level[0] * level[1])
            d = ahead(pointer(level[DETAILS], one), plane * bands * level[2] * level[3])
            step(target, source, d, ahead(pointer(room, one), kept + rest), one, level)
            source = target


@compiled
def _lift_split(first, last, room, one, x, approx, table, kept, rest):  # type: ignore[no-untyped-def]
    _split(lifting_kernel.split_image, 3, first, last, room, one, x, approx, table, kept, rest)


@compiled
def _lift_join(first, last, room, one, x, approx, table, kept, rest):  # type: ignore[no-untyped-def]
    _join(lifting_kernel.join_image, 3, first, last, room, one, x, approx, table, kept, rest)


@compiled
def _filter_split(first, last, room, one, x, approx, table, kept, rest):  # type: ignore[no-untyped-def]
    _split(polyphase.split_image, 3, first, last, room, one, x, approx, table, kept, rest)


@compiled
def _filter_join(first, last, room, one, x, approx, table, kept, rest):  # type: ignore[no-untyped-def]
    _join(polyphase.join_image, 3, first, last, room, one, x, approx, table, kept, rest)


@compiled
def _filter_split_signals(first, last, room, one, x, approx, table, kept, rest):  # type: ignore[no-untyped-def]
    _split(polyphase.split_signal, 1, first, last, room, one, x, approx, table, kept, rest)


@compiled
def _filter_join_signals(first, last, room, one, x, approx, table, kept, rest):  # type: ignore[no-untyped-def]
    _join(polyphase.join_signal, 1, first, last, room, one, x, approx, table, kept, rest)


KERNELS = {
    ("lifting", "split", 2): _lift_split,
    ("lifting", "join", 2): _lift_join,
    ("polyphase", "split", 2): _filter_split,
    ("polyphase", "join", 2): _filter_join,
    ("polyphase", "split", 1): _filter_split_signals,
    ("polyphase", "join", 1): _filter_join_signals,
}
