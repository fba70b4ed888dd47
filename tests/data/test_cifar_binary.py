import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wavekit_core.data.cifar_binary import CLASSES, SUBSET, TEST, TRAINING, Cifar10, CifarBinary
from wavekit_core.data.files import NotHere
from wavekit_core.errors import DataError


def write(path, count=20, seed=0, top=10):
    records = np.random.default_rng(seed).integers(0, 256, (count, 3073), dtype=np.uint8)
    records[:, 0] = np.arange(count) % top
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(records.tobytes())
    return records


def images(records):
    """The official description: a label byte, then 1,024 red, 1,024 green and 1,024 blue bytes, row by row."""
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()).float() / 255


def test_records_are_labels_and_planes(tmp_path):
    records = write(tmp_path / "a.bin")
    data = CifarBinary(str(tmp_path / "a.bin"), held_out=5)
    assert (len(data.train), len(data.held_out), data.space.shape) == (15, 5, (3, 32, 32))
    batch = data.train.batch([14, 3])
    assert torch.equal(batch.data, images(records)[[14, 3]])
    assert batch.labels.tolist() == [4, 3]
    assert torch.equal(data.held_out.batch(range(5)).data, images(records)[15:])
    assert data.classes == tuple("0123456789")
    with pytest.raises(IndexError):
        data.train.batch([15])


def test_files_lists_and_folders(tmp_path):
    one, two = write(tmp_path / "1.bin", 4, 1), write(tmp_path / "2.bin", 6, 2)
    (tmp_path / "readme.html").write_text("")
    for path in (str(tmp_path), [str(tmp_path / "1.bin"), str(tmp_path / "2.bin")]):
        data = CifarBinary(path, held_out=0.5)
        assert (len(data.train), len(data.held_out)) == (5, 5)
        both = images(np.concatenate([one, two]))
        assert torch.equal(data.held_out.batch(range(5)).data, both[1::2])
        assert torch.equal(data.train.batch(range(5)).data, both[::2])
    data = CifarBinary(str(tmp_path), held_out=str(tmp_path / "1.bin"))
    assert torch.equal(data.train.batch(range(6)).data, images(two))
    assert torch.equal(data.held_out.batch(range(4)).data, images(one))
    with pytest.raises(DataError, match="no file is left"):
        CifarBinary(str(tmp_path / "1.bin"), held_out=str(tmp_path / "1.bin"))


def test_class_names_stand_beside_the_file(tmp_path):
    write(tmp_path / "a.bin", 6, top=3)
    (tmp_path / "batches.meta.txt").write_text("cat\ndog\nfrog\n\n")
    assert CifarBinary(str(tmp_path / "a.bin")).classes == ("cat", "dog", "frog")
    (tmp_path / "batches.meta.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match=r"batches\.meta\.txt: 2 names of classes for labels up to 2"):
        CifarBinary(str(tmp_path / "a.bin"))


@pytest.mark.parametrize(
    ("length", "what"),
    [(0, "no whole number"), (3072, "no whole number"), (3073 * 9 - 1, "cut off"), (3074, "CIFAR-100")],
)
def test_a_wrong_length_is_refused_by_name(tmp_path, length, what):
    (tmp_path / "bad.bin").write_bytes(bytes(length))
    with pytest.raises(DataError, match=rf"bad\.bin: {length} bytes .*{what}"):
        CifarBinary(str(tmp_path / "bad.bin"))


def test_pipes_and_missing_files_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.bin")
    (tmp_path / "folder").mkdir()
    for name, what in (("pipe.bin", "a pipe"), ("none.bin", "no such file"), ("folder", r"no \.bin file")):
        with pytest.raises(DataError, match=what):
            CifarBinary(str(tmp_path / name))


def test_the_digest_follows_bytes_and_parameters(tmp_path):
    write(tmp_path / "a.bin")
    path = str(tmp_path / "a.bin")
    seen = {CifarBinary(path).digest(), CifarBinary(path, size=16).digest(), CifarBinary(path, held_out=3).digest()}
    assert CifarBinary(path).digest() in seen
    write(tmp_path / "a.bin", seed=1)
    assert len(seen | {CifarBinary(path).digest()}) == 4


def test_enlarged_and_cut_into_tiles(tmp_path):
    records = write(tmp_path / "a.bin", 4)
    data = CifarBinary(str(tmp_path / "a.bin"), held_out=1, size=128, fit="resize")
    original = Image.fromarray(records[2, 1:].reshape(3, 32, 32).transpose(1, 2, 0))
    expected = np.asarray(original.resize((128, 128), Image.Resampling.BICUBIC)).transpose(2, 0, 1) / np.float32(255)
    assert torch.equal(data.train.batch([2]).data[0], torch.from_numpy(expected))
    tiles = CifarBinary(str(tmp_path / "a.bin"), held_out=1, size=16, fit="crop")
    assert (len(tiles.train), len(tiles.held_out)) == (12, 4)
    assert torch.equal(tiles.train.batch([7]).data[0], images(records)[1, :, 16:, 16:])
    assert tiles.train.batch([7]).labels.tolist() == [1]
    with pytest.raises(DataError, match="smaller than a tile"):
        CifarBinary(str(tmp_path / "a.bin"), size=64, fit="crop")
    with pytest.raises(DataError, match="32×32 pixels, to be padded to 20×20"):
        CifarBinary(str(tmp_path / "a.bin"), size=20, fit="pad")


def test_the_official_six_files_are_preferred_to_the_subset(tmp_path, monkeypatch):
    monkeypatch.setenv("WAVEKIT_DATA_ROOT", str(tmp_path))
    with pytest.raises(NotHere, match=r"cifar10: its files are not there; .*`wavekit data download cifar10`"):
        Cifar10()
    write(tmp_path / "cifar10" / SUBSET, 600)
    assert (len(Cifar10().train), len(Cifar10().held_out)) == (100, 500)
    for number, name in enumerate((*TRAINING, TEST)):
        if number:
            with pytest.raises(NotHere, match=rf"{name}.* is missing; .*`wavekit data download cifar10`"):
                Cifar10()
        write(tmp_path / "cifar10" / name, 3 + number, seed=number)
    data = Cifar10(size=16)
    assert (len(data.train), len(data.held_out), data.classes) == (3 + 4 + 5 + 6 + 7, 8, CLASSES)
    write(tmp_path / "cifar10" / TEST, 11, top=11)
    with pytest.raises(DataError, match="a label of 10"):
        Cifar10()
    monkeypatch.delenv("WAVEKIT_DATA_ROOT")
    with pytest.raises(NotHere, match="neither root nor WAVEKIT_DATA_ROOT"):
        Cifar10()


def test_the_real_subset():
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = Path(os.environ.get("WAVEKIT_DATA_ROOT") or beside)
    if not (root / "cifar10" / SUBSET).is_file():
        pytest.skip("no real data: WAVEKIT_DATA_ROOT is not set and there is no ../shared/data")
    data = Cifar10(root=str(root))
    assert (len(data.train), len(data.held_out), data.classes) == (3500, 500, CLASSES)
    mean = data.train.batch(range(3500)).data.mean((0, 2, 3))
    assert mean.tolist() == pytest.approx([0.491, 0.482, 0.447], abs=0.01)  # of all 50,000: the published channel means
