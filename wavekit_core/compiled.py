"""How numba's functions are compiled: without Python's lock, on first use, and kept on disk where there is a place to keep them.

numba keeps what it compiled by the file that a function stands in, and does not see when a function that it calls, in another
file, is changed. Therefore the folder is named by the digest of all sources beside the function: what is changed is never old.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba


def compiled(function: Any) -> Any:
    """A kernel: `function`, compiled when it is first called."""
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    for folder in places(Path(function.__code__.co_filename).parent):
        try:
            numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
            return numba.njit(nogil=True, cache=True)(function)
        except RuntimeError:  # cannot be written to
            continue
        finally:
            numba.config.CACHE_DIR = before  # type: ignore[attr-defined]
    return numba.njit(nogil=True)(function)


def inlined(function: Any) -> Any:
    """A piece of a kernel, put where it is called."""
    return numba.njit(nogil=True, forceinline=True)(function)


def pasted(function: Any) -> Any:
    """A piece of one kernel, put where it is called before anything is compiled: for large pieces, which would otherwise be
    compiled twice, and for those that take functions."""
    return numba.njit(nogil=True, inline="always")(function)


@lru_cache
def places(sources: Path) -> tuple[Path, ...]:
    """Where what is compiled of a folder is kept, the first that can be written to: NUMBA_CACHE_DIR, if it is set; in the folder;
    the user's cache."""
    total = hashlib.sha256()
    for path in sorted(sources.glob("*.py")):
        total.update(path.read_bytes())
    name = f"wavekit-{sources.name}-{total.hexdigest()[:16]}"
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return (Path(given) / name,)
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (sources / "__pycache__" / name, user / name)
