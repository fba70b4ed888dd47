"""Manifests: only what wavekit itself writes is taken, and every file is checked before it is used."""

import errno
import json
import os

import pytest

from wavekit_core.errors import DamagedError, ResourceError
from wavekit_core.runs import manifest

FILES = {"a.bin": b"\x00\x01\x02" * 50, "b.json": b'{"x": 1}\n', "empty": b""}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "step-00000001"
    made.mkdir()
    for name, content in (FILES | {manifest.NAME: manifest.of(FILES)}).items():
        (made / name).write_bytes(content)
    return made


def rewrite(folder, change, own=True):
    """Change the parsed manifest; with `own`, write it as wavekit would, with a right digest of its own."""
    data = json.loads((folder / manifest.NAME).read_bytes())
    change(data)
    content = manifest._written(data["files"]) if own else json.dumps(data, indent=1).encode() + b"\n"
    (folder / manifest.NAME).write_bytes(content)


def test_a_whole_folder_is_read(folder):
    assert manifest.read_checked(folder) == FILES


@pytest.mark.parametrize("name", [".hidden", "..", "", "../a.bin", "sub/a.bin", "manifest.json", "a\nb", "x" * 300])
def test_names_that_lead_elsewhere_are_refused(folder, name):
    rewrite(folder, lambda data: data["files"].update({name: data["files"]["a.bin"]}))
    with pytest.raises(DamagedError, match=r"manifest\.json"):
        manifest.read_checked(folder)


@pytest.mark.parametrize("size", [-1, True, 150.0, "150", None, [], 1 << 50, 10**30])
def test_sizes_are_strict(folder, size):
    rewrite(folder, lambda data: data["files"]["a.bin"].update(bytes=size))
    with pytest.raises(DamagedError, match=r"manifest\.json"):
        manifest.read_checked(folder)


@pytest.mark.parametrize("sha256", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, None, 0, ["0" * 64]])
def test_digests_are_strict(folder, sha256):
    rewrite(folder, lambda data: data["files"]["a.bin"].update(sha256=sha256))
    with pytest.raises(DamagedError, match=r"manifest\.json"):
        manifest.read_checked(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(extra=1),
        lambda d: d["files"]["a.bin"].update(mode=0o777),
        lambda d: d["files"].pop("a.bin"),
        lambda d: d["files"]["a.bin"].pop("bytes"),
        lambda d: d["files"]["a.bin"].update(bytes=149),
        lambda d: d.update(sha256="0" * 64),
        lambda d: d.update(files=[]),
        lambda d: d.update(files=None),
        lambda d: d.pop("files"),
    ],
)
def test_an_edit_by_hand_is_noticed(folder, change):
    rewrite(folder, change, own=False)
    with pytest.raises(DamagedError, match=r"manifest\.json"):
        manifest.read_checked(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"files"',
        b"\xff\xfe",
        b"[" * 100_000,
        manifest.of(FILES) + b" ",
        manifest.of(FILES).replace(b": ", b":"),
        manifest.of(FILES).replace(b'"files"', b'"files": {}, "files"'),
        b" " * (manifest.MAX_BYTES + 1),
        b"9" * 100_000,
    ],
)
def test_other_bytes_are_no_manifest(folder, content):
    (folder / manifest.NAME).write_bytes(content)
    with pytest.raises(DamagedError, match=r"manifest\.json"):
        manifest.read_checked(folder)


def link(path):
    target = path.parent.parent / "elsewhere"
    target.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(target)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def directory(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", [*FILES, manifest.NAME])
@pytest.mark.parametrize("change", [link, pipe, directory, os.unlink])
def test_only_regular_files_are_opened(folder, name, change):
    change(folder / name)
    with pytest.raises(DamagedError, match=name):
        manifest.read_checked(folder)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.write_bytes(b"")])
def test_an_added_file_is_named(folder, make):
    make(folder / "more")
    with pytest.raises(DamagedError, match="more: not in the manifest"):
        manifest.read_checked(folder)


def test_a_link_to_a_whole_folder_is_refused(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(DamagedError, match="no folder"):
        manifest.read_checked(tmp_path / "link")


@pytest.mark.parametrize("fault", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_what_cannot_be_read_now_is_not_called_damaged(folder, monkeypatch, fault):
    real = os.open

    def failing(path, *args, **kwargs):
        if str(path).endswith("a.bin"):
            raise OSError(fault, os.strerror(fault))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(ResourceError, match=r"a\.bin: cannot be read"):
        manifest.read_checked(folder)


def test_a_file_that_grew_is_not_read(folder):
    with open(folder / "a.bin", "ab") as file:
        file.truncate(1 << 40)  # sparse: to read it would need a terabyte
    with pytest.raises(DamagedError, match=r"a\.bin: has 1099511627776 bytes"):
        manifest.read_checked(folder)
