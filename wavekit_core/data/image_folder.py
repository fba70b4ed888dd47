"""A folder of image files as a data set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from wavekit_core.data.arrays import checked_indices
from wavekit_core.data.files import open_regular, shown
from wavekit_core.data.image_file import SUFFIXES, check_header, decode
from wavekit_core.errors import DataError
from wavekit_core.kinds.dataset import Batch, Dataset
from wavekit_core.spaces import ImageSpace

CACHE_BYTES = 512 * 2**20
LISTED = 10


class ImageFolder(Dataset):
    """Every image file below `path`, as (channels, size, size) in [0, 1].

    Files: regular files named .png, .jpg, .jpeg, .webp, .bmp, .tif or .tiff, whatever their case. Names that start with a
    dot, and all other files, are ignored. Links are not followed and pipes not opened: those that could hold images are
    refused. The constructor reads names and headers, `batch` decodes; a damaged file is a `DataError` with its name.

    Pixels: turned upright as EXIF says, shorter side scaled to `size`, centre cropped (see `image_file.decode`).
    Classes: the names of the first-level folders, if there are at least two and every image lies in one; else none.
    Held out: the images whose relative name has a SHA-256 below the fraction `held_out` of its range, so a new file moves no
    other one; at least one image, and at least one is left for training. Two files are the least.
    """

    def __init__(
        self,
        path: Annotated[str, Field(min_length=1)],
        size: Annotated[int, Field(ge=1, le=4096)],
        channels: Literal[1, 3] = 3,
        held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    ):
        self.space = ImageSpace(channels, size, size)
        self._identity = f"image-folder size={size} channels={channels} held_out={held_out}"
        self._names = _usable(path)
        self._files = _Files(path, self._names, self.space)
        self.classes = _classes(self._names)
        number = {folder: index for index, folder in enumerate(self.classes)}
        labels = np.array([number[_first_folder(name)] for name in self._names], np.int64) if number else None
        is_held_out = _held_out(path, self._names, held_out)
        self.train = _FolderSplit(self._files, np.flatnonzero(~is_held_out), labels)
        self.held_out = _FolderSplit(self._files, np.flatnonzero(is_held_out), labels)

    @classmethod
    def declares(cls, size: int, channels: int, **values: Any) -> ImageSpace:  # type: ignore[override]
        return ImageSpace(channels, size, size)

    def digest(self) -> str:
        """Over the parameters and each file's name and bytes; read once."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(self._identity.encode())
        for name in self._names:
            content = hashlib.sha256()
            with open_regular(self._files.path(name), follow_links=False) as file:
                while chunk := file.read(1 << 20):
                    content.update(chunk)
            digest.update(hashlib.sha256(os.fsencode(name)).digest() + content.digest())
        return digest.hexdigest()


class _Files:
    """Decodes files by index, and keeps what it decoded as uint8 while all of it fits into CACHE_BYTES."""

    def __init__(self, root: str, names: Sequence[str], space: ImageSpace):
        self._root, self._names, self.space = root, names, space
        fits = len(names) * space.numbers <= CACHE_BYTES
        self._kept = np.empty((len(names), *space.shape), np.uint8) if fits else None
        self._is_kept = np.zeros(len(names), bool)

    def path(self, name: str) -> str:
        return os.path.join(self._root, name)

    def image(self, index: int) -> NDArray[np.uint8]:
        if self._kept is not None and self._is_kept[index]:
            return self._kept[index]
        pixels = decode(self.path(self._names[index]), self.space.height, self.space.channels)
        if self._kept is not None:
            self._kept[index] = pixels
            self._is_kept[index] = True
        return pixels


class _FolderSplit:
    def __init__(self, files: _Files, members: NDArray[np.intp], labels: NDArray[np.int64] | None):
        self._files, self._members = files, members
        self._labels = None if labels is None else labels[members]

    def __len__(self) -> int:
        return len(self._members)

    def batch(self, indices: Sequence[int] | NDArray[np.int64], /) -> Batch:
        wanted = checked_indices(indices, len(self))
        shape = self._files.space.shape
        pixels = np.empty((len(wanted), *shape), np.uint8)
        for row, index in enumerate(self._members[wanted]):
            pixels[row] = self._files.image(int(index))
        labels = None if self._labels is None else torch.from_numpy(self._labels[wanted])
        return Batch(torch.from_numpy(pixels).to(torch.float32).div_(255), labels)


def _usable(root: str) -> list[str]:
    """Relative names of all images below `root`, sorted by bytes. Raises `DataError` listing what cannot be used."""
    names, faults = [], []
    for name, fault in _candidates(root):
        try:
            if fault is None:
                check_header(os.path.join(root, name))
        except DataError as error:
            fault = str(error).removeprefix(shown(os.path.join(root, name)) + ": ").split(";")[0]
        if fault is None:
            names.append(name)
        else:
            faults.append((name, fault))
    if faults:
        faults.sort(key=lambda entry: os.fsencode(entry[0]))
        listed = "; ".join(f"{shown(name)}: {fault}" for name, fault in faults[:LISTED])
        more = f"; and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
        count = f"{len(faults)} of {len(faults) + len(names)}" if names else f"all {len(faults)}"
        raise DataError(f"{shown(root)}: {count} images cannot be used: {listed}{more}; repair or remove them")
    if not names:
        raise DataError(
            f"{shown(root)}: no image in it; put files named {', '.join(SUFFIXES)} there, or name another folder"
        )
    return sorted(names, key=os.fsencode)


def _candidates(root: str) -> Iterator[tuple[str, str | None]]:
    """(relative name, None or why it is not opened) of everything below `root` that is named like an image."""
    folders = [""]
    while folders:
        folder = folders.pop()
        for entry in _entries(root, folder):
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_symlink():
                if entry.name.lower().endswith(SUFFIXES) or entry.is_dir():
                    yield name, "a link, which is not followed"
            elif entry.is_dir(follow_symlinks=False):
                folders.append(name)
            elif entry.name.lower().endswith(SUFFIXES):
                yield name, None if entry.is_file(follow_symlinks=False) else "a pipe or a device, which is not opened"


def _entries(root: str, folder: str) -> list[os.DirEntry[str]]:
    path = os.path.join(root, folder) if folder else root
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except FileNotFoundError as error:
        raise DataError(f"{shown(path)}: there is no such folder; check the path") from error
    except NotADirectoryError as error:
        raise DataError(f"{shown(path)}: not a folder; give the folder that holds the images") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{shown(path)}: cannot be listed ({reason}); check the path and its rights") from error


def _first_folder(name: str) -> str:
    return name.partition("/")[0]


def _classes(names: Sequence[str]) -> tuple[str, ...]:
    folders = {_first_folder(name) for name in names}
    if len(folders) < 2 or not all("/" in name for name in names):
        return ()
    return tuple(sorted(folders, key=os.fsencode))


def _held_out(root: str, names: Sequence[str], fraction: float) -> NDArray[np.bool_]:
    """Which names are held out (N,)."""
    if len(names) < 2:
        raise DataError(
            f"{shown(root)}: only one image; one is needed for training and one is held out; add at least one more"
        )
    digests = [hashlib.sha256(os.fsencode(name)).digest() for name in names]
    drawn = np.array([int.from_bytes(digest[:8]) / 2**64 for digest in digests])
    held_out = drawn < fraction
    if not held_out.any():
        held_out[drawn.argmin()] = True
    if held_out.all():
        held_out[drawn.argmax()] = False
    return held_out
