import functools
import hashlib
import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading
import time

import pytest

from wavekit_core.data import download as module
from wavekit_core.data.download import SETS, Remote, download
from wavekit_core.data.idx import FOUR_FILES
from wavekit_core.errors import DamagedError, ResourceError
from wavekit_core.watch import Watcher

CONTENT = os.urandom(200_000)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and counts; `/short/…` ends early and `/slow/…` takes a second."""

    def do_GET(self):
        self.server.asked.append(self.path)
        kind, _, name = self.path[1:].partition("/")
        if kind == "slow":
            time.sleep(1)
        if kind in ("short", "slow"):
            content = (self.server.folder / name).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if kind == "short" else content)
            return
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """(address, folder that is served, what was asked for)."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as one:
        one.folder, one.asked = folder, []
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{one.server_port}/", folder, one.asked
        one.shutdown()
        thread.join()


def remote(address, content, name="file.gz", **other):
    return Remote(name, address + name, len(content), hashlib.sha256(content).hexdigest(), **other)


def test_a_file_arrives_whole_and_is_kept(server, tmp_path, monkeypatch):
    address, folder, asked = server
    (folder / "file.gz").write_bytes(CONTENT)
    monkeypatch.setitem(SETS, "mnist", (remote(address, CONTENT),))
    assert download("mnist", tmp_path / "root", Watcher()) == tmp_path / "root" / "mnist"
    assert [path.name for path in (tmp_path / "root").rglob("*")] == ["mnist", "file.gz"]
    assert (tmp_path / "root" / "mnist" / "file.gz").read_bytes() == CONTENT
    download("mnist", tmp_path / "root", Watcher())
    assert asked == ["/file.gz"]
    (tmp_path / "root" / "mnist" / "file.gz").write_bytes(b"changed")
    with pytest.raises(DamagedError, match=r"file\.gz: is not the file of that name"):
        download("mnist", tmp_path / "root", Watcher())


@pytest.mark.parametrize(
    ("served", "place", "fault", "what"),
    [
        (CONTENT[:-1] + b"x", "", DamagedError, "SHA-256 differs"),
        (CONTENT + b"x", "", DamagedError, "more bytes"),
        (CONTENT[:-1], "", ResourceError, "ended after 199999 of 200000"),
        (CONTENT, "short/", ResourceError, "cannot be fetched|ended after"),
        (None, "", ResourceError, "the server answers 404"),
    ],
    ids=["another file", "too long", "too short", "connection lost", "not found"],
)
def test_what_does_not_arrive_whole_leaves_nothing(server, tmp_path, monkeypatch, served, place, fault, what):
    address, folder, _ = server
    if served is not None:
        (folder / "file.gz").write_bytes(served)
    monkeypatch.setitem(SETS, "mnist", (remote(address + place, CONTENT),))
    with pytest.raises(fault, match=rf"(?s){what}.*{address}.*put what you get into .*root/mnist"):
        download("mnist", tmp_path / "root", Watcher())
    assert not (tmp_path / "root").exists()


def test_no_network_names_every_address_and_the_place(wavekit, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("WAVEKIT_DATA_ROOT", "/nowhere")  # the command sets it; undone after the test
    remotes = tuple(remote("http://127.0.0.1:1/", CONTENT, name) for name in ("a.gz", "b.gz"))
    monkeypatch.setitem(SETS, "mnist", remotes)
    code, _, err = wavekit("data", "download", "mnist", "--data-root", tmp_path / "root")
    assert code == 6
    assert "http://127.0.0.1:1/a.gz and http://127.0.0.1:1/b.gz" in err
    assert str(tmp_path / "root" / "mnist") in err
    assert "Traceback" not in err
    code, _, err = wavekit("data", "download", "mnits", "--data-root", tmp_path / "root")
    assert (code, "did you mean 'mnist'?" in err) == (2, True)
    monkeypatch.delenv("WAVEKIT_DATA_ROOT")
    assert wavekit("data", "download", "mnist")[0] == 2


def tar(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                info.size = len(content)
            file.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


def test_an_archive_gives_its_members_and_nothing_else(server, tmp_path, monkeypatch):
    address, folder, asked = server
    content = tar([("set/a.bin", b"a" * 10), ("../escape.bin", b"x"), ("set/b.txt", b"b"), ("set/more", b"more")])
    (folder / "set.tar.gz").write_bytes(content)
    wanted = (("set/a.bin", 10), ("set/b.txt", 10))
    monkeypatch.setitem(SETS, "cifar10", (remote(address, content, "set.tar.gz", members=wanted),))
    target = download("cifar10", tmp_path / "root", Watcher())
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"a.bin": b"a" * 10, "b.txt": b"b"}
    (target / "a.bin").unlink()
    (target / "set.tar.gz").write_bytes(content)  # fetched by hand
    download("cifar10", tmp_path / "root", Watcher())
    assert (target / "a.bin").exists()
    assert asked == ["/set.tar.gz"]


@pytest.mark.parametrize("bad", [[("set/a.bin", b"a" * 11)], [("set/a.bin", None)], [("a.bin", b"a")]])
def test_an_archive_without_the_files_is_refused(server, tmp_path, monkeypatch, bad):
    address, folder, _ = server
    content = tar(bad)
    (folder / "set.tar.gz").write_bytes(content)
    monkeypatch.setitem(SETS, "cifar10", (remote(address, content, "set.tar.gz", members=(("set/a.bin", 10),)),))
    with pytest.raises(DamagedError, match="has not the files of this set"):
        download("cifar10", tmp_path / "root", Watcher())
    assert not (tmp_path / "root").exists()


TWO = """
import sys
from pathlib import Path
from wavekit_core.data.download import SETS, Remote, download
from wavekit_core.watch import Watcher

class Loud(Watcher):
    def say(self, text):
        print(text)

SETS["mnist"] = (Remote("file.gz", sys.argv[1], int(sys.argv[2]), sys.argv[3]),)
download("mnist", Path(sys.argv[4]), Loud())
"""


def test_of_two_processes_one_fetches(server, tmp_path):
    address, folder, asked = server
    (folder / "file.gz").write_bytes(CONTENT)
    one = remote(address + "slow/", CONTENT)
    argv = [sys.executable, "-c", TWO, one.address, str(one.size), one.sha256, str(tmp_path / "root")]
    children = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [child.communicate(timeout=60)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert asked == ["/slow/file.gz"]
    assert "is there already" in "".join(told)
    assert (tmp_path / "root" / "mnist" / "file.gz").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "root").rglob("*")] == ["mnist", "file.gz"]


def test_the_table_has_the_files_that_the_sets_read():
    for name in ("mnist", "fashion-mnist"):
        assert [one.name.removesuffix(".gz") for one in SETS[name]] == list(FOUR_FILES)
    names = [os.path.basename(member) for member, _ in SETS["cifar10"][0].members]
    assert set(names) == {*module.TRAINING, module.TEST, module.META}
    for remotes in SETS.values():
        assert all(len(bytes.fromhex(one.sha256)) == 32 and one.address.endswith(one.name) for one in remotes)
