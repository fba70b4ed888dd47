"""Images in NumPy's .npz archives and .npy files."""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from functools import cached_property
from typing import Annotated, Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wavekit_core.data.array_images import ArrayImages, array_split, class_names, view_space
from wavekit_core.data.files import open_regular, shown
from wavekit_core.data.fit import Fit
from wavekit_core.data.held_out import Part, by_index
from wavekit_core.data.npy_file import NpyFile, check_length, read_header
from wavekit_core.data.views import View
from wavekit_core.errors import DataError, RecipeError
from wavekit_core.kinds.dataset import Dataset

BYTES_LIMIT = 4 * 2**30
DEFLATE_RATIO = 1032  # a deflate stream cannot grow by more (zlib technical details)

Layout = Literal["auto", "NHW", "NHWC", "NCHW"]
Name = Annotated[str, Field(min_length=1)]


class Npz(Dataset):
    """Images (C, H, W) in [0, 1] from uint8 arrays: a .npz archive, or a .npy file without labels.

    `images` names the archive's array, `labels` that of their whole numbers. Without `images`: the archive's array of that
    name, else its only one with three or four axes; the array `labels`, if there is one, has the labels. `layout` says what the
    axes are: (N, H, W) is grey; of four axes the second or the last is the channels, and `auto` finds out if one of them alone
    has length 1 or 3. Held out: the last so many images for a whole number, so many evenly spread ones for a fraction, or the
    array of that name for a name, with labels `held_out_labels`. `size`, `fit`, `random_crops`, `flip` as for `CifarBinary`.

    A .npy file is read image by image, so it may be larger than memory; arrays of an archive are read on first use, whole.
    Nothing is unpickled. Raises `DataError` naming file and array for a wrong type, a lying header or a damaged archive.
    """

    def __init__(
        self,
        path: Name,
        images: Name | None = None,
        labels: Name | None = None,
        layout: Layout = "auto",
        held_out: Part | Name = 0.1,
        held_out_labels: Name | None = None,
        size: Annotated[int, Field(ge=1, le=4096)] | None = None,
        fit: Fit = "resize-crop",
        random_crops: bool = False,
        flip: bool = False,
    ):
        view = View(size, fit, random_crops, flip)
        apart = held_out if isinstance(held_out, str) else None
        if held_out_labels and not apart:
            raise RecipeError("held_out_labels are those of another array; name that array by held_out")
        arrays = _arrays(path)
        name = images or _guessed(path, arrays, apart)
        if name == apart:
            raise RecipeError(f"held_out names the array of the training images, {name!r}; name another array")
        taken = _Taken(path, arrays, name, layout)
        chosen_labels = labels or ("labels" if "labels" in arrays and (not apart or held_out_labels) else None)
        if apart and (chosen_labels is None) != (held_out_labels is None):
            raise RecipeError(
                "labels for one part only; classes need both; name labels and held_out_labels, or neither"
            )
        other = _Taken(path, arrays, apart, layout) if apart else taken
        if other.shape != taken.shape:
            raise DataError(
                f"{other.name}: images of {_form(other.shape)}, those for training have {_form(taken.shape)}; the two do not "
                "belong together"
            )
        numbers = taken.labels(chosen_labels) if chosen_labels else None
        other_numbers = other.labels(held_out_labels) if held_out_labels else None if apart else numbers
        self.classes = class_names([numbers, other_numbers], shown(path))
        self.remarks = [] if numbers is not None else _unnamed_labels(arrays, name, taken.count)
        self.space = view_space(taken.shape, view)
        if isinstance(held_out, (int, float)):
            chosen = by_index(taken.name, taken.count, held_out)
            members, other_members = np.flatnonzero(~chosen), np.flatnonzero(chosen)
        else:
            members, other_members = np.arange(taken.count), np.arange(other.count)
        self.train, self.held_out = (
            array_split(ArrayImages(part.name, part.image, view), part.shape, view, which, given)
            for part, which, given in ((taken, members, numbers), (other, other_members, other_numbers))
        )
        self._identity = f"npz held_out={held_out} size={size} fit={fit}"
        self._content: list[Any] = [taken, numbers, *([other, other_numbers] if apart else [])]

    def digest(self) -> str:
        """Over the parameters and every array in use, in the layout (N, C, H, W)."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(self._identity.encode())
        for part in self._content:
            if isinstance(part, _Taken):
                digest.update(repr((part.count, part.shape)).encode())
                for index in range(part.count):
                    digest.update(part.image(index).tobytes())
            elif part is not None:
                digest.update(part.astype("<i8").tobytes())
        return digest.hexdigest()


class _Member:
    """An array of an archive. The header is read and checked at once, the content on first use."""

    def __init__(self, path: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo):
        self._path, self._info = path, info
        self.name = f"{shown(path)}: {shown(info.filename.removesuffix('.npy'))}"
        if info.flag_bits & 0x1:
            raise DataError(f"{self.name}: is encrypted; write the archive again with numpy.savez")
        if info.file_size > max(info.compress_size, 1) * DEFLATE_RATIO:
            raise DataError(
                f"{self.name}: announces {info.file_size} bytes from {info.compress_size}, which no archive holds; it is "
                "damaged; write it again"
            )
        if info.file_size > BYTES_LIMIT:
            raise DataError(
                f"{self.name}: {info.file_size} bytes, the limit is {BYTES_LIMIT}; save a .npy file or use shards"
            )
        self._archive = archive

    @cached_property
    def form(self) -> tuple[tuple[int, ...], np.dtype]:
        with self._open() as member:
            shape, dtype, header = read_header(member, self.name)
        check_length(self.name, shape, dtype, header, self._info.file_size)
        return shape, dtype

    @cached_property
    def content(self) -> NDArray[np.integer]:
        shape, dtype = self.form
        with self._open() as member:
            read_header(member, self.name)
            try:
                content = member.read()  # to its end, where the checksum is compared; no more than what is announced
            except Exception as error:  # what zipfile raises on damaged archives is not a closed list
                raise self._damaged(error) from error
        if len(content) != np.dtype(dtype).itemsize * int(np.prod(shape, dtype=object)):
            raise DataError(f"{self.name}: its content is cut off; write it again")
        return np.frombuffer(content, dtype).reshape(shape)

    def _open(self) -> BinaryIO:
        try:
            return cast(BinaryIO, self._archive.open(self._info))
        except Exception as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DataError:
        reason = str(error) or type(error).__name__
        return DataError(f"{self.name}: cannot be read ({reason:.160}); the archive is damaged; write it again")


def _arrays(path: str) -> dict[str, _Member | NpyFile]:
    """The arrays of a file by name; a .npy file has one, `images`."""
    file = open_regular(path)
    magic = file.read(6)
    if magic == b"\x93NUMPY":
        file.close()
        return {"images": NpyFile(path)}
    try:
        archive = zipfile.ZipFile(file)
        return {
            info.filename.removesuffix(".npy"): _Member(path, archive, info)
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }
    except DataError:
        file.close()
        raise
    except Exception as error:  # what zipfile raises on damaged archives is not a closed list
        file.close()
        reason = str(error) or type(error).__name__
        if magic[:2] == b"PK":
            raise DataError(f"{shown(path)}: is no whole .npz archive ({reason:.160}); write it again") from error
        raise DataError(
            f"{shown(path)}: is no .npz or .npy file; give one, or use image-folder for image files"
        ) from error


def _guessed(path: str, arrays: dict[str, _Member | NpyFile], apart: str | None) -> str:
    """The name of the array that has the images. Raises `DataError` if it cannot be told."""
    if "images" in arrays:
        return "images"
    forms = {name: _form_of(array)[0] for name, array in arrays.items() if name != apart}
    many = [name for name, shape in forms.items() if len(shape) in (3, 4)]
    if len(many) == 1:
        return many[0]
    listed = ", ".join(f"{shown(name)} ({_form(shape)})" for name, shape in list(forms.items())[:20]) or "nothing"
    raise DataError(f"{shown(path)}: which array has the images? It holds {listed}; name one by images")


def _unnamed_labels(arrays: dict[str, _Member | NpyFile], images: str, count: int) -> list[str]:
    """A remark for every array that could have the labels of `count` images."""
    found = []
    for name, array in arrays.items():
        with contextlib.suppress(DataError):  # of another type; nobody asked for it
            if name != images and _form_of(array)[0] in ((count,), (count, 1)):
                found.append(f"no labels: name the array by labels: {shown(name)}")
    return found


class _Taken:
    """An array of images in the layout (N, C, H, W)."""

    def __init__(self, path: str, arrays: dict[str, _Member | NpyFile], name: str, layout: Layout):
        if name not in arrays:
            listed = ", ".join(map(shown, list(arrays)[:20])) or "nothing"
            raise DataError(f"{shown(path)}: has no array {shown(name)!r}; it holds {listed}")
        self.path, self.name, self._arrays, self._array = path, f"{shown(path)}: {shown(name)}", arrays, arrays[name]
        shape, dtype = _form_of(self._array)
        if dtype != np.uint8:
            raise DataError(f"{self.name}: is {dtype}; images are uint8 from 0 to 255; convert and save it again")
        self._layout = _layout(self.name, shape, layout)
        self.count = shape[0]
        sides = {"NHW": (1, *shape[1:]), "NHWC": (*shape[3:], *shape[1:3]), "NCHW": shape[1:]}[self._layout]
        if not all(shape):
            raise DataError(f"{self.name}: {_form(shape)} holds no pixel; give images")
        self.shape: tuple[int, int, int] = cast(tuple[int, int, int], sides)

    def image(self, index: int) -> NDArray[np.uint8]:
        array = self._array
        pixels = cast(NDArray[np.uint8], array.item(index) if isinstance(array, NpyFile) else array.content[index])
        return pixels.transpose(2, 0, 1) if self._layout == "NHWC" else pixels.reshape(self.shape)

    def labels(self, name: str) -> NDArray[np.integer]:
        """The labels of these images, (N,). Raises `DataError`."""
        array = self._arrays.get(name)
        if array is None:
            listed = ", ".join(map(shown, list(self._arrays)[:20]))
            raise DataError(f"{shown(self.path)}: has no array {shown(name)!r}; it holds {listed}")
        shape, _ = _form_of(array)
        if shape not in ((self.count,), (self.count, 1)):
            raise DataError(
                f"{shown(self.path)}: {shown(name)} has the form {_form(shape)} for {self.count} images; give one label an image"
            )
        content = array.read() if isinstance(array, NpyFile) else array.content
        return content.reshape(-1)


def _form_of(array: _Member | NpyFile) -> tuple[tuple[int, ...], np.dtype]:
    return (array.shape, array.dtype) if isinstance(array, NpyFile) else array.form


def _form(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a lone number"


def _layout(name: str, shape: tuple[int, ...], layout: Layout) -> Layout:
    """What the axes are. Raises `DataError` if it cannot be told or is not what the array has."""
    if layout != "auto":
        if len(shape) != len(layout):
            raise DataError(f"{name}: has the form {_form(shape)}, and layout says {layout}; correct layout")
        return layout
    if len(shape) == 3:
        return "NHW"
    if len(shape) != 4:
        raise DataError(f"{name}: has the form {_form(shape)}; images have three or four axes; give another array")
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first == last:
        raise DataError(f"{name}: which axis of {_form(shape)} has the channels? Write layout: NHWC or layout: NCHW")
    return "NCHW" if first else "NHWC"
