import contextlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wavekit_core.data.fit import channels_first, fit_image
from wavekit_core.data.image_file import header, upright
from wavekit_core.data.image_tree import ImageTree
from wavekit_core.errors import DataError

RAMP = np.linspace(0, 255, 16 * 16).reshape(16, 16).round().astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP.T, 255 - RAMP], axis=-1)


def decode(path, size, channels):
    with ImageTree(os.path.dirname(path)).open(os.path.basename(path)) as file:
        return channels_first(fit_image(upright(file, path, channels), size, "resize-crop"))


def check_header(path):
    with open(path, "rb") as file:
        return header(file, path)


def saved(folder, image, name="image.png", **options):
    path = str(folder / name)
    image.save(path, **options)
    return path


def written(folder, content, name="image.png"):
    (folder / name).write_bytes(content)
    return str(folder / name)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, depth, colour, rows):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_16_bit_grey_is_scaled_not_clipped(tmp_path):
    values = np.array([0, 128, 129, 257, 32768, 65535, 60000, 300], ">u2")
    pixels = decode(written(tmp_path, png(8, 8, 16, 0, [values.tobytes()] * 8)), 8, 1)
    assert pixels[0, 3].tolist() == np.rint(values / 257).tolist()


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)], ids=["colour", "grey+alpha", "colour+alpha"])
def test_other_16_bit_kinds_keep_the_high_byte(tmp_path, colour, channels):
    values = np.array([0, 257, 32768, 65535, 60000, 300, 255, 256], ">u2")
    pixels = np.repeat(values[:, None], channels, axis=1)
    if channels in (2, 4):
        pixels[:, -1] = 65535
    image = decode(written(tmp_path, png(8, 8, 16, colour, [pixels.astype(">u2").tobytes()] * 8)), 8, 3)
    assert image[1, 3].tolist() == (values >> 8).tolist()


@pytest.mark.parametrize("photometric", [0, 1], ids=["min is white", "min is black"])
def test_16_bit_tiff(tmp_path, photometric):
    values = (np.arange(16, dtype=np.uint16) * 4369).reshape(4, 4)
    path = saved(tmp_path, Image.fromarray(values), "image.tif", tiffinfo={262: photometric})
    expected = values / 257
    assert decode(path, 4, 1)[0].tolist() == (expected if photometric else 255 - expected).tolist()


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_numbers_without_a_range_are_refused(tmp_path, kind):
    path = saved(tmp_path, Image.fromarray(np.ones((4, 4), kind)), "image.tif")
    with pytest.raises(DataError, match="no fixed white"):
        decode(path, 4, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_exif_orientation(tmp_path, orientation, suffix):
    upright = {  # EXIF 2.32, table 6: what the 0th row and 0th column of the file are
        1: RAMP,
        2: RAMP[:, ::-1],
        3: RAMP[::-1, ::-1],
        4: RAMP[::-1],
        5: RAMP.T,
        6: np.rot90(RAMP, -1),
        7: np.rot90(RAMP, 2).T,
        8: np.rot90(RAMP),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path, Image.fromarray(RAMP), f"image.{suffix}", exif=exif, **options)
    assert np.array_equal(decode(path, 16, 1)[0], upright)


def test_palette_grey_cmyk_and_one_bit(tmp_path):
    image = Image.fromarray(COLOURS)
    palette = image.quantize(256)
    assert np.array_equal(
        decode(saved(tmp_path, palette), 16, 3), np.asarray(palette.convert("RGB")).transpose(2, 0, 1)
    )
    assert np.array_equal(decode(saved(tmp_path, Image.fromarray(RAMP)), 16, 3), np.stack([RAMP] * 3))
    cmyk = decode(saved(tmp_path, image.convert("CMYK"), "image.tif"), 16, 3)
    assert np.abs(cmyk.astype(int) - COLOURS.transpose(2, 0, 1)).max() <= 1
    smooth = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red = decode(saved(tmp_path, smooth, "image.jpg", quality=95), 16, 3)[:, 0, 0].astype(int)
    assert np.abs(red - [255, 0, 0]).max() <= 4
    bits = decode(saved(tmp_path, Image.fromarray(RAMP > 100)), 16, 1)
    assert np.array_equal(bits[0], (RAMP > 100) * 255)


def test_transparent_is_white(tmp_path):
    half = np.dstack([np.zeros((16, 16, 3), np.uint8), np.full((16, 16), 128, np.uint8)])
    assert decode(saved(tmp_path, Image.fromarray(half)), 16, 1).flatten().tolist() == [127] * 256
    clear = Image.fromarray(np.zeros((16, 16), np.uint8)).convert("P")
    assert decode(saved(tmp_path, clear, transparency=0), 16, 3).min() == 255


def test_colour_to_grey_is_itu_601(tmp_path):
    grey = decode(saved(tmp_path, Image.fromarray(COLOURS)), 16, 1)[0]
    assert np.abs(grey - COLOURS @ np.array([0.299, 0.587, 0.114])).max() <= 0.51


def test_the_centre_square_is_scaled(tmp_path):
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200
    assert (decode(saved(tmp_path, Image.fromarray(wide[:, 5:25])), 10, 1)[0] == 200).all()
    assert decode(saved(tmp_path, Image.fromarray(wide.T)), 5, 1).min() > 180
    noise = np.random.default_rng(0).integers(0, 256, (256, 256)).astype(np.uint8)
    small = decode(saved(tmp_path, Image.fromarray(noise)), 8, 1)
    assert small.std() < 12  # antialiased: the mean of many independent pixels


def test_a_line_of_pixels_costs_nothing(tmp_path):
    assert decode(saved(tmp_path, Image.new("L", (60_000, 1), 7)), 64, 1).tolist() == np.full((1, 64, 64), 7).tolist()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
def test_truncated_files_are_refused(tmp_path, suffix):
    content = Path(saved(tmp_path, Image.fromarray(COLOURS), f"image.{suffix}")).read_bytes()
    ending = 4 if suffix == "png" else 0  # the checksum of PNG's end mark
    for length in range(len(content) - ending):
        with pytest.raises(DataError, match="image"):
            decode(written(tmp_path, content[:length], f"image.{suffix}"), 16, 3)


def bomb(width, height):
    return png(width, height, 8, 2, [b"\0"])


BAD = {
    "nothing": b"",
    "text": b"this is a text\n" * 40,
    "page": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "gif, a format that is not named": b"GIF89a" + bytes(40),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "bomb": bomb(30_000, 30_000),
    "bomb below Pillow's error": bomb(10_000, 9_000),
    "bomb of 2^62 pixels": bomb(2**31 - 1, 2**31 - 1),
    "webp bomb": b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\x3f\0VP8L" + bytes(20),
    "no pixels": png(0, 16, 8, 0, []),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_the_header_is_enough_to_refuse(tmp_path, content):
    with pytest.raises(DataError, match=r"image\.png: .*; .*remove it"):
        check_header(written(tmp_path, content))


def test_a_lying_header_is_refused_when_decoded(tmp_path):
    path = written(tmp_path, png(64, 64, 8, 0, [bytes(64)] * 3))
    check_header(path)
    with pytest.raises(DataError, match="195 bytes of pixels where its header announces 4160"):
        decode(path, 16, 1)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (16, 16), (33, 5)])
def test_whole_files_of_every_kind_pass(tmp_path, mode, size):
    assert decode(saved(tmp_path, Image.new(mode, size)), 4, 3).shape == (3, 4, 4)


def test_interlaced(tmp_path):
    # one pixel wide and high: the first Adam7 pass is the image; 9 × 1: passes 1, 2, 4 and 6 have 2, 1, 2 and 4 columns
    for size, lines in ((1, 1), [b"\0\x63"]), ((9, 1), [b"\0\1\2", b"\0\3", b"\0\4\5", b"\0\6\7\x08\x09"]):
        header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 1)
        start, end = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header), chunk(b"IEND", b"")
        decode(written(tmp_path, start + chunk(b"IDAT", zlib.compress(b"".join(lines))) + end), 1, 1)
        with pytest.raises(DataError, match="announces"):
            decode(written(tmp_path, start + chunk(b"IDAT", zlib.compress(b"".join(lines)[:-1])) + end), 1, 1)


def test_pixels_in_many_chunks(tmp_path):
    whole = png(16, 16, 8, 0, [bytes(row) for row in RAMP])
    body = zlib.compress(b"".join(b"\0" + bytes(row) for row in RAMP))
    parts = b"".join(chunk(b"IDAT", body[i : i + 7]) for i in range(0, len(body), 7))
    content = whole[:33] + parts + chunk(b"tEXt", b"Comment\0late") + chunk(b"IEND", b"")
    assert np.array_equal(decode(written(tmp_path, content), 16, 1)[0], RAMP)


def test_flipped_bytes_never_escape_as_another_error(tmp_path):
    rng = np.random.default_rng(0)
    for suffix, options in ("png", {}), ("jpg", {}), ("webp", {}), ("tif", {"compression": "tiff_lzw"}):
        buffer = io.BytesIO()
        Image.fromarray(COLOURS).save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()), **options)
        for _ in range(60):
            content = bytearray(buffer.getvalue())
            for position in rng.integers(0, len(content), 4):
                content[position] = rng.integers(0, 256)
            with contextlib.suppress(DataError):
                assert decode(written(tmp_path, content, f"image.{suffix}"), 16, 3).shape == (3, 16, 16)


def test_links_are_not_followed(tmp_path):
    target = saved(tmp_path, Image.fromarray(RAMP))
    os.symlink(target, tmp_path / "link.png")
    with pytest.raises(DataError, match="link"):
        decode(str(tmp_path / "link.png"), 16, 1)
