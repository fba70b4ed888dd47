"""One run folder has one writer, whatever way it ends."""

import contextlib
import os
import signal

import pytest

from wavekit_core.errors import BusyError, RecipeError, ResourceError
from wavekit_core.runs.owner import owned


def child(act):
    """Run `act` in a process of its own; (its id, a pipe that it can write to)."""
    reading, writing = os.pipe()
    if (process := os.fork()) == 0:
        try:
            act(writing)
        finally:
            os._exit(0)
    os.close(writing)
    return process, reading


def hold(folder):
    def act(writing):
        with owned(folder):
            os.write(writing, b"owned")
            signal.pause()

    process, reading = child(act)
    assert os.read(reading, 5) == b"owned"
    return process


def end(process, how=signal.SIGKILL):
    os.kill(process, how)
    os.waitpid(process, 0)


def test_the_second_is_told_who_owns_it(tmp_path):
    process = hold(tmp_path / "run")
    try:
        with pytest.raises(BusyError, match=f"process {process} on .* writes to it"), owned(tmp_path / "run"):
            pass
        (tmp_path / "link").symlink_to(tmp_path / "run")
        with pytest.raises(BusyError), owned(tmp_path / "link"):
            pass
        with owned(tmp_path / "other"):
            pass
    finally:
        end(process)


def test_a_killed_owner_leaves_no_lock(tmp_path):
    end(hold(tmp_path / "run"))
    with owned(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_behind_by_a_start_that_came_to_nothing(tmp_path):
    with contextlib.suppress(KeyError), owned(tmp_path / "a" / "b" / "run"):
        assert (tmp_path / "a" / "b").is_dir()
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_what_the_owner_made_stays(tmp_path):
    with owned(tmp_path / "a" / "run"):
        (tmp_path / "a" / "run").mkdir()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["run"]


def race(folder, count):
    """How many of `count` processes that start at once own the folder; none lets go before all have tried."""
    starting, start = os.pipe()
    leaving, leave = os.pipe()
    processes, answers = [], []

    def act(writing):
        os.close(start)
        os.close(leave)
        os.read(starting, 1)
        try:
            with owned(folder):
                os.write(writing, b"1")
                os.read(leaving, 1)
        except BusyError:
            os.write(writing, b"0")

    for _ in range(count):
        process, reading = child(act)
        processes.append(process)
        answers.append(reading)
    os.close(start)
    found = [os.read(reading, 1) for reading in answers]
    os.close(leave)
    for process in processes:
        os.waitpid(process, 0)
    for descriptor in (*answers, starting, leaving):
        os.close(descriptor)
    assert set(found) <= {b"0", b"1"}
    return found.count(b"1")


@pytest.mark.parametrize("attempt", range(10))
def test_of_many_that_start_at_once_one_wins(tmp_path, attempt):
    if attempt % 2:
        end(hold(tmp_path / "new" / "run"))
    assert race(tmp_path / "new" / "run", 20) == 1
    assert not (tmp_path / "new" / ".run.lock").exists()


def test_owners_in_turn_never_overlap(tmp_path):
    """The lock file is removed at every end: a waiter that had it open must not own a name that is gone."""
    folder, inside = tmp_path / "run", tmp_path / "inside"

    def act(writing):
        done = 0
        while done < 60:
            try:
                with owned(folder):
                    inside.mkdir()  # fails if another is inside
                    inside.rmdir()
                    done += 1
            except BusyError:
                continue
        os.write(writing, b"1")

    started = [child(act) for _ in range(4)]
    assert [os.read(reading, 1) for _, reading in started] == [b"1"] * 4
    for process, reading in started:
        os.waitpid(process, 0)
        os.close(reading)


@pytest.mark.parametrize("make", [os.mkdir, lambda path: path.symlink_to("elsewhere")])
def test_a_lock_that_is_no_file_is_refused(tmp_path, make):
    make(tmp_path / ".run.lock")
    with pytest.raises(ResourceError, match="cannot be written"), owned(tmp_path / "run"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_paths_that_hold_no_run(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ResourceError, match="name a writable folder"), owned(tmp_path / "file" / "run"):
        pass
    with pytest.raises(ResourceError, match="File name too long"), owned(tmp_path / ("x" * 300)):
        pass
    with pytest.raises(RecipeError, match="no place for a run"), owned(tmp_path / "/"):
        pass
