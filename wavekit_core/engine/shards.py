"""Randomness keyed by what it is for.

Before every shard, every sample chunk and every fit the global generators are seeded from a key, so plugins use plain
`torch.randn_like` and dropout, no generator's state is saved, and a resumed run draws the same numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

import numpy as np
import torch

from wavekit_core.kinds import Batch


def seed_from(*key: int | str) -> int:
    """63 bits that depend on every part of the key."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1


def seed(*key: int | str) -> None:
    """Seed Python's, NumPy's and torch's global generators (CPU and CUDA) from a key."""
    value = seed_from(*key)
    random.seed(value)
    np.random.seed(value % 2**32)
    torch.default_generator.manual_seed(value)  # torch.manual_seed asks every backend that exists: 50 times as long
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(value)


@contextlib.contextmanager
def seeded(*key: int | str) -> Iterator[None]:
    """Seed for a block and restore the generators after it."""
    states = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices):
            seed(*key)
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def cut(batch: Batch, shards: int) -> list[Batch]:
    """A global batch in equal parts."""
    data = batch.data.chunk(shards)
    labels = batch.labels.chunk(shards) if batch.labels is not None else [None] * shards
    return [Batch(d, y) for d, y in zip(data, labels, strict=True)]
