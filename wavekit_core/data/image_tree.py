"""The image files below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from wavekit_core.data.files import looked_in, open_regular, shown
from wavekit_core.data.image_file import SUFFIXES
from wavekit_core.errors import DataError

FILE_LIMIT = 2**30


class ImageTree:
    """Regular files named like images, at any depth. Names that start with a dot, and all other files, are ignored. Links are
    not followed and pipes not opened: those that could hold images are faults."""

    def __init__(self, root: str):
        self._root = root

    def candidates(self) -> Iterator[tuple[str, str | None]]:
        """(relative name, None or why it is not opened) of everything that is named like an image. Raises `DataError`."""
        folders = [""]
        while folders:
            folder = folders.pop()
            for entry in self._entries(folder):
                name = f"{folder}/{entry.name}" if folder else entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink():
                    if entry.name.lower().endswith(SUFFIXES) or entry.is_dir():
                        yield name, "a link, which is not followed"
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif entry.name.lower().endswith(SUFFIXES):
                    yield (
                        name,
                        None if entry.is_file(follow_symlinks=False) else "a pipe or a device, which is not opened",
                    )

    def path(self, name: str) -> str:
        """What to call a file in a message."""
        return os.path.join(self._root, name)

    def open(self, name: str, whole: bool = True) -> BinaryIO:
        """The file, whatever `whole`. Raises `DataError` naming the file, also for one that became a link since."""
        file = open_regular(self.path(name), follow_links=False)
        if os.fstat(file.fileno()).st_size > FILE_LIMIT:
            file.close()
            raise DataError(f"{shown(self.path(name))}: larger than {FILE_LIMIT} bytes; make it smaller or remove it")
        return file

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        path = os.path.join(self._root, folder) if folder else self._root
        try:
            with os.scandir(path) as entries:
                return list(entries)
        except FileNotFoundError as error:
            raise DataError(f"{shown(path)}: there is no such folder{looked_in(path)}; check the path") from error
        except NotADirectoryError as error:
            raise DataError(
                f"{shown(path)}: not a folder; give the folder or the .zip that holds the images"
            ) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{shown(path)}: cannot be listed ({reason}); check the path and its rights") from error
