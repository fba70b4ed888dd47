"""MNIST and its relatives: IDX files (http://yann.lecun.com/exdb/mnist, "File formats"), plain or gzip-compressed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from wavekit_core.data.arrays import ArraySplit
from wavekit_core.data.files import NotHere, data_root, shown
from wavekit_core.data.idx_file import IdxFile
from wavekit_core.errors import DataError, RecipeError
from wavekit_core.kinds.dataset import Batch, Dataset
from wavekit_core.spaces import ImageSpace

FOUR_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


class _IdxSplit:
    """One part of an IDX data set. Sizes and labels are known at once, pixels are read and checked on first use."""

    def __init__(self, images: str | Path, labels: str | Path | None, size: int | None):
        self._file = IdxFile(images, axes=3)
        self._labels = None if labels is None else IdxFile(labels, axes=1).read()
        count, self.height, self.width = self._file.shape
        if count == 0:
            raise DataError(f"{shown(images)}: holds no image; give a file with at least one")
        if self._labels is not None and len(self._labels) != count:
            raise DataError(
                f"{shown(str(labels))}: {len(self._labels)} labels for the {count} images of {shown(images)}; "
                "the two files do not belong together; give the labels of these images"
            )
        self._count, self._size = count, size

    @property
    def top_label(self) -> int | None:
        return None if self._labels is None else int(self._labels.max())

    def __len__(self) -> int:
        return self._count

    def batch(self, indices: Sequence[int] | NDArray[np.int64], words: NDArray[np.uint64] | None = None, /) -> Batch:
        return self._split.batch(indices)

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """(N, H, W) as in the file."""
        return self._file.read()

    @cached_property
    def _split(self) -> ArraySplit:
        resize = None if self._size is None else partial(fit_to, size=self._size)
        return ArraySplit(self.pixels[:, None], self._labels, resize)

    def feed(self, digest: hashlib._Hash) -> None:
        digest.update(repr((self._count, self.height, self.width, self._labels is not None)).encode())
        digest.update(self.pixels.tobytes())
        if self._labels is not None:
            digest.update(self._labels.tobytes())


class Idx(Dataset):
    """Grey images (1, H, W) in [0, 1] from IDX files; the test files are the held-out part.

    `size` None leaves the images as they are. Otherwise they become `size` × `size`: padded with zeros, evenly on all sides,
    to the next multiple of `size`, and averaged over blocks if that multiple is not 1. So 28 pixels become 32 by two rows of
    zeros on every side, and 16 by averaging 2 × 2 pixels of those 32. Memory holds the file's bytes; the rest happens to each
    batch in float32, without rounding.

    Raises `RecipeError` if only one of the two label files is given, and `DataError`, naming the file, for one that is
    missing, no IDX file, of another length than its header says, or not made for the other files.
    """

    train: _IdxSplit
    held_out: _IdxSplit

    def __init__(
        self,
        train_images: str,
        train_labels: str | None,
        test_images: str,
        test_labels: str | None,
        size: Annotated[int, Field(ge=1, le=1024)] | None = None,
    ):
        if (train_labels is None) != (test_labels is None):
            raise RecipeError("idx has labels for one part only; classes need both; give both label files or neither")
        self._size = size
        self.train, self.held_out = (
            _IdxSplit(train_images, train_labels, size),
            _IdxSplit(test_images, test_labels, size),
        )
        height, width = self.train.height, self.train.width
        if (self.held_out.height, self.held_out.width) != (height, width):
            raise DataError(
                f"{shown(test_images)}: images of {self.held_out.height}×{self.held_out.width} pixels, those for training "
                f"have {height}×{width}; the two files do not belong together; give the test images of this set"
            )
        self.space = ImageSpace(1, size or height, size or width)
        top = max((split.top_label for split in (self.train, self.held_out) if split.top_label is not None), default=-1)
        self.classes = tuple(str(label) for label in range(top + 1))

    @classmethod
    def declares(cls, size: int | None = None, **values: Any) -> ImageSpace | None:
        return ImageSpace(1, size, size) if size else None

    def digest(self) -> str:
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(f"idx size={self._size}".encode())
        for split in (self.train, self.held_out):
            split.feed(digest)
        return digest.hexdigest()


class Mnist(Idx):
    """MNIST: 60,000 and 10,000 handwritten digits (LeCun, Cortes, Burges), classes 0 … 9, white ink on black.

    The four original files, .gz or unpacked, are looked for in `root` and in `root/mnist`; without `root`, below the folder
    that `--data-root` or the environment variable WAVEKIT_DATA_ROOT names. Images (1, size, size) in [0, 1]: 28 as they are,
    32 padded with two rows of zeros on every side, 16 the average of 2 × 2 pixels of those 32.
    """

    def __init__(self, root: str | None = None, size: Literal[16, 28, 32] = 28):
        super().__init__(*_four_files("mnist", root), size)
        self.classes = _ten_classes(self, tuple("0123456789"))


class FashionMnist(Idx):
    """Fashion-MNIST: 60,000 and 10,000 grey pictures of clothing in 10 classes (Xiao, Rasul, Vollgraf 2017).

    Files and sizes as for `Mnist`, looked for in `root` and in `root/fashion-mnist`.
    """

    def __init__(self, root: str | None = None, size: Literal[16, 28, 32] = 28):
        super().__init__(*_four_files("fashion-mnist", root), size)
        self.classes = _ten_classes(self, FASHION_CLASSES)


def fit_to(images: Tensor, size: int) -> Tensor:
    """(B, C, H, W) to (B, C, size, size): zeros around up to the next multiple of `size`, then the mean of each block."""
    height, width = images.shape[-2:]
    factor = -(-max(height, width) // size)
    rows, columns = factor * size - height, factor * size - width
    padded = F.pad(images, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
    return F.avg_pool2d(padded, factor) if factor > 1 else padded


def _four_files(name: str, root: str | None) -> tuple[str, str, str, str]:
    """The paths of the four files of data set `name`. Raises `DataError` saying where they were looked for."""
    base = data_root(root)
    remedy = (
        f"`wavekit data download {name}` fetches them; or put {', '.join(FOUR_FILES)} (or the same with .gz) "
        f"into one folder DIR/{name} and name DIR by --data-root, by the environment variable "
        "WAVEKIT_DATA_ROOT or by the parameter root"
    )
    if base is None:
        raise NotHere(f"{name}: no folder to look in; neither root nor WAVEKIT_DATA_ROOT is set; {remedy}")
    folders = [base / name, base] if root else [base / name]  # a root for all sets is not the folder of one
    for folder in folders:
        found = [_plain_or_gz(folder / file) for file in FOUR_FILES]
        images, labels, test_images, test_labels = (str(path or "") for path in found)
        if all(found):
            return images, labels, test_images, test_labels
        if any(found):
            missing = ", ".join(file for file, path in zip(FOUR_FILES, found, strict=True) if path is None)
            raise NotHere(f"{shown(folder)}: {missing} is missing; {name} needs all four files; {remedy}")
    looked = " and ".join(shown(folder) for folder in folders)
    raise NotHere(f"{name}: its files are not there; looked in {looked}; {remedy}")


def _plain_or_gz(path: Path) -> Path | None:
    return next((p for p in (path, path.with_name(path.name + ".gz")) if p.exists()), None)


def _ten_classes(dataset: Idx, names: tuple[str, ...]) -> tuple[str, ...]:
    if len(dataset.classes) > len(names):
        raise DataError(
            f"{type(dataset).__name__}: a label of {len(dataset.classes) - 1}; its classes are 0 … 9; these are not its files"
        )
    return names
