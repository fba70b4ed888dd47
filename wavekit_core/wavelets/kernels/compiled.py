"""How kernels are compiled: without Python's lock, on first use, and kept on disk where there is a place to keep them."""

from __future__ import annotations

from typing import Any

import numba


def compiled(function: Any) -> Any:
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder that can be written to
        return numba.njit(nogil=True)(function)


def inlined(function: Any) -> Any:
    """A piece of a kernel, put where it is called."""
    return numba.njit(nogil=True, forceinline=True)(function)
