import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wavekit_core.data import image_folder
from wavekit_core.data.image_folder import ImageFolder
from wavekit_core.errors import DataError


def fill(folder, count, first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + count):
        Image.new("RGB", (12, 10), (i * 5 % 256, 0, 255)).save(folder / f"{i:03}.png")
    return folder


def names(split):
    return {split._images._names[i] for i in split._members}


def test_counts_range_and_space(tmp_path):
    data = ImageFolder(str(fill(tmp_path, 40)), size=8)
    assert len(data.train) + len(data.held_out) == 40
    assert 1 <= len(data.held_out) < 12
    assert not names(data.train) & names(data.held_out)
    batch = data.train.batch([0, 1])
    assert batch.data.shape == (2, *data.space.shape) == (2, 3, 8, 8)
    assert batch.data.dtype == torch.float32
    assert (batch.data[:, 2] == 1).all()
    assert batch.labels is None
    assert data.classes == ()


def test_a_new_file_moves_no_other(tmp_path):
    before = ImageFolder(str(fill(tmp_path, 50)), size=8, held_out=0.3)
    after = ImageFolder(str(fill(tmp_path, 30, first=50)), size=8, held_out=0.3)
    assert names(before.held_out) <= names(after.held_out)
    assert names(before.train) <= names(after.train)


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_both_parts_have_an_image_at_least(tmp_path, fraction):
    data = ImageFolder(str(fill(tmp_path, 2)), size=8, held_out=fraction)
    assert (len(data.train), len(data.held_out)) == (1, 1)


def test_one_image_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"only one image.*add at least one more"):
        ImageFolder(str(fill(tmp_path, 1)), size=8)


def test_labels_are_the_first_folders(tmp_path):
    fill(tmp_path / "b" / "deeper", 6)
    fill(tmp_path / "a", 6)
    data = ImageFolder(str(tmp_path), size=8, channels=1)
    assert data.classes == ("a", "b")
    for split in data.train, data.held_out:
        labels = split.batch(range(len(split))).labels
        assert labels.dtype == torch.int64
        expected = [data.classes.index(split._images._names[i].split("/")[0]) for i in split._members]
        assert labels.tolist() == expected
    fill(tmp_path, 1)
    assert ImageFolder(str(tmp_path), size=8).classes == ()


def test_digest_follows_content_names_and_parameters(tmp_path):
    folder = str(fill(tmp_path, 5))
    first = ImageFolder(folder, size=8).digest()
    assert ImageFolder(folder, size=8).digest() == first
    seen = {first, ImageFolder(folder, size=9).digest(), ImageFolder(folder, size=8, held_out=0.2).digest()}
    stamp = os.stat(tmp_path / "000.png")
    content = bytearray((tmp_path / "000.png").read_bytes())
    content[-1] ^= 1
    (tmp_path / "000.png").write_bytes(content)
    os.utime(tmp_path / "000.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    seen.add(ImageFolder(folder, size=8).digest())
    os.rename(tmp_path / "001.png", tmp_path / "x.png")
    seen.add(ImageFolder(folder, size=8).digest())
    assert len(seen) == 5


def test_with_and_without_memory_the_same(tmp_path, monkeypatch):
    folder = str(fill(tmp_path, 9))
    kept = ImageFolder(folder, size=8)
    monkeypatch.setattr(image_folder, "CACHE_BYTES", 0)
    read = ImageFolder(folder, size=8)
    order = range(len(kept.train))
    assert torch.equal(kept.train.batch(order).data, read.train.batch(order).data)
    assert torch.equal(kept.train.batch(order).data, kept.train.batch(order).data)
    for path in tmp_path.iterdir():
        path.unlink()
    assert len(kept.train.batch(order).data) == len(kept.train)
    with pytest.raises(DataError, match=r"\.png: there is no such file"):
        read.train.batch([0])


def test_bad_files_are_listed_by_name(tmp_path):
    fill(tmp_path / "good", 3)
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.JPG").write_text("hello")
    with pytest.raises(DataError, match=r"2 of 5 images.*empty\.png: .*text\.JPG: is no PNG"):
        ImageFolder(str(tmp_path), size=8)


def test_a_folder_of_bad_files_fills_no_screen(tmp_path):
    for i in range(100):
        (tmp_path / f"{i:03}.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"all 100 images.*000\.png.*and 90 more") as refusal:
        ImageFolder(str(tmp_path), size=8)
    assert len(str(refusal.value)) < 2000


def test_a_truncated_photo_is_found_when_decoded(tmp_path):
    fill(tmp_path, 2)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in "abcdef":
        Image.fromarray(noise).save(tmp_path / f"{name}.jpg")
        content = (tmp_path / f"{name}.jpg").read_bytes()
        (tmp_path / f"{name}.jpg").write_bytes(content[: len(content) // 2])
    data = ImageFolder(str(tmp_path), size=8)
    bad = next(i for i, m in enumerate(data.train._members) if data.train._images._names[m].endswith("jpg"))
    with pytest.raises(DataError, match=r"\.jpg: cannot be decoded .*truncated.*remove it"):
        data.train.batch([bad])


def test_links_and_pipes_are_refused_and_not_opened(tmp_path):
    outside = fill(tmp_path / "outside", 1)
    folder = fill(tmp_path / "folder", 3)
    os.mkfifo(folder / "pipe.png")
    os.symlink(outside / "000.png", folder / "out.png")
    os.symlink(outside, folder / "more")
    os.symlink(folder, folder / "loop")
    os.symlink("/dev/zero", folder / "zero.png")
    with pytest.raises(DataError, match=r"5 of 8 images.*loop: a link.*more.*out\.png.*pipe\.png: a pipe.*zero\.png"):
        ImageFolder(str(folder), size=8)


def test_a_link_put_in_after_the_scan_is_not_followed(tmp_path):
    folder = fill(tmp_path / "folder", 2)
    data = ImageFolder(str(folder), size=8)
    for path in list(folder.iterdir()):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    with pytest.raises(DataError, match="a link, not a regular file"):
        data.train.batch([0])
    with pytest.raises(DataError, match="a link, not a regular file"):
        data.digest()


def test_other_files_and_dot_names_are_ignored(tmp_path):
    fill(tmp_path, 3)
    fill(tmp_path / ".thumbnails", 2)
    (tmp_path / "._000.png").write_bytes(b"resource fork")
    (tmp_path / "notes.txt").write_text("notes")
    os.symlink("/etc/hostname", tmp_path / "README")
    data = ImageFolder(str(tmp_path), size=8)
    assert len(data.train) + len(data.held_out) == 3


def test_odd_names(tmp_path):
    fill(tmp_path, 2)
    content = (tmp_path / "000.png").read_bytes()
    for name in (b"new\nline.png", b"caf\xe9.png", b"-rf.png", "日本.PNG".encode(), b"'; drop.png"):
        (tmp_path / os.fsdecode(name)).write_bytes(content)
    data = ImageFolder(str(tmp_path), size=8)
    assert len(data.train) + len(data.held_out) == 7
    assert len(data.digest()) == 64
    (tmp_path / os.fsdecode(b"\x1b[31m\xe9\n.png")).write_bytes(b"bad")
    with pytest.raises(DataError) as refusal:
        ImageFolder(str(tmp_path), size=8)
    assert str(refusal.value).isprintable()
    assert r"\x1b[31m\udce9\n.png" in str(refusal.value)


@pytest.mark.parametrize(
    ("place", "what"), [("empty", "no image in it"), ("missing", "no such folder"), ("file", "not a folder")]
)
def test_no_folder_no_image(tmp_path, place, what):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=what):
        ImageFolder(str(tmp_path / place), size=8)


def test_real_photographs():
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = Path(os.environ.get("WAVEKIT_DATA_ROOT") or beside) / "kodak"
    if not root.is_dir():
        pytest.skip("no real data: WAVEKIT_DATA_ROOT is not set and there is no ../shared/data")
    data = ImageFolder(str(root), size=32)
    assert len(data.train) + len(data.held_out) == 24
    assert 0.2 < data.held_out.batch([0]).data.mean() < 0.8


def noise(folder, name, height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / name)
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def everything(data):
    """(name, image) of both parts."""
    return {
        split.name(index): split.batch([index]).data[0]
        for split in (data.train, data.held_out)
        for index in range(len(split))
    }


def test_crop_gives_every_disjoint_tile_as_an_image_of_its_own(tmp_path):
    wide, high = noise(tmp_path, "wide.png", 10, 27, 1), noise(tmp_path, "high.png", 17, 8, 2)
    data = ImageFolder(str(tmp_path), size=8, fit="crop")
    assert (len(data.train) + len(data.held_out), data.space.shape) == (3 + 2, (3, 8, 8))
    found = everything(data)
    for tile, (image, top, left) in enumerate([(wide, 0, 0), (wide, 0, 8), (wide, 0, 16)]):
        assert torch.equal(found[f"{tmp_path}/wide.png, tile {tile}"], image[:, top : top + 8, left : left + 8])
    assert torch.equal(found[f"{tmp_path}/high.png, tile 1"], high[:, 8:16, :8])


def test_tiles_of_an_image_that_exif_turns(tmp_path):
    stored = np.random.default_rng(3).integers(0, 256, (8, 24), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    noise(tmp_path, "other.png", 8, 8)
    found = everything(ImageFolder(str(tmp_path), size=8, channels=1, fit="crop"))
    upright = torch.from_numpy(np.rot90(stored, -1).copy()).float() / 255
    for tile in range(3):
        assert torch.equal(found[f"{tmp_path}/turned.png, tile {tile}"][0], upright[8 * tile : 8 * tile + 8])


def test_tiles_are_held_out_with_their_file(tmp_path):
    for i in range(30):
        noise(tmp_path, f"{i}.png", 16, 16, i)
    data = ImageFolder(str(tmp_path), size=8, fit="crop", held_out=0.3)
    whole = ImageFolder(str(tmp_path), size=16, held_out=0.3)
    assert not names(data.train) & names(data.held_out)
    assert names(data.held_out) == names(whole.held_out)
    assert len(data.held_out) == 4 * len(whole.held_out)


def test_a_folder_is_held_out_whole(tmp_path):
    for i in range(60):
        noise(tmp_path, f"slide-{i % 12}/{i}.png", 8, 8, i)
    data = ImageFolder(str(tmp_path), size=8, held_out=0.3, held_out_by="folder")
    train, held_out = ({name.split("/")[0] for name in names(split)} for split in (data.train, data.held_out))
    assert not train & held_out
    assert len(train | held_out) == 12
    assert data.classes == ()
    assert data.train.batch([0]).labels is None
    assert len(ImageFolder(str(tmp_path), size=8).classes) == 12
    with pytest.raises(DataError, match="only one image or folder"):
        ImageFolder(str(tmp_path / "slide-0"), size=8, held_out_by="folder")


def test_the_word_alone_moves_a_tile_within_its_file(tmp_path):
    wholes = [noise(tmp_path, f"{i}.png", 11, 13, i) for i in range(6)]
    data = ImageFolder(str(tmp_path), size=8, fit="crop", random_crops=True, flip=True)
    index = np.arange(len(data.train))
    words = np.random.Philox(key=7).random_raw(len(index))
    moved = data.train.batch(index, words)
    assert torch.equal(moved.data.flip(0), data.train.batch(index[::-1], words[::-1]).data)
    for i, word in zip(index, words, strict=True):
        assert torch.equal(data.train.batch([i], np.array([word], np.uint64)).data[0], moved.data[i])
        own = wholes[int(data.train.name(i).split("/")[-1].split(".")[0])]
        windows = own.unfold(1, 8, 1).unfold(2, 8, 1).permute(1, 2, 0, 3, 4).reshape(-1, 3, 8, 8)
        inside = (windows == moved.data[i]).flatten(1).all(1) | (windows.flip(3) == moved.data[i]).flatten(1).all(1)
        assert inside.sum() == 1
    fixed = ImageFolder(str(tmp_path), size=8, fit="crop")
    assert torch.equal(fixed.train.batch(index, words).data, data.train.batch(index).data)
    assert fixed.digest() == data.digest()


def test_an_image_smaller_than_a_tile_is_named(tmp_path):
    noise(tmp_path, "a.png", 20, 20)
    noise(tmp_path, "small.png", 7, 20)
    with pytest.raises(DataError, match=r"small\.png \(7×20\): smaller than a tile of 8×8"):
        ImageFolder(str(tmp_path), size=8, fit="crop")


def test_pad_and_resize_of_files(tmp_path):
    small = noise(tmp_path, "small.png", 4, 6)
    noise(tmp_path, "large.png", 9, 9)
    data = ImageFolder(str(tmp_path), size=8, fit="resize")
    assert len(everything(data)) == 2
    data = ImageFolder(str(tmp_path), size=8, fit="pad")
    splits = {split.name(0).split("/")[-1]: split for split in (data.train, data.held_out)}
    assert torch.equal(splits["small.png"].batch([0]).data[0, :, 2:6, 1:7], small)
    with pytest.raises(DataError, match=r"large\.png: 9×9 pixels, to be padded to 8×8"):
        splits["large.png"].batch([0])


def test_what_does_not_fit_into_memory_is_decoded_again(tmp_path, monkeypatch):
    for i in range(6):
        noise(tmp_path, f"{i}.png", 16, 16, i)
    monkeypatch.setattr(image_folder, "CACHE_BYTES", 2 * 3 * 16 * 16)
    some = ImageFolder(str(tmp_path), size=8, fit="crop")
    monkeypatch.setattr(image_folder, "CACHE_BYTES", 0)
    none = ImageFolder(str(tmp_path), size=8, fit="crop")
    for _ in range(2):
        assert torch.equal(some.train.batch(range(len(some.train))).data, none.train.batch(range(len(none.train))).data)
    assert len(some.train._images._kept) == 2


def test_real_blood_cells_in_tiles():
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = Path(os.environ.get("WAVEKIT_DATA_ROOT") or beside) / "blood-cells"
    if not root.is_dir():
        pytest.skip("no real data: WAVEKIT_DATA_ROOT is not set and there is no ../shared/data")
    data = ImageFolder(str(root), size=128, fit="crop", random_crops=True)
    assert len(data.train) + len(data.held_out) == 364 * 15
    assert len(data.held_out) % 15 == 0
    assert data.train.batch([0, 1, 15]).data.shape == (3, 3, 128, 128)
