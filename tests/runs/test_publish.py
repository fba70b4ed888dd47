"""Publishing: the order of system calls, and what stands after a fault or a kill at each of them."""

import builtins
import errno
import os
import shutil
from pathlib import Path

import pytest

from wavekit_core.errors import DamagedError, ResourceError
from wavekit_core.runs import manifest, publish

OLD = {"a": b"old" * 10, "b": b"kept"}
NEW = {"a": b"new" * 999, "c": b""}


class Calls:
    """Records every write, fsync, rename, mkdir and removal below a folder; `at` counts from 1 and acts on that call."""

    def __init__(self, monkeypatch, at=0, act=None):
        self.made, self.at, self.act = [], at, act
        for name in ("rename", "mkdir", "unlink", "rmdir"):
            monkeypatch.setattr(os, name, self.wrap(name, getattr(os, name)))
        monkeypatch.setattr(os, "fsync", self.wrap("fsync", os.fsync, lambda d: (os.readlink(f"/proc/self/fd/{d}"),)))
        monkeypatch.setattr(publish, "open", self.open, raising=False)

    def wrap(self, name, real, paths=lambda *args: args):
        def call(*args, **kwargs):
            self.note(name, *map(str, paths(*args)))
            return real(*args, **kwargs)

        return call

    def note(self, *call):
        self.made.append(call)
        if len(self.made) == self.at:
            self.act()

    def open(self, path, mode="r", **kwargs):
        file = builtins.open(path, mode, **kwargs)  # noqa: SIM115
        write = file.write
        proxy = type("File", (), {"fileno": file.fileno, "flush": file.flush})()

        def recorded(content):
            self.note("write", str(path))
            return write(content)

        proxy.write = recorded
        type(proxy).__enter__ = lambda self: self
        type(proxy).__exit__ = lambda self, *ended: file.close()
        return proxy


def publish_new(root):
    publish.publish_folder(root / "target", NEW)


def replace_file(root):
    publish.publish_file(root / "file", b"new" * 100)


def replace_listed(root):
    publish.publish_listed(root / "target", "a", NEW["a"])


def fresh(root):
    publish.publish_folder(root / "target", OLD)
    publish.publish_file(root / "file", b"old")


def content(root):
    """What a reader finds: the file, and the folder or None if it is not there."""
    target = root / "target"
    return (root / "file").read_bytes(), manifest.read_checked(target) if target.exists() else None


def test_every_file_is_on_disk_before_its_name_is(tmp_path, monkeypatch):
    calls = Calls(monkeypatch)
    publish_new(tmp_path)
    temporary, target = str(tmp_path / ".tmp-target"), str(tmp_path / "target")
    renamed = calls.made.index(("rename", temporary, target))
    for name in (*NEW, manifest.NAME):
        path = f"{temporary}/{name}"
        assert calls.made.index(("write", path)) < calls.made.index(("fsync", path)) < renamed
    assert calls.made.index(("fsync", temporary)) < renamed
    assert ("fsync", str(tmp_path)) in calls.made[renamed:]


def test_the_manifest_names_a_file_only_when_it_is_on_disk(tmp_path, monkeypatch):
    fresh(tmp_path)
    calls = Calls(monkeypatch)
    replace_listed(tmp_path)
    folder = str(tmp_path / "target")
    promised = calls.made.index(("rename", f"{folder}/.tmp-manifest.json", f"{folder}/manifest.json"))
    assert {("fsync", f"{folder}/.tmp-a"), ("fsync", folder), ("fsync", f"{folder}/.tmp-manifest.json")} <= set(
        calls.made[:promised]
    )
    renamed = calls.made.index(("rename", f"{folder}/.tmp-a", f"{folder}/a"))
    assert ("fsync", folder) in calls.made[promised:renamed]
    assert ("fsync", folder) in calls.made[renamed:]


def test_a_folder_is_renamed_away_before_it_is_emptied(tmp_path, monkeypatch):
    fresh(tmp_path)
    calls = Calls(monkeypatch)
    publish.remove_folder(tmp_path / "target")
    renamed = calls.made.index(("rename", str(tmp_path / "target"), str(tmp_path / ".trash-target")))
    assert calls.made[renamed + 1] == ("fsync", str(tmp_path))
    assert not [call for call in calls.made[:renamed] if call[0] == "unlink" and "/target" in call[1]]
    assert not list(tmp_path.glob("*target*"))


def count(operation, root):
    """How many recorded calls an operation makes."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    fresh(root)
    with pytest.MonkeyPatch.context() as patch:
        calls = Calls(patch)
        operation(root)
    return len(calls.made)


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("operation", [publish_new, replace_file])
def test_a_fault_at_any_call_leaves_the_old_or_the_new(tmp_path, operation, fault):
    root = tmp_path / "root"
    total = count(operation, root)
    assert total >= 4
    new = content(root)

    def act():
        raise OSError(fault, os.strerror(fault))

    for at in range(1, total + 1):
        shutil.rmtree(root)
        root.mkdir()
        fresh(root)
        old = content(root)
        with pytest.MonkeyPatch.context() as patch:
            calls = Calls(patch, at, act)
            try:
                operation(root)
            except ResourceError as error:
                assert os.strerror(fault) in str(error)  # noqa: PT017
            else:  # the folder that was to be made was there already
                assert calls.made[at - 1][0] == "mkdir"
        assert content(root) in (old, new, (old[0], None)), at
        assert not list(root.rglob(".tmp-*")), at
        operation(root)
        assert content(root) == new


@pytest.mark.parametrize("operation", [publish_new, replace_file, replace_listed])
def test_killed_at_any_call_it_is_old_or_new_once_tidied(tmp_path, operation):
    root = tmp_path / "root"
    total = count(operation, root)
    new = content(root)
    for at in range(1, total + 1):
        shutil.rmtree(root)
        root.mkdir()
        fresh(root)
        old = content(root)
        if (child := os.fork()) == 0:
            with pytest.MonkeyPatch.context() as patch:
                Calls(patch, at, lambda: os._exit(9))
                operation(root)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        if operation is replace_listed:
            publish.roll_forward(root / "target")
        publish.sweep(root)
        publish.sweep_beside(root / "target")
        assert content(root) in (old, new, (old[0], None)), at
        assert {path.name for path in root.rglob("*")} <= {"target", "file", "manifest.json", *OLD, *NEW}, at
        operation(root)
        assert content(root) == new


def test_a_promise_is_kept_after_a_kill(tmp_path):
    fresh(tmp_path)
    folder = tmp_path / "target"
    (folder / ".tmp-a").write_bytes(NEW["a"])
    (folder / manifest.NAME).write_bytes(manifest.changed(folder, "a", NEW["a"]))
    publish.roll_forward(folder)
    assert manifest.read_checked(folder)["a"] == NEW["a"]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/passwd"), os.mkdir])
def test_what_only_looks_like_a_promise_is_not_followed(tmp_path, make):
    fresh(tmp_path)
    folder = tmp_path / "target"
    make(folder / ".tmp-a")
    publish.roll_forward(folder)
    publish.sweep(folder)
    assert manifest.read_checked(folder) == OLD


def test_a_link_under_a_temporary_name_is_not_written_through(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / ".tmp-file").symlink_to(victim)
    publish.publish_file(tmp_path / "file", b"new")
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not (tmp_path / "file").is_symlink()


def test_sweeping_does_not_follow_links(tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / ".tmp-precious").write_bytes(b"x")
    (inside / ".tmp-link").symlink_to(outside)
    (inside / "link").symlink_to(outside)
    publish.sweep(inside)
    assert (outside / ".tmp-precious").exists()
    assert not os.path.lexists(inside / ".tmp-link")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("elsewhere")])
def test_a_log_is_a_regular_file(tmp_path, make):
    make(tmp_path / "log")
    with pytest.raises(DamagedError, match="no regular file"):
        publish.append(tmp_path / "log", "line")
    assert not (tmp_path / "elsewhere").exists()


def test_room_is_asked_for_before_a_byte_is_written(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2_000_000))
    with pytest.raises(ResourceError, match=r"needs 3\.0 MB and the disk has 2\.0 MB free; make room"):
        publish.publish_folder(tmp_path / "run" / "target", {"a": bytes(3_000_000)})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_says_how_much_was_needed(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match=r"No space left on device for 3\.0 MB; make room on the disk"):
        publish.publish_file(Path(tmp_path / "a"), bytes(3_000_000))


def test_modes_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        fresh(tmp_path)
    finally:
        os.umask(old)
    assert (tmp_path / "target" / "a").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o750
