"""SPIHT in plain Python, to be measured beside: Said and Pearlman, "A new, fast, and efficient image codec based on set
partitioning in hierarchical trees", IEEE Transactions on Circuits and Systems for Video Technology 6(3), 1996, Algorithm II.

Without arithmetic coding. Coefficients are (H, W), in Mallat's arrangement: LL at the top left, and of every level HL to the
right, LH below, HH diagonal. Every second place of LL, by rows and columns, has no children, its three neighbours have those of
HL, LH and HH; any other place has the four at twice its row and column. A list holds places as row · W + column.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Children = list[tuple[int, ...]]
_DIGITS = bytes.maketrans(b"\0\1", b"01")


@lru_cache(maxsize=4)
def tree(height: int, width: int, levels: int) -> tuple[list[int], Children]:
    """The places of LL, and the children of every place. Raises ValueError for a size that 2^(levels + 1) does not divide."""
    if height % (2 << levels) or width % (2 << levels):
        raise ValueError(f"{height}×{width} is not divided by {2 << levels}, which {levels} levels need")
    rows, columns = height >> levels, width >> levels

    def of(row: int, column: int) -> tuple[int, ...]:
        down, right = row & 1, column & 1
        if row < rows and column < columns:
            if not (down or right):
                return ()
            first = (row - down + rows * down) * width + column - right + columns * right
        elif 2 * row < height and 2 * column < width:
            first = 2 * row * width + 2 * column
        else:
            return ()
        return first, first + 1, first + width, first + width + 1

    roots = [row * width + column for row in range(rows) for column in range(columns)]
    return roots, [of(row, column) for row in range(height) for column in range(width)]


def encode(values: NDArray[np.floating], levels: int, lowest: int, limit: int | None = None) -> bytes:
    """Coefficients (H, W) to bytes: the first plane counted from the last, then the bits of all planes down to the threshold
    2^lowest, or the first of them, so that there are at most `limit` bytes."""
    scale = 2.0**-lowest
    signed = values.reshape(-1).tolist()
    sizes = [int(abs(value) * scale) for value in signed]
    top = max(max(sizes).bit_length() - 1, 0)
    room = None if limit is None else max(limit - 1, 0) * 8
    written = _written(sizes, [int(value < 0) for value in signed], *tree(*values.shape, levels), top)
    bits = bytes(islice(written, room)).translate(_DIGITS)
    length = -(-len(bits) // 8)
    return bytes([top]) + int(bits.ljust(8 * length, b"0") or b"0", 2).to_bytes(length, "big")


def _written(sizes: list[int], negative: list[int], roots: list[int], children: Children, top: int) -> Iterator[int]:
    """The bits of all planes. An entry of the LIS is a place where of type A, ~place where of type B."""
    below = [0] * len(sizes)  # the largest of all descendants
    beyond = [0] * len(sizes)  # without the children
    for at in range(len(sizes) - 1, -1, -1):  # children stand behind their parents
        if four := children[at]:
            beyond[at] = max([below[child] for child in four])
            below[at] = max(beyond[at], max([sizes[child] for child in four]))
    significant: list[int] = []
    insignificant, sets = roots, [at for at in roots if children[at]]
    for plane in range(top, -1, -1):
        threshold, found = 1 << plane, []
        tried, insignificant = insignificant, []
        for at in tried:
            if sizes[at] < threshold:
                yield 0
                insignificant.append(at)
            else:
                yield 1
                yield negative[at]
                found.append(at)
        tried, sets = sets, []
        for entry in tried:  # which grows meanwhile
            if entry < 0:
                if beyond[~entry] < threshold:
                    yield 0
                    sets.append(entry)
                else:
                    yield 1
                    tried.extend(children[~entry])
            elif below[entry] < threshold:
                yield 0
                sets.append(entry)
            else:
                yield 1
                for at in children[entry]:
                    if sizes[at] < threshold:
                        yield 0
                        insignificant.append(at)
                    else:
                        yield 1
                        yield negative[at]
                        found.append(at)
                if children[children[entry][0]]:
                    tried.append(~entry)
        for at in significant:
            yield sizes[at] >> plane & 1
        significant += found


def decode(data: bytes, shape: tuple[int, int], levels: int, lowest: int) -> NDArray[np.float64]:
    """The bytes of `encode`, or the first of them, to coefficients (H, W), each in the middle of what is known of it."""
    found: dict[int, int] = {}  # twice the value, in units of the last threshold
    bits = (byte >> k & 1 for byte in data[1:] for k in range(7, -1, -1))
    with suppress(StopIteration):  # where they are cut
        _read(bits, found, *tree(*shape, levels), data[0] if data else 0)
    values = np.zeros(shape)
    values.reshape(-1)[list(found)] = list(found.values())
    return values * 2.0 ** (lowest - 1)


def _read(bits: Iterator[int], found: dict[int, int], roots: list[int], children: Children, top: int) -> None:
    """As `_written`, whose bits are given. `found` holds the LSP, in its order."""
    bit = bits.__next__
    insignificant, sets = roots, [at for at in roots if children[at]]
    for plane in range(top, -1, -1):
        first, step = 3 << plane, 1 << plane
        before = list(found)
        tried, insignificant = insignificant, []
        for at in tried:
            if bit():
                found[at] = -first if bit() else first
            else:
                insignificant.append(at)
        tried, sets = sets, []
        for entry in tried:  # which grows meanwhile
            if not bit():
                sets.append(entry)
            elif entry < 0:
                tried.extend(children[~entry])
            else:
                for at in children[entry]:
                    if bit():
                        found[at] = -first if bit() else first
                    else:
                        insignificant.append(at)
                if children[children[entry][0]]:
                    tried.append(~entry)
        for at in before:
            found[at] += step if bit() == (found[at] > 0) else -step
