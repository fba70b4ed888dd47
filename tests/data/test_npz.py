import io
import struct
import zipfile

import numpy as np
import pytest
import torch

from wavekit_core.data.npz import Npz
from wavekit_core.errors import DataError, RecipeError

RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def floats(array):
    return torch.from_numpy(array).float() / 255


LAYOUTS = [
    ((9, 6, 8), None),
    ((9, 6, 8, 3), (0, 3, 1, 2)),
    ((9, 3, 6, 8), (0, 1, 2, 3)),
    ((9, 6, 8, 1), (0, 3, 1, 2)),
]


@pytest.mark.parametrize(("shape", "order"), LAYOUTS)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_layouts_are_found_out(tmp_path, shape, order, suffix):
    array = pixels(*shape)
    path = tmp_path / f"set.{suffix}"
    np.save(path, array) if suffix == "npy" else np.savez_compressed(path, x=array, y=np.arange(9))
    data = Npz(str(path), held_out=2)
    expected = floats(array[:, None] if order is None else array.transpose(order))
    assert data.space.shape == expected.shape[1:]
    assert torch.equal(data.train.batch(range(7)).data, expected[:7])
    assert torch.equal(data.held_out.batch([1, 0]).data, expected[[8, 7]])


def test_a_doubtful_layout_has_to_be_declared(tmp_path):
    np.save(tmp_path / "a.npy", pixels(4, 3, 8, 3))
    np.save(tmp_path / "b.npy", pixels(4, 8, 8, 2))
    for name in "ab":
        with pytest.raises(DataError, match=r"which axis of 4×.* has the channels"):
            Npz(str(tmp_path / f"{name}.npy"))
    assert Npz(str(tmp_path / "a.npy"), layout="NCHW").space.shape == (3, 8, 3)
    assert Npz(str(tmp_path / "b.npy"), layout="NHWC", size=4).space.shape == (2, 4, 4)
    with pytest.raises(DataError, match="layout says NHW"):
        Npz(str(tmp_path / "a.npy"), layout="NHW")


def test_labels_and_a_part_of_its_own(tmp_path):
    path = str(tmp_path / "set.npz")
    train, test = pixels(8, 5, 5), pixels(3, 5, 5)
    np.savez(path, x_train=train, y_train=np.arange(8)[:, None] % 3, x_test=test, y_test=np.array([4, 0, 1], np.uint8))
    data = Npz(path, images="x_train", labels="y_train", held_out="x_test", held_out_labels="y_test")
    assert (len(data.train), len(data.held_out), data.classes) == (8, 3, tuple("01234"))
    assert data.train.batch([5]).labels.tolist() == [2]
    assert data.held_out.batch([0]).labels.tolist() == [4]
    assert data.train.batch([5]).labels.dtype == torch.int64
    assert torch.equal(data.held_out.batch([2]).data[0, 0], floats(test[2]))
    with pytest.raises(DataError, match=r"which array has the images\? It holds x_train \(8×5×5\)"):
        Npz(path)
    for settings in ({"labels": "y_train", "held_out": "x_test"}, {"held_out": "x_test", "held_out_labels": "y_test"}):
        with pytest.raises(RecipeError, match="both"):
            Npz(path, images="x_train", **settings)
    with pytest.raises(RecipeError, match="of another array"):
        Npz(path, images="x_train", held_out_labels="y_test")
    with pytest.raises(DataError, match="no array 'z'; it holds x_train"):
        Npz(path, images="z")
    with pytest.raises(DataError, match="y_test has the form 3 for 8 images"):
        Npz(path, images="x_train", labels="y_test")


def test_the_names_images_and_labels_need_not_be_given(tmp_path):
    np.savez(tmp_path / "set.npz", images=pixels(4, 5, 5), labels=np.array([0, 1, 1, 0]), other=pixels(4, 5, 5))
    data = Npz(str(tmp_path / "set.npz"), held_out=1)
    assert data.classes == ("0", "1")
    assert data.held_out.batch([0]).labels.tolist() == [0]


def test_the_digest_follows_content_and_parameters_not_the_layout(tmp_path):
    array = pixels(6, 5, 5, 3)
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "b.npz", images=array.transpose(0, 3, 1, 2))
    first = Npz(str(tmp_path / "a.npy")).digest()
    assert Npz(str(tmp_path / "b.npz")).digest() == first
    assert Npz(str(tmp_path / "b.npz"), held_out=2).digest() != first
    array[5, 4, 4, 2] ^= 1
    np.save(tmp_path / "a.npy", array)
    assert Npz(str(tmp_path / "a.npy")).digest() != first


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def header(text, version=b"\x01\x00"):
    content = text.encode("latin-1")
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(content))
    return b"\x93NUMPY" + version + length + content


def lying(shape, kind="|u1"):
    return header(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n")


BAD_ARRAYS = {
    "objects": npy(np.array([[[{}]]], dtype=object)),
    "objects that would run code": lying((4, 5, 5), "|O") + b"cos\nsystem\n(S'false'\ntR.",
    "floats": npy(np.zeros((4, 5, 5), np.float32)),
    "64-bit numbers": npy(np.zeros((4, 5, 5), np.int64)),
    "text": npy(np.full((4, 5, 5), "a")),
    "records": npy(np.zeros((4, 5), [("a", "u1"), ("b", "u1")])),
    "truth values": npy(np.zeros((4, 5, 5), bool)),
    "cut off": npy(pixels(4, 5, 5))[:-1],
    "left over": npy(pixels(4, 5, 5)) + b"\0",
    "a lying header": lying((4_000_000, 5_000, 5_000)) + bytes(100),
    "a header beyond 64 bits": lying((2**62, 2**62, 2**62)) + bytes(100),
    "a negative shape": lying((-4, 5, -5)) + bytes(100),
    "no shape": lying("'x'") + bytes(100),
    "code in the header": header("__import__('os').system('false')\n"),
    "an endless header": header("(" * 60_000),
    "column by column": npy(np.asfortranarray(pixels(4, 5, 6))),
    "two axes": npy(pixels(4, 5)),
    "no image": npy(pixels(0, 5, 5)),
    "no pixel": npy(pixels(4, 0, 5)),
    "only the magic": b"\x93NUMPY",
}


@pytest.mark.parametrize("inside", [False, True], ids=["npy", "npz"])
@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays_are_refused_by_name(tmp_path, name, inside):
    path = tmp_path / "bad-file"
    if inside:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("images.npy", BAD_ARRAYS[name])
    else:
        path.write_bytes(BAD_ARRAYS[name])
    with pytest.raises(DataError, match="bad-file") as refusal:
        Npz(str(path))
    assert len(str(refusal.value)) < 500


def test_bad_archives_are_refused_by_name(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, images=pixels(40, 5, 5), labels=np.arange(40))
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"bad\.npz"):
            Npz(str(path))
    np.savez_compressed(path, images=pixels(400, 10, 10))
    whole = path.read_bytes()
    path.write_bytes(whole[:30_000] + bytes([whole[30_000] ^ 1]) + whole[30_001:])
    data = Npz(str(path))
    with pytest.raises(DataError, match=r"bad\.npz: images: cannot be read"):
        data.train.batch([0])
    for text in (b"", b"no archive"):
        path.write_bytes(text)
        with pytest.raises(DataError, match=r"bad\.npz: is no \.npz or \.npy file; give one, or use image-folder"):
            Npz(str(path))


def test_an_archive_that_lies_about_its_length_is_refused_unread(tmp_path):
    path = tmp_path / "bomb.npz"
    content = lying((3_000_000_000, 1, 1)) + bytes(1000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", content)
    raw, claimed = path.read_bytes(), struct.pack("<I", len(content) - 1000 + 3_000_000_000)
    path.write_bytes(raw.replace(struct.pack("<I", len(content)), claimed))
    with pytest.raises(
        DataError, match=r"bomb\.npz: images: announces 3000000\d+ bytes from \d\d, which no archive holds"
    ):
        Npz(str(path))


def test_a_file_that_shrinks_later_is_an_error_with_its_name(tmp_path):
    np.save(tmp_path / "a.npy", pixels(100, 8, 8))
    data = Npz(str(tmp_path / "a.npy"), held_out=1)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:1000])
    for index in (0, 98):
        with pytest.raises(DataError, match=r"a\.npy: changed while it was in use"):
            data.train.batch([index])
