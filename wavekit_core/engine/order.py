"""The order in which training meets the images: computed from a key, never stored; any step can be asked for."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

_KEY_WORDS = 2**64


def indices(length: int, batch_size: int, step: int, seed: int) -> NDArray[np.int64]:
    """The indices (batch_size,) of global batch `step`, from 0.

    The batches are consecutive pieces of an endless sequence of epochs. Every epoch is a permutation of `range(length)`
    that depends on (seed, epoch) alone; a batch may cross epochs and may be larger than the data set.

    Raises `ValueError` for an empty data set, an empty batch, a negative step or a seed outside 0 … 2^64 - 1.
    """
    if length < 1 or batch_size < 1 or step < 0:
        raise ValueError(f"no batch {step} of {batch_size} from {length} images: length and batch from 1, step from 0")
    if not 0 <= seed < _KEY_WORDS:
        raise ValueError(f"seed {seed} is outside 0 … 2^64 - 1")
    position = step * batch_size
    end = position + batch_size
    pieces = []
    while position < end:
        epoch, start = divmod(position, length)
        piece = permutation(length, epoch, seed)[start : start + end - position]
        pieces.append(piece)
        position += len(piece)
    return np.concatenate(pieces)


@functools.lru_cache(maxsize=2)  # a batch crosses at most one boundary as a rule, and steps follow one another
def permutation(length: int, epoch: int, seed: int) -> NDArray[np.int64]:
    """The order (length,) of one epoch, read-only: the ranks of raw Philox words with key (seed, epoch).

    Ranks of raw words rather than `Generator.permutation`, because NumPy keeps the words of a bit generator the same in
    all versions but may change what a `Generator` makes of them (NEP 19).
    """
    words = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)).random_raw(length)
    order = np.argsort(words, kind="stable").astype(np.int64)
    order.flags.writeable = False
    return order
