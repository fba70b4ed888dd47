import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from wavekit_core.data.idx import FOUR_FILES, FashionMnist, Idx, Mnist
from wavekit_core.data.idx_file import IdxFile
from wavekit_core.errors import DataError, RecipeError


def idx_bytes(array, magic=None):
    header = bytes([0, 0, 8, array.ndim]) if magic is None else magic
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path):
    """A tiny set with the names of MNIST, half of it compressed."""
    return write_set(tmp_path / "mnist")


def write_set(folder, side=28, train=20, test=11, top=10):
    folder.mkdir()
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (train, side, side)),
        np.arange(train) % top,
        rng.integers(0, 256, (test, side, side)),
        np.arange(test) % top,
    ]
    for name, array in zip(FOUR_FILES, arrays, strict=True):
        if "train" in name:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
        else:
            (folder / name).write_bytes(idx_bytes(array))
    return folder


def four(folder):
    return [str(next(folder.glob(name + "*"))) for name in FOUR_FILES]


def test_pixels_labels_and_counts(folder):
    data = Idx(*four(folder))
    pixels = IdxFile(four(folder)[0], axes=3).read()
    assert (len(data.train), len(data.held_out)) == (20, 11)
    assert data.space.shape == (1, 28, 28)
    assert data.classes == tuple("0123456789")
    batch = data.train.batch([3, 0])
    assert torch.equal(batch.data[0, 0], torch.from_numpy(pixels[3]).float() / 255)
    assert batch.labels.tolist() == [3, 0]
    with pytest.raises(IndexError):
        data.held_out.batch([11])


def test_sizes_32_and_16_are_padding_and_area_average(folder):
    native, padded, halved = (Mnist(str(folder.parent), size=size).train.batch([7]).data for size in (28, 32, 16))
    assert torch.equal(padded, F.pad(native, (2, 2, 2, 2)))
    blocks = padded.reshape(1, 1, 16, 2, 16, 2).mean((3, 5))
    assert torch.allclose(halved, blocks, atol=1e-7)


def test_a_size_that_does_not_fit_evenly(tmp_path):
    folder = write_set(tmp_path / "odd", side=5)
    native, larger, smaller = (Idx(*four(folder), size=size).train.batch([0]).data for size in (None, 8, 2))
    assert torch.equal(larger[..., 1:6, 1:6], native)
    assert torch.count_nonzero(larger) == torch.count_nonzero(native)
    assert smaller.shape == (1, 1, 2, 2)
    assert torch.allclose(smaller.sum() * 9, native.sum())


def test_without_labels(folder):
    train, _, test, _ = four(folder)
    data = Idx(train, None, test, None)
    assert data.train.batch([0]).labels is None
    assert data.classes == ()
    with pytest.raises(RecipeError, match="both"):
        Idx(train, None, test, four(folder)[3])


def test_digest_changes_with_pixels_labels_and_size_but_not_with_compression(folder):
    first = Idx(*four(folder)).digest()
    packed, plain = Path(four(folder)[0]), folder / FOUR_FILES[0]
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert Idx(*four(folder)).digest() == first
    assert Idx(*four(folder), size=16).digest() != first
    for name in FOUR_FILES[0], FOUR_FILES[3]:
        path = Path(four(folder)[FOUR_FILES.index(name)])
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        changed = Idx(*four(folder)).digest()
        assert changed != first
        first = changed


def images(count=4, side=6):
    return np.arange(count * side * side).reshape(count, side, side) % 256


def image_header(*shape):
    return bytes([0, 0, 8, 3]) + struct.pack(">3I", *shape)


BAD_FILES = {
    "empty": b"",
    "short header": image_header(4, 6, 6)[:9],
    "labels given as images": idx_bytes(np.arange(9)),
    "floats": idx_bytes(images(), magic=b"\0\0\x0d\x03"),
    "not IDX": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "cut off": idx_bytes(images())[:-1],
    "left over": idx_bytes(images()) + b"\0",
    "lying header": image_header(2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(100),
    "no pixels": image_header(7, 0, 0),
    "no images": image_header(0, 28, 28),
    "gz cut off": gzip.compress(idx_bytes(images()))[:-9],
    "gz of a lying header": gzip.compress(image_header(2**31, 28, 28) + bytes(100)),
    "gz too short": gzip.compress(idx_bytes(images())[:-1]),
    "gz too long": gzip.compress(idx_bytes(images()) + b"\0"),
    "gz bomb": gzip.compress(idx_bytes(images()) + bytes(10**7)),
    "gz with rubbish behind": gzip.compress(idx_bytes(images())) + b"rubbish",
    "gz with a flipped byte": gzip.compress(idx_bytes(images()))[:-6]
    + b"\xff"
    + gzip.compress(idx_bytes(images()))[-5:],
    "gz of nothing": gzip.compress(b""),
    "only the gz magic": b"\x1f\x8b",
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_refused_by_name(tmp_path, content):
    path, good = tmp_path / "bad-file", tmp_path / "good"
    path.write_bytes(content)
    good.write_bytes(idx_bytes(images()))
    with pytest.raises(DataError, match="bad-file") as refusal:
        Idx(str(path), None, str(good), None).train.batch([0])
    assert len(str(refusal.value)) < 600


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "cut"
    for content in idx_bytes(images(1, 3)), gzip.compress(idx_bytes(images(1, 3))):
        for length in range(len(content)):
            path.write_bytes(content[:length])
            with pytest.raises(DataError, match="cut"):
                IdxFile(path, axes=3).read()


def test_labels_must_belong_to_the_images(folder, tmp_path):
    train, _, test, test_labels = four(folder)
    labels = tmp_path / "labels"
    labels.write_bytes(idx_bytes(np.arange(19)))
    with pytest.raises(DataError, match="19 labels for the 20 images"):
        Idx(train, str(labels), test, test_labels)
    other = write_set(tmp_path / "other", side=8)
    with pytest.raises(DataError, match="8×8 pixels"):
        Idx(train, None, four(other)[2], None)


def test_pipes_folders_and_missing_files_are_refused_without_waiting(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, what in (tmp_path / "pipe", "pipe"), (tmp_path, "folder"), ("/dev/zero", "device"), ("no\x00", "opened"):
        with pytest.raises(DataError, match=what):
            Idx(str(path), None, four(folder)[2], None)
    with pytest.raises(DataError, match=r"not-there\\n: there is no such file"):
        Idx(str(tmp_path / "not-there\n"), None, four(folder)[2], None)


def test_the_root_is_the_parameter_or_the_environment(folder, monkeypatch):
    monkeypatch.setenv("WAVEKIT_DATA_ROOT", str(folder.parent))
    assert len(Mnist().train) == 20
    assert len(Mnist(root=str(folder)).train) == 20
    monkeypatch.setenv("WAVEKIT_DATA_ROOT", str(folder))
    with pytest.raises(DataError, match=r"looked in .*fashion-mnist;"):
        FashionMnist()  # MNIST's files have the same names
    with pytest.raises(DataError, match=r"looked in .*fashion-mnist.*train-images-idx3-ubyte.*WAVEKIT_DATA_ROOT"):
        FashionMnist(root=str(folder / "elsewhere"))
    monkeypatch.delenv("WAVEKIT_DATA_ROOT")
    with pytest.raises(DataError, match="neither root nor WAVEKIT_DATA_ROOT"):
        Mnist()


def test_a_missing_file_of_the_four_is_named(folder):
    Path(four(folder)[1]).unlink()
    with pytest.raises(DataError, match="train-labels-idx1-ubyte is missing"):
        Mnist(root=str(folder.parent))


def test_more_than_ten_classes_is_not_mnist(tmp_path):
    write_set(tmp_path / "mnist", top=11)
    with pytest.raises(DataError, match="label of 10"):
        Mnist(root=str(tmp_path))


def real_root():
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = os.environ.get("WAVEKIT_DATA_ROOT") or (str(beside) if beside.is_dir() else None)
    if root is None:
        pytest.skip("no real data: WAVEKIT_DATA_ROOT is not set and there is no ../shared/data")
    return root


@pytest.mark.parametrize(
    ("kind", "mean", "spread", "name"),
    [(Mnist, 0.1307, 0.3081, "7"), (FashionMnist, 0.2860, 0.3530, "Sneaker")],
)
def test_the_real_sets(kind, mean, spread, name):
    data = kind(root=real_root())
    assert (len(data.train), len(data.held_out)) == (60_000, 10_000)
    assert data.classes[7] == name
    pixels = data.train.pixels / np.float32(255)
    assert pixels.mean() == pytest.approx(mean, abs=1e-4)
    assert pixels.std() == pytest.approx(spread, abs=1e-4)
    assert np.bincount(data.held_out.batch(range(10_000)).labels).tolist() == (
        [1000] * 10 if kind is FashionMnist else [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    )
