"""A folder, or a .zip, of image files as a data set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wavekit_core.data.files import shown
from wavekit_core.data.fit import Fit, channels_first, fit_image
from wavekit_core.data.held_out import by_name
from wavekit_core.data.image_archive import ImageArchive
from wavekit_core.data.image_file import SUFFIXES, header, upright
from wavekit_core.data.image_tree import ImageTree
from wavekit_core.data.views import LISTED, View, ViewSplit
from wavekit_core.errors import DataError
from wavekit_core.kinds.dataset import Dataset
from wavekit_core.spaces import ImageSpace

CACHE_BYTES = 512 * 2**20


class UnusableImages(DataError):
    """Files whose names or headers show that they are no images: `faults` has all of them, (name, reason), `usable` the names
    of the others in `source`."""

    def __init__(self, where: str, source: ImageTree | ImageArchive, faults: list[tuple[str, str]], usable: list[str]):
        listed = "; ".join(f"{shown(name)}: {fault}" for name, fault in faults[:LISTED])
        more = f"; and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
        count = f"{len(faults)} of {len(faults) + len(usable)}" if usable else f"all {len(faults)}"
        super().__init__(f"{where}: {count} images cannot be used: {listed}{more}; repair or remove them")
        self.source, self.faults, self.usable = source, faults, usable


class ImageFolder(Dataset):
    """Every image file below `path`, a folder or a .zip, as (channels, size, size) in [0, 1].

    Files: regular files named .png, .jpg, .jpeg, .webp, .bmp, .tif or .tiff, whatever their case. Names that start with a
    dot, and all other files, are ignored. Links are not followed and pipes not opened: those that could hold images are
    refused. A .zip is read in place; one suspicious member refuses all of it (see `ImageArchive`). The constructor reads names
    and headers, `batch` decodes; a damaged file is a `DataError` with its name. Decoded images stay in memory as uint8 up to
    CACHE_BYTES.

    Pixels: turned upright as EXIF says (see `image_file.upright`), then `fit` (see `data/fit.py`). With `crop` every tile is an
    image of its own; in training `random_crops` moves it to a random place of its file and `flip` mirrors every second image.
    Classes: the names of the first-level folders, if there are at least two and every image lies in one; else none. Folders by
    which images are held out are groups, and then there are no classes.
    Held out: the files whose relative name has a SHA-256 below the fraction `held_out` of its range, so a new file moves no
    other one; `held_out_by: folder` takes the name of a file's folder instead, so that images of one folder stay together.
    At least one file or folder is held out and one is left for training. Tiles go with their file.
    """

    def __init__(
        self,
        path: Annotated[str, Field(min_length=1)],
        size: Annotated[int, Field(ge=1, le=4096)],
        channels: Literal[1, 3] = 3,
        held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        fit: Fit = "resize-crop",
        random_crops: bool = False,
        flip: bool = False,
        held_out_by: Literal["file", "folder"] = "file",
    ):
        view = View(size, fit, random_crops, flip)
        self.space, self.fit = ImageSpace(channels, size, size), fit
        self._identity = f"image-folder size={size} channels={channels} held_out={held_out} fit={fit} by={held_out_by}"
        self._source: ImageTree | ImageArchive
        self._source = ImageArchive(path) if path.lower().endswith(".zip") and os.path.isfile(path) else ImageTree(path)
        self._names, sizes = _usable(path, self._source)
        images = _Files(self._source, self._names, channels, view)
        tiles = view.tiles(sizes, images)
        self.classes = () if held_out_by == "folder" else _classes(self._names)
        number = {folder: index for index, folder in enumerate(self.classes)}
        labels = np.array([number[_first_folder(name)] for name in self._names], np.int64) if number else None
        keys = [os.path.dirname(name) for name in self._names] if held_out_by == "folder" else self._names
        chosen = by_name(shown(path), keys, held_out)
        self.train, self.held_out = (
            ViewSplit(images, view, self.space.shape, members, tiles[members], labels)
            for members in (np.flatnonzero(~chosen), np.flatnonzero(chosen))
        )

    @classmethod
    def declares(cls, size: int, channels: int, **values: Any) -> ImageSpace:  # type: ignore[override]
        return ImageSpace(channels, size, size)

    def digest(self) -> str:
        """Over the parameters and each file's name and bytes; read once. A .zip has the digest of the folder it was made from."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(self._identity.encode())
        for name in self._names:
            content = hashlib.sha256()
            with self._source.open(name) as file:
                while chunk := file.read(1 << 20):
                    content.update(chunk)
            digest.update(hashlib.sha256(os.fsencode(name)).digest() + content.digest())
        return digest.hexdigest()


class _Files:
    """Decodes files by number, and keeps what it decoded as uint8 until CACHE_BYTES are full."""

    def __init__(self, source: ImageTree | ImageArchive, names: Sequence[str], channels: int, view: View):
        self._source, self._names, self._channels, self._view = source, names, channels, view
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._room = CACHE_BYTES

    def name(self, number: int) -> str:
        return shown(self._source.path(self._names[number]))

    def pixels(self, number: int) -> NDArray[np.uint8]:
        if (kept := self._kept.get(number)) is not None:
            return kept
        pixels = decode(self._source, self._names[number], self._channels, self._view)
        if pixels.nbytes <= self._room:
            self._room -= pixels.nbytes
            self._kept[number] = pixels
        return pixels


def decode(source: ImageTree | ImageArchive, name: str, channels: int, view: View) -> NDArray[np.uint8]:
    """A file as (channels, size, size), fitted; with `crop`, whole. Raises `DataError` naming it."""
    path = source.path(name)
    with source.open(name) as file:
        image = upright(file, path, channels)
    try:
        return channels_first(image if view.size is None else fit_image(image, view.size, view.fit))
    except DataError as error:
        raise DataError(f"{shown(path)}: {error}") from error


def _usable(root: str, source: ImageTree | ImageArchive) -> tuple[list[str], NDArray[np.int64]]:
    """Names of all images of `source`, sorted by bytes, and their heights and widths (N, 2) as stored. Raises `DataError`
    with all that cannot be used."""
    sizes: dict[str, tuple[int, int]] = {}
    faults = []
    for name, fault in source.candidates():
        try:
            if fault is None:
                with source.open(name, whole=False) as file:
                    sizes[name] = header(file, source.path(name))
        except DataError as error:
            fault = str(error).removeprefix(shown(source.path(name)) + ": ").split(";")[0]
        if fault is not None:
            faults.append((name, fault))
    names = sorted(sizes, key=os.fsencode)
    if faults:
        raise UnusableImages(shown(root), source, sorted(faults, key=lambda entry: os.fsencode(entry[0])), names)
    if not names:
        raise DataError(
            f"{shown(root)}: no image in it; put files named {', '.join(SUFFIXES)} there, or name another folder"
        )
    return names, np.array([sizes[name] for name in names], np.int64)


def _first_folder(name: str) -> str:
    return name.partition("/")[0]


def _classes(names: Sequence[str]) -> tuple[str, ...]:
    folders = {_first_folder(name) for name in names}
    if len(folders) < 2 or not all("/" in name for name in names):
        return ()
    return tuple(sorted(folders, key=os.fsencode))
