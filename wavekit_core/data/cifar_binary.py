"""CIFAR's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of a label byte and 3 × 1,024 pixels."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wavekit_core.data.array_images import ArrayImages, array_split, class_names, view_space
from wavekit_core.data.files import NotHere, data_root, open_regular, shown
from wavekit_core.data.fit import Fit
from wavekit_core.data.held_out import Part, by_index
from wavekit_core.data.views import View
from wavekit_core.errors import DataError
from wavekit_core.kinds.dataset import Dataset
from wavekit_core.spaces import ImageSpace

SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
BYTES_LIMIT = 4 * 2**30
META = "batches.meta.txt"
TRAINING = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = "test_batch.bin"
SUBSET = "data_batch_1_first4000.bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

Size = Annotated[int, Field(ge=1, le=4096)]
Paths = str | list[str]


class CifarBinary(Dataset):
    """Colour images (3, 32, 32) in [0, 1] with labels, from files of CIFAR-10's binary version: records of 3,073 bytes.

    `path` is a file, a list of files, or a folder, of which every .bin file is taken in the order of the names. Held out: the
    last so many records for a whole number, so many evenly spread ones for a fraction, or the records of other files for a
    path. Class names come from `batches.meta.txt` beside the first file, if it is there. `size` and `fit` as in `data/fit.py`;
    `random_crops` and `flip` as for `ImageFolder`. Memory holds the bytes of the files.

    Raises `DataError` naming the file for one that is missing, empty, or no whole number of records.
    """

    def __init__(
        self,
        path: Paths,
        held_out: Part | Paths = 0.1,
        size: Size | None = None,
        fit: Fit = "resize-crop",
        random_crops: bool = False,
        flip: bool = False,
    ):
        view = View(size, fit, random_crops, flip)
        apart = _files(held_out) if isinstance(held_out, (str, list)) else []
        theirs = {os.path.realpath(file) for file in apart}
        files = [file for file in _files(path) if os.path.realpath(file) not in theirs]
        if not files:
            raise DataError(f"{shown(str(path))}: no file is left for training; hold out fewer")
        records = np.concatenate([_records(file) for file in [*files, *apart]])
        training = len(records) - sum(os.path.getsize(file) // RECORD for file in apart)
        self._records = records
        self._identity = f"cifar-binary held_out={training if apart else held_out} size={size} fit={fit}"
        if isinstance(held_out, (int, float)):
            chosen = by_index(shown(files[0]), len(records), held_out)
        else:
            chosen = np.arange(len(records)) >= training
        labels = records[:, 0]
        self.classes = _classes(files[0], labels)
        images = ArrayImages(shown(files[0]), lambda index: records[index, 1:].reshape(SHAPE), view)
        self.space = view_space(SHAPE, view)
        self.train, self.held_out = (
            array_split(images, SHAPE, view, members, labels)
            for members in (np.flatnonzero(~chosen), np.flatnonzero(chosen))
        )

    @classmethod
    def declares(cls, size: int | None = None, **values: Any) -> ImageSpace | None:
        return ImageSpace(3, size or 32, size or 32)

    def digest(self) -> str:
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(self._identity.encode())
        digest.update(self._records.data)
        return digest.hexdigest()


class Cifar10(CifarBinary):
    """CIFAR-10: 50,000 and 10,000 colour photographs of 10 classes (Krizhevsky 2009), images (3, size, size) in [0, 1].

    Looked for in `root` and in `root/cifar10`; without `root`, in `cifar10` below the folder that `--data-root` or the
    environment variable WAVEKIT_DATA_ROOT names: the six files data_batch_1.bin … data_batch_5.bin and test_batch.bin, the last
    held out. If none of them is there, a file data_batch_1_first4000.bin is taken instead, the first 4,000 training images, of
    which the last 500 are held out: figures on it do not compare with those on CIFAR-10.

    `size`, `fit`, `random_crops` and `flip` as for `CifarBinary`; `size: 128` enlarges by bicubic interpolation.
    """

    def __init__(
        self,
        root: str | None = None,
        size: Size = 32,
        fit: Fit = "resize-crop",
        random_crops: bool = False,
        flip: bool = False,
    ):
        path, held_out = _named_files(root)
        super().__init__(path, held_out, size, fit, random_crops, flip)
        if len(self.classes) > len(CLASSES):
            raise DataError(
                f"{path[0]}: a label of {len(self.classes) - 1}; CIFAR-10's classes are 0 … 9; get it again"
            )
        self.classes = CLASSES


def _named_files(root: str | None) -> tuple[list[str], int | list[str]]:
    """Training files and what is held out."""
    base = data_root(root)
    remedy = (
        f"`wavekit data download cifar10` fetches it; or put {', '.join((*TRAINING, TEST))} into one folder DIR/cifar10 and name "
        "DIR by --data-root, by the environment variable WAVEKIT_DATA_ROOT or by the parameter root"
    )
    if base is None:
        raise NotHere(f"cifar10: no folder to look in; neither root nor WAVEKIT_DATA_ROOT is set; {remedy}")
    folders = [base / "cifar10", base] if root else [base / "cifar10"]
    for folder in folders:
        missing = [name for name in (*TRAINING, TEST) if not (folder / name).exists()]
        if not missing:
            return [str(folder / name) for name in TRAINING], [str(folder / TEST)]
        if len(missing) < 6:
            raise NotHere(f"{shown(folder)}: {', '.join(missing)} is missing; cifar10 needs all six files; {remedy}")
        if (folder / SUBSET).exists():
            return [str(folder / SUBSET)], 500
    raise NotHere(f"cifar10: its files are not there; looked in {' and '.join(map(shown, folders))}; {remedy}")


def _files(path: Paths) -> list[str]:
    """The files that `path` names. Raises `DataError` if there is none."""
    if isinstance(path, list):
        if not path:
            raise DataError("cifar-binary: an empty list of files; name at least one")
        return path
    if not os.path.isdir(path):
        return [path]
    found = sorted(
        str(file) for file in Path(path).iterdir() if file.suffix == ".bin" and not file.name.startswith(".")
    )
    if not found:
        raise DataError(f"{shown(path)}: no .bin file in it; give the folder that holds data_batch_1.bin and the like")
    return found


def _records(path: str) -> NDArray[np.uint8]:
    """(N, 3073)."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0 or size % RECORD:
            hint = (
                "; it looks like CIFAR-100, whose records have two labels" if size and size % (RECORD + 1) == 0 else ""
            )
            raise DataError(
                f"{shown(path)}: {size} bytes are no whole number of records of {RECORD} bytes{hint}; it is cut off or no "
                "CIFAR-10 file of the binary version; get it again"
            )
        if size > BYTES_LIMIT:
            raise DataError(f"{shown(path)}: {size} bytes, the limit is {BYTES_LIMIT}; use shards instead")
        content = file.read(size)
    if len(content) < size:
        raise DataError(f"{shown(path)}: changed while it was read; run the same command again")
    return np.frombuffer(content, np.uint8).reshape(-1, RECORD)


def _classes(first: str, labels: NDArray[np.uint8]) -> tuple[str, ...]:
    """The names in batches.meta.txt beside `first`, if it is there; else the numbers."""
    numbered = class_names([labels], shown(first))
    meta = Path(first).with_name(META)
    if not meta.exists():
        return numbered
    with open_regular(meta) as file:
        text = file.read(1 << 16).decode("utf-8", "replace")
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if len(names) < len(numbered) or not all(name.isprintable() for name in names):
        raise DataError(
            f"{shown(meta)}: {len(names)} names of classes for labels up to {len(numbered) - 1}; correct or remove it"
        )
    return names
