import json
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from wavekit_core.data.arrays import ArraySplit
from wavekit_core.data.pack import pack
from wavekit_core.data.shards import INDEX, Shards
from wavekit_core.errors import DataError, RecipeError, ResourceError
from wavekit_core.kinds.dataset import Dataset
from wavekit_core.spaces import ImageSpace
from wavekit_core.watch import Watcher

RNG = np.random.default_rng(0)


@dataclass
class Given(Dataset):
    """Images that are given."""

    images: np.ndarray
    labels: np.ndarray | None
    held_out_count: int
    classes: tuple[str, ...] = ()
    finish: object = None
    high: float = 1.0

    def __post_init__(self):
        end = len(self.images) - self.held_out_count
        self.space = ImageSpace(*self.images.shape[1:], high=self.high)
        parts = (slice(None, end), slice(end, None))
        labels = [None if self.labels is None else self.labels[part] for part in parts]
        self.train, self.held_out = (
            ArraySplit(self.images[part], own, self.finish) for part, own in zip(parts, labels, strict=True)
        )

    def digest(self):
        return ""


@pytest.fixture
def given():
    images = RNG.integers(0, 256, (25, 3, 6, 8), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(25) * 10  # every image is another
    return Given(images, np.arange(25) % 4, 7, tuple("abcd"))


def packed(dataset, folder, per_shard=8):
    pack(dataset, folder, per_shard, "given", Watcher())
    return Shards(str(folder))


def test_what_is_packed_comes_back(given, tmp_path):
    data = packed(given, tmp_path / "set")
    assert (data.space, data.classes) == (given.space, given.classes)
    for split, original in ((data.train, given.train), (data.held_out, given.held_out)):
        order = RNG.permutation(len(original))
        assert len(split) == len(original)
        assert torch.equal(split.batch(order).data, original.batch(order).data)
        assert torch.equal(split.batch(order).labels, original.batch(order).labels)
    counts = [(shard.count, shard.held_out) for shard in data.index.shards]
    assert counts == [(8, 0), (8, 0), (2, 0), (7, 7)]
    assert data.changed(lambda done: None) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_the_files_are_plain_numpy(given, tmp_path):
    packed(given, tmp_path / "set")
    parts = [np.load(tmp_path / "set" / f"images-0000{i}.npy", mmap_mode="r") for i in range(4)]
    labels = [np.load(tmp_path / "set" / f"labels-0000{i}.npy") for i in range(4)]
    assert np.array_equal(np.concatenate(parts), given.images)
    assert np.array_equal(np.concatenate(labels), given.labels)


def test_without_labels_and_with_views(given, tmp_path):
    data = packed(Given(given.images, None, 7), tmp_path / "set")
    assert data.train.batch([0]).labels is None
    assert sorted(path.name for path in (tmp_path / "set").iterdir())[:2] == ["images-00000.npy", "images-00001.npy"]
    tiles = Shards(str(tmp_path / "set"), size=4, fit="crop", random_crops=True)
    assert (len(tiles.train), tiles.space.shape) == (18 * 2, (3, 4, 4))
    assert torch.equal(tiles.train.batch([3]).data, data.train.batch([1]).data[:, :, :4, 4:])


def test_a_hand_made_index_may_hold_out_the_end_of_each_shard(given, tmp_path):
    packed(given, tmp_path / "set")
    index = json.loads((tmp_path / "set" / INDEX).read_text())
    for shard, held_out in zip(index["shards"], (2, 0, 1, 7), strict=True):
        shard["held_out"] = held_out
    (tmp_path / "set" / INDEX).write_text(json.dumps(index))
    data = Shards(str(tmp_path / "set"))
    wanted = [6, 7, 17, *range(18, 25)]
    assert torch.equal(data.held_out.batch(range(10)).data, torch.from_numpy(given.images[wanted]).float() / 255)


def test_rounding_is_reported(given, tmp_path):
    assert pack(given, tmp_path / "exact", 8, "", Watcher()) < 1e-6
    halves = Given(given.images, None, 7, finish=lambda images: images * 0.5)
    assert pack(halves, tmp_path / "set", 8, "", Watcher()) == pytest.approx(0.5 / 255, abs=1e-6)
    expected = np.rint(given.images[:18] / 2)
    assert np.array_equal(Shards(str(tmp_path / "set")).train.batch(range(18)).data.numpy() * 255, expected)


def test_nothing_is_left_of_a_set_that_cannot_be_packed(given, tmp_path):
    class Broken(ArraySplit):
        def batch(self, indices, words=None, /):
            raise DataError("17.png: is damaged")

    broken = Given(given.images, None, 7)
    broken.held_out = Broken(given.images, None)
    with pytest.raises(DataError, match="17"):
        pack(broken, tmp_path / "set", 8, "", Watcher())
    with pytest.raises(RecipeError, match="hold images in"):
        pack(Given(given.images, None, 7, high=2.0), tmp_path / "set", 8, "", Watcher())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    with pytest.raises(RecipeError, match="is there already"):
        pack(given, tmp_path / "full", 8, "", Watcher())
    with pytest.raises(ResourceError):
        pack(given, tmp_path / "full" / ("x" * 300), 8, "", Watcher())
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    assert list((tmp_path / "full").iterdir()) == []


def altered(key, value):
    def change(folder):
        index = json.loads((folder / INDEX).read_text())
        where = index["shards"][1] if key in ("count", "held_out", "images", "labels") else index
        where[key] = value
        (folder / INDEX).write_text(json.dumps(index))

    return change


def cut(folder):
    path = folder / "images-00001.npy"
    path.write_bytes(path.read_bytes()[:-1])


def linked(folder):
    (folder / "images-00001.npy").unlink()
    os.mkfifo(folder / "images-00001.npy")


FAULTS = {
    "no index": (lambda folder: (folder / INDEX).unlink(), r"shards\.json: there is no such file"),
    "an index that is no JSON": (lambda folder: (folder / INDEX).write_text("{"), "pack"),
    "an unknown key": (altered("more", 1), "more: Extra inputs"),
    "another form": (altered("form", 2), "has form 2, this release reads form 1"),
    "no shard": (altered("shards", []), "shards"),
    "a shape that is no shape": (altered("shape", [3, -6, 8]), r"shape\.1"),
    "another shape": (
        altered("shape", [3, 8, 6]),
        r"images-00000\.npy: holds 8×3×6×8 uint8, and shards\.json says 8×3×8×6",
    ),
    "another count": (altered("count", 9), r"images-00001\.npy"),
    "a count beyond reason": (altered("count", 10**30), r"images-00001\.npy"),
    "more held out than there are": (altered("held_out", 9), "holds out more"),
    "a digest that is none": (altered("images", "../../etc/passwd"), "images"),
    "classes without labels": (altered("labels", None), "do not agree"),
    "fewer classes": (altered("classes", ["a"]), "labels from 0 to 3 for 1 classes"),
    "a missing file": (
        lambda folder: (folder / "labels-00002.npy").unlink(),
        r"labels-00002\.npy: there is no such file",
    ),
    "a file that is cut off": (cut, r"images-00001\.npy: its header announces .* cut off"),
    "a pipe": (linked, r"images-00001\.npy: a pipe"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_damaged_folders_are_refused_by_name(given, tmp_path, name):
    packed(given, tmp_path / "set")
    change, what = FAULTS[name]
    change(tmp_path / "set")
    with pytest.raises(DataError, match=what):
        Shards(str(tmp_path / "set"))


def test_a_changed_byte_is_found_by_the_check(given, tmp_path):
    data = packed(given, tmp_path / "set")
    path = tmp_path / "set" / "images-00001.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert Shards(str(tmp_path / "set")).digest() == data.digest()
    found = data.changed(lambda done: None)
    assert len(found) == 1
    assert "images-00001.npy: its content is not what shards.json says" in found[0]


def test_the_digest_is_cheap_and_follows_the_recorded_ones(given, tmp_path):
    first = packed(given, tmp_path / "one")
    assert packed(given, tmp_path / "two").digest() == first.digest()
    assert Shards(str(tmp_path / "one"), size=4).digest() != first.digest()
    given.images[3, 1, 2, 2] ^= 1
    assert packed(given, tmp_path / "three").digest() != first.digest()


MEMORY = """
import json, resource, sys
import numpy as np
from wavekit_core.data.npz import Npz
from wavekit_core.data.shards import Shards

count, folder = int(sys.argv[1]), sys.argv[2]
array = np.lib.format.open_memmap(folder + "/images-00000.npy", "w+", np.uint8, (count, 3, 256, 256))
array[-1, 2, 255, 255] = 255
array.flush()
del array
shard = {"count": count, "held_out": 4, "images": "0" * 64, "labels": None}
index = {"form": 1, "shape": [3, 256, 256], "classes": [], "source": "", "shards": [shard]}
open(folder + "/shards.json", "w").write(json.dumps(index))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for data in (Shards(folder), Npz(folder + "/images-00000.npy", layout="NCHW", held_out=4)):
    spread = np.linspace(0, len(data.train) - 1, 200).astype(int)
    for start in range(0, 200, 4):
        assert data.train.batch(spread[start : start + 4]).data.max() == 0
    assert data.held_out.batch([0, 1, 2, 3]).data.max() == 1
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    """A file of 8 GB that takes no room on the disk; batches of 4 images from all over it."""
    count = 8 * 10**9 // (3 * 256 * 256)
    argv = [sys.executable, "-c", MEMORY, str(count), str(tmp_path)]
    ended = subprocess.run(argv, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert ended.returncode == 0, ended.stderr
    assert os.path.getsize(tmp_path / "images-00000.npy") > 7.9 * 10**9
    assert int(ended.stdout) < 60_000  # kilobytes
