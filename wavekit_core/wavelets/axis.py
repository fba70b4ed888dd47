"""One level along one axis as a sparse matrix: what every mode, size and direction has in common."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.borders import (
    NON_EXPANSIVE,
    Mode,
    beyond,
    beyond_bands,
    coefficient_count,
    high_count,
    source,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@lru_cache(maxsize=256)
def analysis_matrix(bank: FilterBank, mode: Mode, size: int) -> csr_array:
    """(2 · count, size), float64: the rows of the low-pass coefficients, then those of the high-pass ones."""
    count, length = coefficient_count(size, bank.length, mode), bank.length
    shift = length // 2 if mode in NON_EXPANSIVE else 1
    entries = []
    for band, taps in enumerate((bank.dec_lo, bank.dec_hi)):
        rows = count if band == 0 else high_count(size, length, mode)
        for i in range(rows):
            entries += [(band * count + i, 2 * i + shift - j, tap) for j, tap in enumerate(taps) if tap]
    if (extension := beyond(mode, length)) == "zero":
        entries = [entry for entry in entries if 0 <= entry[1] < size]
    else:
        entries = [(row, source(k, size, extension), tap) for row, k, tap in entries]
    return _matrix(entries, (2 * count, size))


@lru_cache(maxsize=256)
def synthesis_matrix(bank: FilterBank, mode: Mode, size: int) -> csr_array:
    """(size, 2 · count), float64: the samples from low-pass coefficients, then high-pass ones."""
    count, length = coefficient_count(size, bank.length, mode), bank.length
    delay = length // 2 - 1 if mode in NON_EXPANSIVE else length - 2
    highs, extension = high_count(size, length, mode), beyond_bands(mode, length)
    entries = []
    for band, taps in enumerate((bank.rec_lo, bank.rec_hi)):
        for n in range(size):
            for t in range((n + delay) % 2, length, 2):
                if not taps[t]:
                    continue
                i = (n + delay - t) // 2  # the coefficient that tap t meets, maybe beyond the ends
                if extension == "periodic":
                    i %= count
                elif extension == "reflect":
                    i = source(2 * i + band, size, extension) // 2
                if not 0 <= i < (count, highs)[band]:
                    continue
                entries.append((n, band * count + i, taps[t]))
    return _matrix(entries, (size, 2 * count))


def _matrix(entries: list[tuple[int, int, float]], shape: tuple[int, int]) -> csr_array:
    from scipy.sparse import csr_array  # here, because a plugin's import should not wait for it

    rows, columns, values = np.array(entries, dtype=float).reshape(-1, 3).T
    return csr_array((values, (rows.astype(int), columns.astype(int))), shape=shape)
