import contextlib
import io
import os
import stat
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from wavekit_core.data import image_archive
from wavekit_core.data.image_folder import ImageFolder
from wavekit_core.errors import DataError


def png(value, side=12):
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (value, 0, 255)).save(buffer, "PNG")
    return buffer.getvalue()


def archive(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return str(path)


GOOD = [(f"{'ab'[i % 2]}/{i:03}.png", png(i)) for i in range(12)]


def entry(name, mode=stat.S_IFREG | 0o644):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def patched(content, old, new):
    assert old in content
    return content.replace(old, new)


def test_a_zip_is_the_folder_it_was_made_from(tmp_path):
    for name, content in GOOD:
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    extra = [("a/", b""), ("notes.txt", b"notes"), ("__MACOSX/a/._000.png", b"resource fork"), (".x/1.png", b"hidden")]
    packed = ImageFolder(archive(tmp_path / "images.ZIP", [*GOOD, *extra]), size=8)
    plain = ImageFolder(str(tmp_path / "folder"), size=8)
    assert packed.digest() == plain.digest()
    assert packed.classes == plain.classes == ("a", "b")
    for one, other in ((packed.train, plain.train), (packed.held_out, plain.held_out)):
        everything = range(len(other))
        assert torch.equal(one.batch(everything).data, other.batch(everything).data)
        assert torch.equal(one.batch(everything).labels, other.batch(everything).labels)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "images.ZIP"]


BAD_MEMBERS = {
    "a path upwards": (entry("../escape.png"), "no plain path"),
    "a path upwards, deep": (entry("a/../../escape.txt"), "no plain path"),
    "an absolute path": (entry("/etc/escape.png"), "no plain path"),
    "a drive": (entry("C:escape.png"), "drive"),
    "a link": (entry("link.png", stat.S_IFLNK | 0o777), "link or a device"),
    "a device": (entry("null.png", stat.S_IFCHR | 0o666), "link or a device"),
    "a pipe that is no image": (entry("pipe.txt", stat.S_IFIFO | 0o666), "link or a device"),
}


@pytest.mark.parametrize("name", BAD_MEMBERS)
def test_one_suspicious_member_refuses_the_archive(tmp_path, name):
    info, what = BAD_MEMBERS[name]
    path = archive(tmp_path / "images.zip", [*GOOD, (info, png(1))])
    with pytest.raises(DataError, match=rf"images\.zip: its member .*{what}.*the whole archive is refused"):
        ImageFolder(path, size=8)
    assert [path.name for path in tmp_path.iterdir()] == ["images.zip"]


def test_a_backslash_an_encrypted_and_a_twice_listed_member(tmp_path):
    path = tmp_path / "images.zip"
    archive(path, [*GOOD, ("x..y.png", png(1))])
    whole = path.read_bytes()
    path.write_bytes(patched(whole, b"x..y.png", b"..\\y.png"))
    with pytest.raises(DataError, match="no plain path"):
        ImageFolder(str(path), size=8)
    path.write_bytes(patched(whole, b"x..y.png", b"x..z.png"))
    assert len(ImageFolder(str(path), size=8).train) > 0
    central = whole.rindex(b"PK\x01\x02")
    path.write_bytes(whole[: central + 8] + b"\x01" + whole[central + 9 :])
    with pytest.raises(DataError, match=r"its member .* is encrypted; the whole archive is refused"):
        ImageFolder(str(path), size=8)
    with pytest.warns(UserWarning, match="Duplicate"):
        archive(path, [*GOOD, GOOD[0]])
    with pytest.raises(DataError, match="is listed twice"):
        ImageFolder(str(path), size=8)


def test_bombs_are_refused_by_what_they_announce(tmp_path, monkeypatch):
    path = archive(tmp_path / "images.zip", [*GOOD, ("bomb.bmp", bytes(3_000_000))])
    monkeypatch.setattr(image_archive, "TOTAL_FREE", 100_000)
    with pytest.raises(DataError, match=r"announces 30.* bytes .* is refused"):
        ImageFolder(path, size=8)
    monkeypatch.setattr(image_archive, "MEMBER_LIMIT", 1_000_000)
    with pytest.raises(DataError, match=r"bomb\.bmp announces 3000000 bytes"):
        ImageFolder(path, size=8)


def test_members_that_overlap_are_refused(tmp_path):
    path = tmp_path / "images.zip"
    archive(path, GOOD)
    whole = path.read_bytes()
    central = whole.rindex(b"PK\x01\x02")  # its compressed length is at byte 20
    path.write_bytes(whole[: central + 20] + (10**6).to_bytes(4, "little") + whole[central + 24 :])
    with pytest.raises(DataError, match=r"no set of images; the archive is refused"):
        ImageFolder(str(path), size=8)


def test_an_image_bomb_in_an_archive_is_refused_by_its_header(tmp_path):
    header = bytearray(png(1))
    header[16:24] = (30_000).to_bytes(4) * 2
    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4)
    with pytest.raises(DataError, match=r"bomb\.png: announces more than 80000000 pixels"):
        ImageFolder(archive(tmp_path / "images.zip", [*GOOD, ("bomb.png", bytes(header))]), size=8)


def test_another_compression_is_refused(tmp_path):
    path = archive(tmp_path / "images.zip", GOOD, zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match="another way than by deflate"):
        ImageFolder(path, size=8)


def test_a_changed_byte_is_found_by_the_checksum(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "BMP")
    path = tmp_path / "images.zip"
    archive(path, [("a.bmp", buffer.getvalue()), ("b.bmp", buffer.getvalue())], zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[3000] ^= 1
    path.write_bytes(content)
    data = ImageFolder(str(path), size=8)
    split = next(split for split in (data.train, data.held_out) if split.name(0).endswith("a.bmp"))
    with pytest.raises(DataError, match=r"a\.bmp: cannot be read \(Bad CRC"):
        split.batch([0])
    with pytest.raises(DataError, match=r"a\.bmp"):
        data.digest()


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "images.zip"
    archive(path, GOOD[:2])
    whole = path.read_bytes()
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"images\.zip"):
            ImageFolder(str(path), size=8)


def test_flipped_bytes_never_escape_as_another_error(tmp_path):
    path = tmp_path / "images.zip"
    archive(path, GOOD[:3])
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        for position in rng.integers(0, len(content), 3):
            content[position] = rng.integers(0, 256)
        path.write_bytes(content)
        with contextlib.suppress(DataError):
            data = ImageFolder(str(path), size=8)
            for split in (data.train, data.held_out):
                assert split.batch(range(len(split))).data.shape[1:] == (3, 8, 8)


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(DataError, match=r"text\.zip: is no whole \.zip archive"):
        ImageFolder(str(tmp_path / "text.zip"), size=8)
    os.mkfifo(tmp_path / "pipe.zip")
    for name, what in (("pipe.zip", "not a folder"), ("missing.zip", "no such folder")):
        with pytest.raises(DataError, match=what):
            ImageFolder(str(tmp_path / name), size=8)
