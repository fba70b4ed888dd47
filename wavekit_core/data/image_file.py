"""Reading one image file that someone else wrote, into 8-bit pixels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import ExifTags, Image

from wavekit_core.data.files import shown
from wavekit_core.data.png_stream import check_whole
from wavekit_core.errors import DataError

T = TypeVar("T")

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
PIXEL_LIMIT = 80_000_000

_TIFF_BITS, _TIFF_PHOTOMETRIC, _MIN_IS_WHITE = 258, 262, 0
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def header(file: BinaryIO, name: str) -> tuple[int, int]:
    """Height and width as stored. Raises `DataError` with `name` if the beginning already shows that the file cannot be decoded.

    Reads no pixels; an image that EXIF turns upright may have the two exchanged.
    """
    return _with_image(file, name, lambda image: (image.height, image.width))


def upright(file: BinaryIO, name: str, channels: int) -> Image.Image:
    """The file's first image, turned upright as EXIF says, of mode L (one channel) or RGB (three).

    16-bit grey is scaled to 8 bits and rounded; of 16-bit colour the high byte is kept. Palettes, CMYK and the like become
    RGB; what is transparent shows white; colour becomes grey by ITU-R 601. Colour profiles are not applied. Raises
    `DataError` with `name` if the file is truncated, damaged, too large, or of a kind without a known range.
    """

    def pixels(image: Image.Image) -> Image.Image:
        if image.format == "PNG":
            check_whole(file)
        return _pixels(image, channels)

    return _with_image(file, name, pixels)


def _with_image(file: BinaryIO, name: str, use: Callable[[Image.Image], T]) -> T:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns where this module refuses
        try:
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > PIXEL_LIMIT:
                    raise Image.DecompressionBombError
                return use(image)
        except DataError as error:
            raise DataError(f"{shown(name)}: {error}") from error
        except Image.DecompressionBombError as error:
            raise DataError(
                f"{shown(name)}: announces more than {PIXEL_LIMIT} pixels; make it smaller or remove it"
            ) from error
        except Image.UnidentifiedImageError as error:
            raise DataError(
                f"{shown(name)}: is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image, or its header is damaged; "
                "repair or remove it"
            ) from error
        except Exception as error:  # what a decoder raises on damaged files is not a closed list
            reason = str(error) or type(error).__name__
            raise DataError(f"{shown(name)}: cannot be decoded ({reason:.200}); repair or remove it") from error


def _pixels(image: Image.Image, channels: int) -> Image.Image:
    image.load()
    orientation = image.getexif().get(ExifTags.Base.Orientation)  # after load, which already turns a TIFF upright
    image = _eight_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode != "L":
        image = image.convert("RGB")
    image = image.convert("L" if channels == 1 else "RGB")
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey images of more than 8 bits as mode L; others as they are. Pillow itself would clip them."""
    tags = getattr(image, "tag_v2", {})
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        white = 2 ** tags.get(_TIFF_BITS, (16,))[0] - 1
        values = np.rint(np.asarray(image).astype(np.float32) * (255 / white)).clip(0, 255).astype(np.uint8)
        if tags.get(_TIFF_PHOTOMETRIC) == _MIN_IS_WHITE:
            values = 255 - values
        return Image.fromarray(values)
    if image.mode in ("I", "F"):
        raise DataError(f"pixels of kind {image.mode!r} have no fixed white; save it with 8 or 16 bits, or remove it")
    return image
