"""Files of streams: images and back, targets, cuts, damage."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from wavekit_cli import main
from wavekit_embedded_tokenizer import container, stream
from wavekit_embedded_tokenizer.photo import Coding, _band_norms, coefficients
from wavekit_embedded_tokenizer.stream import Target

from wavekit_core.errors import DamagedError


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth, with an edge and a little noise."""
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(seed)
    planes = [
        90 + 60 * np.sin(y / 9 + c) + 50 * (x > width / 2) + rng.normal(0, 4, (height, width)) for c in range(channels)
    ]
    pixels = np.stack(planes, 2).clip(0, 255).astype(np.uint8)
    return pixels if channels == 3 else pixels[..., 0]


@pytest.mark.parametrize("wavelet", ["haar", "bior2.2"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 40), (28, 28), (33, 65)])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_returns_the_very_pixels(size, channels, wavelet):
    for pixels in (picture(*size, channels), np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)):
        pixels = pixels if channels == 3 or pixels.ndim == 2 else pixels[..., 0].copy()
        assert np.array_equal(stream.decoded(stream.encoded(pixels, Target(lossless=True, wavelet=wavelet))), pixels)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_image_of_one_value_returns(value):
    pixels = np.full((20, 30, 3), value, np.uint8)
    for target in (Target(quality="high"), Target(lossless=True, wavelet="haar")):
        assert (
            np.abs(stream.decoded(stream.encoded(pixels, target)).astype(int) - pixels).max()
            <= (not target.lossless) * 2
        )


def test_better_qualities_are_larger_and_nearer():
    pixels = picture(60, 90)
    made = [stream.encoded(pixels, Target(quality=quality)) for quality in ("draft", "good", "high")]
    near = [stream.psnr(stream.decoded(entry), pixels) for entry in made]
    assert sorted(len(entry.payload) for entry in made) == [len(entry.payload) for entry in made]
    assert near == sorted(near)
    assert near[2] > 40


@pytest.mark.parametrize("wanted", [25.0, 38.0, 50.0])
def test_psnr_is_reached_and_with_one_byte_less_it_is_not(wanted):
    pixels = picture(40, 50)
    entry = stream.encoded(pixels, Target(psnr=wanted))
    assert stream.psnr(stream.decoded(entry), pixels) >= wanted
    assert stream.psnr(stream.decoded(stream.prefix(entry, len(entry.payload) - 1)), pixels) < wanted


def test_a_step_of_one_coefficient_is_a_step_of_one_in_the_image():
    """The weights of bands and colours: errors of coefficients are errors of the image, nearly."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(60, 190, (64, 64, 3), np.uint8)
    entry = stream.encoded(pixels, Target(quality="good"))
    how = entry.how
    found = stream.tokens_of(entry)
    values = (found.known * found.sign) * np.float32(entry.threshold / 2)
    in_bands = float(((coefficients(pixels, how) - values) ** 2).sum())
    in_image = float(((stream.decoded(entry).astype(float) - pixels) ** 2).sum())
    assert in_image == pytest.approx(in_bands, rel=0.15)
    assert _band_norms("haar", 3) == pytest.approx([1.0] * 10)


def test_several_images_of_several_sizes_in_one_file(tmp_path):
    images = [picture(20, 30), picture(9, 5, 1), picture(1, 1)]
    entries = [stream.encoded(image, Target(lossless=True, wavelet="haar")) for image in images]
    (tmp_path / "a.wkt").write_bytes(container.written(entries))
    back = container.opened(tmp_path / "a.wkt", False)
    assert back == entries
    assert all(np.array_equal(stream.decoded(entry), image) for entry, image in zip(back, images, strict=True))


def test_every_change_of_a_file_is_noticed_and_every_cut_decodes(tmp_path):
    path, pixels = tmp_path / "a.wkt", picture(16, 24)
    whole = container.written([stream.encoded(pixels, Target())])
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        for partial in (False, True):
            with pytest.raises(DamagedError):
                container.opened(path, partial)
    near = []
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(DamagedError):
            container.opened(path, False)
        if cut >= container.header_size(1):
            (entry,) = container.opened(path, True)
            assert entry.cut
            near.append(stream.psnr(stream.decoded(entry), pixels))
    assert near[-1] > near[len(near) // 2] > near[0]
    path.write_bytes(whole + b"\0")
    with pytest.raises(DamagedError, match="behind its end"):
        container.opened(path, True)


def forged(whole: bytes, at: int, new: bytes) -> bytes:
    """A header with other values and the right checksum."""
    size = container.header_size(1)
    head = whole[:at] + new + whole[at + len(new) : size - 4]
    return head + struct.pack("<I", zlib.crc32(head)) + whole[size:]


@pytest.mark.parametrize(
    ("at", "new"),
    [
        (4, b"\x02"),
        (5, b"\x01"),
        (8, bytes(4)),
        (16, b"\x02"),
        (17, b"\x00"),
        (18, b"\x03"),
        (19, b"\x02"),
        (20, b"\x00"),
        (20, b"\x11"),
        (21, b"\x07"),
        (21, b"\x03"),
        (22, b"\x7f"),
        (23, b"\x1c"),
        (24, b"\x01"),
        (26, b"\x01"),
        (8, b"\xff" * 8),
        (23, b"\x01"),
    ],
)
def test_a_forged_header_is_refused(tmp_path, at, new):
    path = tmp_path / "a.wkt"
    path.write_bytes(forged(container.written([stream.encoded(picture(16, 24), Target())]), at, new))
    with pytest.raises(DamagedError):
        stream.decoded(container.opened(path, False)[0])


def test_commands_write_read_and_describe(tmp_path, capsys):
    source, wkt, back = tmp_path / "a.png", tmp_path / "a.wkt", tmp_path / "b.png"
    pixels = picture(33, 47)
    Image.fromarray(pixels).save(source)
    assert main(["encode", str(source), "-o", str(wkt), "--lossless"]) == 0
    assert main(["decode", str(wkt), "-o", str(back)]) == 0
    assert np.array_equal(np.asarray(Image.open(back)), pixels)
    assert main(["encode", str(source), "-o", str(wkt), "--bits-per-pixel", "1"]) == 0
    assert wkt.stat().st_size == 33 * 47 // 8
    capsys.readouterr()
    assert main(["info", str(wkt)]) == 0
    told = capsys.readouterr().out
    assert "33×47, filled up to" in told
    planes = [line.split() for line in told.splitlines() if line[:1].isdigit() and "bytes" not in line][1:]
    assert planes
    assert all(int(line[1]) > 0 for line in planes)  # what a cut stream does not reach is not listed
    assert "bior4.4" in told
    back.unlink()
    wkt.write_bytes(wkt.read_bytes()[:150])
    assert main(["decode", str(wkt), "-o", str(back)]) == 5
    assert not back.exists()
    assert main(["decode", str(wkt), "-o", str(back), "--partial"]) == 0
    assert "is cut" in capsys.readouterr().err
    assert Image.open(back).size == (47, 33)


@pytest.mark.parametrize(
    "options",
    [
        ["--psnr", "30", "--quality", "good"],
        ["--lossless", "--quality", "good"],
        ["--lossless", "--wavelet", "bior4.4"],
        ["--bits-per-pixel", "0"],
        ["--psnr", "nan"],
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, options):
    Image.fromarray(picture(8, 8)).save(tmp_path / "a.png")
    assert main(["encode", str(tmp_path / "a.png"), "-o", str(tmp_path / "a.wkt"), *options]) == 2
    assert not (tmp_path / "a.wkt").exists()


def test_a_size_is_padded_to_what_the_levels_need():
    of = Coding(33, 47, 3, 3).layout
    assert (of.height, of.width, of.count) == (48, 48, 3 * 48 * 48)
