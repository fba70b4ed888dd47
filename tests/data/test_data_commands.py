import re

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def _own_data_root(monkeypatch):
    monkeypatch.setenv("WAVEKIT_DATA_ROOT", "/nowhere")  # a command with --data-root sets it; undone after the test


def picture(path, seed, side=16):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    for i in range(80):
        picture(tmp_path / "images" / "ab"[i % 2] / f"{i:03}.png", i)
    return tmp_path / "images"


def check(wavekit, folder, *more):
    return wavekit("data", "check", "image-folder", "-s", f"path={folder}", "-s", "size=16", *more)


def row(out, name):
    return next(line.split()[1:] for line in out.splitlines() if line.split()[:1] == [name])


def test_a_whole_set_is_counted(wavekit, folder):
    code, out, err = check(wavekit, folder)
    assert code == 0, err
    assert sum(map(int, row(out, "images"))) == sum(map(int, row(out, "a") + row(out, "b"))) == 80
    assert row(out, "repeated") == row(out, "constant") == ["0", "0"]
    assert "warning" not in err


def test_every_truncated_image_is_found_by_name(wavekit, folder):
    for name in ("a/030.png", "b/041.png"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
    code, out, err = check(wavekit, folder)
    assert code == 4
    assert out.count("the file is truncated") == 2
    assert "a/030.png" in out
    assert "b/041.png" in out
    assert sum(map(int, row(out, "decoded"))) == 78
    assert "2 images cannot be decoded" in err


def test_all_are_listed_where_headers_show_it_already(wavekit, folder):
    for i in range(0, 40, 2):
        (folder / "a" / f"{i:03}.png").write_bytes(b"nothing")
    content = (folder / "b" / "001.png").read_bytes()
    (folder / "b" / "001.png").write_bytes(content[: len(content) // 2])
    code, out, err = check(wavekit, folder)
    assert code == 4
    assert out.count("is no PNG") == 20
    assert "b/001.png" in out
    assert "21 images cannot be decoded" in err


def test_copies_and_constant_images_are_told(wavekit, folder):
    from wavekit_core.data.image_folder import ImageFolder

    data = ImageFolder(str(folder), size=16)
    train, held_out = ([split.name(i) for i in range(3)] for split in (data.train, data.held_out))
    content = (folder / train[0]).read_bytes()
    for name in (train[1], held_out[0], held_out[2]):
        (folder / name).write_bytes(content)
    Image.new("RGB", (16, 16), "grey").save(folder / held_out[1])
    code, out, err = check(wavekit, folder)
    assert code == 0
    assert row(out, "repeated") == ["1", "1"]
    assert row(out, "constant")[0] in ("0", "1")
    assert f"2 held-out images are also training images, a leak: {held_out[0]} = {train[0]}; {held_out[2]} =" in err
    assert f"1 training images are there twice: {train[0]} = {train[1]}" in err


def test_a_set_whose_file_is_damaged_is_said_once(wavekit, tmp_path):
    np.savez_compressed(tmp_path / "set.npz", images=np.random.default_rng(0).integers(0, 256, (400, 10, 10), np.uint8))
    content = bytearray((tmp_path / "set.npz").read_bytes())
    content[30_000] ^= 1
    (tmp_path / "set.npz").write_bytes(content)
    code, out, err = wavekit("data", "check", "npz", "-s", f"path={tmp_path}/set.npz")
    assert code == 4
    assert out.count("Bad CRC") == 1
    assert "400 images cannot be decoded" in err


def test_packing_and_checking_shards(wavekit, tmp_path):
    code, out, err = wavekit("data", "pack", "digits", "-s", "size=8", "-o", "packed", "--per-shard", "1000")
    assert (code, out.strip()) == (0, "packed"), err
    code, out, _ = wavekit("data", "info", "shards", "-s", "path=packed")
    assert "training 1,497, held out 300" in out
    assert wavekit("data", "check", "shards", "-s", "path=packed")[0] == 0
    path = tmp_path / "packed" / "images-00001.npy"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    code, out, _ = wavekit("data", "check", "shards", "-s", "path=packed")
    assert code == 4
    assert "images-00001.npy: its content is not what shards.json says" in out
    code, _, err = wavekit("data", "pack", "digits", "-o", "packed")
    assert (code, "is there already" in err) == (2, True)


def test_a_recipe_is_a_target_too(wavekit, recipe):
    path = recipe("data: {use: digits, size: 8}\ngenerator: {use: gmm, components: 2}\n")
    code, out, _ = wavekit("data", "check", path, "-s", "data.size=16")
    assert (code, row(out, "images")) == (0, ["1,497", "300"])


@pytest.mark.parametrize("command", ["info", "check", "pack"])
def test_a_wrong_name_gives_the_nearest(wavekit, command):
    more = ["-o", "packed"] if command == "pack" else []
    for name, hint in (
        ("digit", "did you mean 'digits'?"),
        ("cifar-10", "did you mean 'cifar10'?"),
        ("qqq", "there are: "),
    ):
        code, _, err = wavekit("data", command, name, *more)
        assert code == 2
        assert hint in err
    code, _, err = wavekit("data", command, "digits", "-s", "size", *more)
    assert (code, "a setting is written key=value" in err) == (2, True)


def test_the_list_says_what_to_do(wavekit, tmp_path, monkeypatch):
    (tmp_path / "root").mkdir()
    code, out, _ = wavekit("data", "list", "--data-root", tmp_path / "root")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    for name in ("mnist", "fashion-mnist", "cifar10"):
        assert lines[name].rstrip().endswith(f"not here: `wavekit data download {name}`")
    assert "needs parameters: path, size; `wavekit plugins info image-folder`" in lines["image-folder"]
    assert "1,497 + 300 held out" in lines["digits"]


def test_what_is_not_here_names_the_download(wavekit, recipe, tmp_path):
    path = recipe("data: {use: mnist, size: 16}\ngenerator: {use: gmm, components: 2}\n")
    code, _, err = wavekit("run", path, "--data-root", tmp_path)
    assert code == 4
    assert "`wavekit data download mnist`" in err


@pytest.mark.parametrize(
    ("use", "more"), [("image-folder", ["-s", "size=8"]), ("npz", []), ("cifar-binary", []), ("shards", [])]
)
def test_a_path_that_is_not_there_names_the_folder_it_was_looked_for_in(wavekit, tmp_path, use, more):
    code, _, err = wavekit("data", "info", use, "-s", "path=nope", *more)
    assert (code, f"looked in {tmp_path}; check the path" in err) == (4, True)
    code, _, err = wavekit("data", "info", use, "-s", f"path={tmp_path}/nope", *more)
    assert (code, "looked in" in err, f"{tmp_path}/nope" in err) == (4, False, True)


def test_a_parameter_that_is_missing_or_wrong_is_the_command_line_s(wavekit, tmp_path):
    code, _, err = wavekit("data", "info", "image-folder", "-s", "path=x")
    assert (code, "command line: image-folder needs `size`" in err, "default of" in err) == (2, True, False)
    code, _, err = wavekit("data", "info", "image-folder", "-s", "path=x", "-s", "size=abc")
    assert (code, "-s size=abc: size of image-folder is 'abc'" in err) == (2, True)


def test_tiles_are_counted_with_their_files_and_equal_files_are_named_once(wavekit, tmp_path):
    for i in range(20):
        picture(tmp_path / "images" / f"{i:03}.png", i, 32)
    argv = ("image-folder", "-s", "path=images", "-s", "size=16", "-s", "fit=crop", "-s", "held_out=0.3")
    code, out, _ = wavekit("data", "info", *argv)
    found = re.search(r"training (\d+) tiles of (\d+) files, held out (\d+) tiles of (\d+) files", out)
    tiles, files, other_tiles, other_files = map(int, found.groups())
    assert (code, tiles, other_tiles, files + other_files) == (0, 4 * files, 4 * other_files, 20)
    from wavekit_core.data.image_folder import ImageFolder

    data = ImageFolder("images", size=16, fit="crop", held_out=0.3)
    first, second, leaked = data.train.file(0), data.train.file(4), data.held_out.file(0)
    for name in (second, leaked):
        (tmp_path / name).write_bytes((tmp_path / first).read_bytes())
    _, _, err = wavekit("data", "check", *argv)
    assert f"4 training images are there twice: {first} = {second} (4 tiles)\n" in err
    assert f"a leak: {leaked} = {first} (4 tiles)\n" in err


def test_a_fault_that_costs_no_image_counts_none(wavekit, tmp_path):
    wavekit("data", "pack", "digits", "-s", "size=8", "-o", "packed")
    path = tmp_path / "packed" / "images-00000.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    code, _, err = wavekit("data", "check", "shards", "-s", "path=packed")
    assert (code, "shards: 1 fault; repair" in err) == (4, True)


def test_an_array_that_could_have_the_labels_is_named(wavekit, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8)
    np.savez("set.npz", images=images, y=np.arange(20) % 2, rates=np.zeros(20), few=np.arange(3))
    for command in ("info", "check"):
        code, out, _ = wavekit("data", command, "npz", "-s", "path=set.npz")
        assert (code, out.count("no labels: name the array by labels: ")) == (0, 1)
        assert "labels: y" in out
        assert "no labels" not in wavekit("data", command, "npz", "-s", "path=set.npz", "-s", "labels=y")[1]
