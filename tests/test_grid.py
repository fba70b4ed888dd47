"""A grid: checked whole before anything runs, run cell by cell, resumed exactly, its failures told and passed over."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.test_resume import results
from tests.test_resume import wavekit as driven  # noqa: F401
from wavekit_core.check import check
from wavekit_core.compare import compare_rows
from wavekit_core.errors import BusyError, DamagedError, DivergedError, Interrupted, RecipeError
from wavekit_core.grid import CellsFailed, GridFolder, examine, recipe_text, require_whole, run_grid
from wavekit_core.grid.folder import runs_in
from wavekit_core.recipe.compose import compose
from wavekit_core.recipe.faults import RecipeFaults
from wavekit_core.recipe.grid import expand
from wavekit_core.recipe.recipe import from_value, load
from wavekit_core.run import start
from wavekit_core.runs.folder import RunFolder
from wavekit_core.runs.manifest import listing
from wavekit_core.runs.owner import owned
from wavekit_core.watch import Watcher

GMM = """
data: {use: digits, size: 8}
generator: {use: gmm, components: 2}
train: {steps: 0, threads: 1}
samples: {count: 10}
"""
TINY = """
name: tiny
data: {use: digits, size: 8}
generator: {use: tiny-gan}
train: {steps: 6, batch_size: 32, ema: 0.9, checkpoint_every: 2, log_every: 2, threads: 1}
samples: {count: 10}
"""


class Told(Watcher):
    """Keeps what is said."""

    def __init__(self):
        self.lines: list[str] = []

    def say(self, text):
        self.lines.append(text)

    warn = say

    def about_cells(self):
        return [line for line in self.lines if line.startswith("cell ")]


def run_cell(cell, folder):
    with owned(folder):
        start(from_value(cell.value), recipe_text(cell), folder, torch.device("cpu"), Watcher())


@pytest.fixture
def grid(recipe) -> Callable:
    """`grid(axes)` gives a function that runs the recipe with these axes in a folder, and its cells."""

    def make(axes: str, base: str = GMM):
        path = recipe(f"{base}grid: {axes}\n")

        def run(folder, run_cell=run_cell, cell=None, settings=()):
            told = Told()
            told.cells = expand(compose(path, settings))
            told.fault = None
            try:
                run_grid(told.cells, path.read_bytes(), folder, run_cell, told, cell)
            except (CellsFailed, RecipeError) as error:
                told.fault = error
            return told

        run.cells = expand(compose(path))
        return run

    return make


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


# --- checking


def test_a_faulty_cell_is_found_before_anything_runs(grid, tmp_path):
    run = grid("{transform: [{use: haar, levels: 1}, {use: haar, levels: 3}, {use: haar, levels: 9}], seed: [0, 1]}")
    told = run(tmp_path / "runs" / "g", run_cell=lambda *_: pytest.fail("a cell ran"))
    assert isinstance(told.fault, RecipeFaults)
    (fault,) = told.fault.faults
    assert "(in 2 of 6 cells, the first is haar-3-seed-0)" in fault.message
    assert (fault.mark.line, fault.mark.text[fault.mark.column - 1 :][:1]) == (5, "9")
    assert not (tmp_path / "runs").exists()


def test_every_fault_of_every_cell_comes_at_once_and_is_said_once(grid):
    run = grid("{generator: [{use: gmm, componentz: 2}, {use: vae, code: 0}, {use: vae, code: 2}], seed: [-1, 0]}")
    with pytest.raises(RecipeFaults) as caught:
        require_whole(examine(run.cells))
    messages = [fault.message for fault in caught.value.faults]
    assert len(messages) == 3
    assert any("no parameter 'componentz'" in one and "in 2 of 6 cells" in one for one in messages)
    assert any("code of vae is 0" in one and "in 2 of 6 cells" in one for one in messages)
    assert any("seed of a recipe is -1" in one and "in 3 of 6 cells" in one for one in messages)


def test_a_fault_outside_the_axes_is_in_all_cells(recipe):
    path = recipe("data: {use: digits, size: 9}\ngenerator: {use: gmm}\ngrid: {seed: [0, 1]}\n")
    with pytest.raises(RecipeFaults, match=r"size of digits is 9.*\(in all 2 cells\)") as caught:
        require_whole(examine(expand(compose(path))))
    assert [fault.mark.line for fault in caught.value.faults] == [1]


def test_cells_of_one_recipe_are_a_fault_where_they_differ(grid):
    run = grid("{generator.components: [2, 3], generator: [{use: vae}], seed: [0, 0]}")
    with pytest.raises(RecipeFaults) as caught:
        require_whole(examine(run.cells))
    messages = [fault.message for fault in caught.value.faults]
    assert any(
        "cell components-2-vae-seed-0-2 is the same recipe as components-2-vae-seed-0" in one for one in messages
    )
    assert any(
        "cell components-3-vae-seed-0 is the same" in one and "write `generator.components` after" in one
        for one in messages
    )


def test_a_grid_that_lacks_its_data_ends_with_4(recipe, tmp_path):
    files = f"{tmp_path}/none"
    data = f"{{use: idx, train_images: {files}, train_labels: {files}, test_images: {files}, test_labels: {files}}}"
    path = recipe(f"data: {data}\ngenerator: {{use: gmm}}\ngrid: {{seed: [0, 1]}}\n")
    with pytest.raises(RecipeFaults, match="in all 2 cells") as caught:
        require_whole(examine(expand(compose(path))))
    assert caught.value.exit_code == 4


def test_what_is_found_is_what_a_check_of_the_cell_finds(grid):
    for one in examine(grid("{transform: [[], {use: haar, levels: 2}], seed: [0, 1]}").cells):
        assert one.findings == check(from_value(one.cell.value))


def test_check_prints_a_line_a_cell(wavekit, recipe):
    path = recipe(f"{GMM}grid: {{generator: [{{use: gmm}}, {{use: vae, width: 8}}], seed: [0, 1]}}\n")
    code, out, _ = wavekit("check", path)
    assert code == 0
    size = sum(check(load(path, ["grid=null", "generator={use: vae, width: 8}"])).parameters.values())
    rows = {line.split()[0]: line.split() for line in out.splitlines()}
    assert rows["vae-seed-1"][1] == f"{size:,}"
    assert rows["vae-seed-1"][-1] == rows["gmm-seed-0"][-1] == "fits"
    assert "note: gmm-seed-0, gmm-seed-1: nothing to train" in out
    assert "all 4 cells fit" in out
    code, out, err = wavekit("check", path, "-s", "grid.seed=[0, x]")
    assert code == 2
    assert [line.split()[-2:] for line in out.splitlines() if "-x" in line] == [["1", "fault"]] * 2
    assert "seed of a recipe is 'x'" in err


def test_a_grid_is_not_loaded_as_one_recipe(recipe):
    path = recipe(f"{GMM}grid: {{seed: [0, 1]}}\n")
    with pytest.raises(RecipeFaults, match=r"grid of 2 cells"):
        load(path)
    assert load(path, ["grid=null"]).seed == 0


# --- running


def test_cells_are_runs_and_their_table_is_a_comparison(grid, tmp_path):
    run = grid("{generator.components: [2, 3], seed: [0, 1]}", GMM + "evaluate: [{use: nearest}]\n")
    folder = tmp_path / "g"
    told = run(folder)
    names = [cell.name for cell in run.cells]
    assert told.about_cells() == [f"cell {i} of 4: {name}" for i, name in enumerate(names, 1)]
    assert sorted(path.name for path in (folder / "cells").iterdir()) == sorted(names)
    runs = [RunFolder(folder / "cells" / name) for name in names]
    assert all(one.finished for one in runs)
    assert json.loads((folder / "table.json").read_text()) == json.loads(json.dumps(compare_rows(runs)))
    assert b"components-3-seed-1" in (folder / "report.html").read_bytes()
    assert set(listing(folder)) == {"grid.yaml", "grid.json", "table.json", "report.html"}
    facts = json.loads((folder / "grid.json").read_text())
    assert facts["cells"][3]["settings"] == {"generator.components": 3, "seed": 1}
    assert facts["cells"][3]["recipe"] == runs[3].lock()["recipe"]
    before = times(folder)
    assert run(folder).lines == [f"{folder}: all 4 cells are finished, nothing to do"]
    assert times(folder) == before


def test_a_grid_stands_for_its_finished_cells(grid, tmp_path):
    grid("{seed: [0, 1]}")(tmp_path / "g", cell="seed-1")
    assert [folder.path.name for folder in runs_in(tmp_path / "g")] == ["seed-1"]
    assert [folder.path for folder in runs_in(tmp_path / "other")] == [tmp_path / "other"]
    shutil.rmtree(tmp_path / "g" / "cells" / "seed-1")
    with pytest.raises(RecipeError, match="is a grid without a finished cell"):
        runs_in(tmp_path / "g")


def test_the_recipe_of_a_cell_runs_by_itself_to_the_same_bytes(grid, recipe, tmp_path, tiny_gan):
    run = grid("{train.steps: [2, 4], seed: [5]}", TINY)
    run(tmp_path / "g")
    cell = tmp_path / "g" / "cells" / "steps-4-seed-5"
    alone = load(cell / "recipe.yaml")
    start(alone, b"", tmp_path / "alone", torch.device("cpu"), Watcher())
    assert results(tmp_path / "alone") == results(cell)


def test_a_diverging_cell_does_not_stop_the_others(grid, tmp_path, tiny_gan):
    run = grid("{generator.fault_at: [0, 3, 2, 100]}", TINY)
    told = run(tmp_path / "g")
    assert told.fault.exit_code == DivergedError.exit_code
    assert "2 of 4 cells failed: fault_at-3, fault_at-2; the first: step 3: " in str(told.fault)
    assert "the last good checkpoint is step 2" in str(told.fault)
    assert [line.split(":")[0] for line in told.about_cells()] == [
        "cell 1 of 4",
        "cell 2 of 4",
        "cell fault_at-3",
        "cell 3 of 4",
        "cell fault_at-2",
        "cell 4 of 4",
    ]
    table = json.loads((tmp_path / "g" / "table.json").read_text())
    assert set(table["runs"]) == {"fault_at-0", "fault_at-100"}
    again = run(tmp_path / "g")
    assert again.about_cells()[0] == "cell 1 of 4: fault_at-0 is finished"
    assert again.fault.exit_code == DivergedError.exit_code


def test_the_exit_code_is_that_of_the_first_failure(grid, tmp_path):
    run = grid("{seed: [0, 1, 2, 3]}")

    def failing(cell, folder):
        if cell.name == "seed-1":
            raise BusyError("is busy")
        if cell.name == "seed-2":
            raise DivergedError("is nan")
        run_cell(cell, folder)

    told = run(tmp_path / "g", failing)
    assert told.fault.exit_code == BusyError.exit_code
    assert RunFolder(tmp_path / "g" / "cells" / "seed-3").finished


def test_a_crash_of_one_cell_is_raised_after_the_others_ran(grid, tmp_path):
    run = grid("{seed: [0, 1]}")

    def crashing(cell, folder):
        if cell.name == "seed-0":
            raise ZeroDivisionError("of a plugin")
        run_cell(cell, folder)

    with pytest.raises(ZeroDivisionError, match="of a plugin"):
        run(tmp_path / "g", crashing)
    assert RunFolder(tmp_path / "g" / "cells" / "seed-1").finished


def test_an_interruption_stops_at_once(grid, tmp_path):
    run = grid("{seed: [0, 1, 2]}")
    seen = []

    def interrupted(cell, folder):
        seen.append(cell.name)
        if cell.name == "seed-1":
            raise Interrupted(signal.SIGTERM)
        run_cell(cell, folder)

    with pytest.raises(Interrupted):
        run(tmp_path / "g", interrupted)
    assert seen == ["seed-0", "seed-1"]
    assert run(tmp_path / "g").fault is None


def test_a_cell_that_another_process_runs_is_passed_over(grid, tmp_path):
    run = grid("{seed: [0, 1, 2]}")
    run(tmp_path / "g", cell="seed-2")
    with owned(tmp_path / "g" / "cells" / "seed-0"):
        told = run(tmp_path / "g")
    assert told.fault.exit_code == BusyError.exit_code
    assert RunFolder(tmp_path / "g" / "cells" / "seed-1").finished


def test_one_cell_runs_alone(grid, tmp_path):
    run = grid("{seed: [0, 1, 2]}")
    assert run(tmp_path / "g", cell="seed-2").fault is None
    assert os.listdir(tmp_path / "g" / "cells") == ["seed-2"]
    assert set(json.loads((tmp_path / "g" / "table.json").read_text())["runs"]) == {"seed-2"}
    assert run(tmp_path / "g", cell="seed-0").fault is None
    assert list(json.loads((tmp_path / "g" / "table.json").read_text())["runs"]) == ["seed-0", "seed-2"]
    told = run(tmp_path / "g", cell="seed-3")
    assert "no cell 'seed-3'; did you mean" in str(told.fault)
    told = run(tmp_path / "g")
    assert told.about_cells() == [
        "cell 1 of 3: seed-0 is finished",
        "cell 2 of 3: seed-1",
        "cell 3 of 3: seed-2 is finished",
    ]


def test_a_process_waits_for_another_one_that_writes_the_table(grid, tmp_path):
    run = grid("{seed: [0]}")
    run(tmp_path / "g", cell="seed-0")
    held, order = threading.Event(), []

    def hold():
        with owned(tmp_path / "g"):
            held.set()
            time.sleep(0.3)
            order.append("other")

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    with GridFolder(tmp_path / "g").writing():
        order.append("this")
    other.join()
    assert order == ["other", "this"]


def test_every_cell_finds_the_threads_that_the_first_one_found(grid, tmp_path):
    seen = []

    def changing(cell, folder):
        seen.append(torch.get_num_threads())
        run_cell(cell, folder)
        torch.set_num_threads(3)

    grid("{seed: [0, 1, 2]}")(tmp_path / "g", changing)
    assert seen == [1, 1, 1]
    assert torch.get_num_threads() == 1


def test_what_a_killed_writer_left_of_a_finished_cell_is_put_right(grid, tmp_path):
    run = grid("{seed: [0, 1]}")
    run(tmp_path / "g")
    cell = tmp_path / "g" / "cells" / "seed-1"
    (cell / "report.html").rename(cell / ".tmp-report.html")
    run(tmp_path / "g")
    assert (cell / "report.html").exists()
    assert not list((tmp_path / "g").rglob(".tmp-*"))


def test_verify_checks_the_grid_and_its_cells(grid, tmp_path):
    run = grid("{seed: [0, 1, 2]}")
    run(tmp_path / "g", cell="seed-1")
    folder = GridFolder(tmp_path / "g")
    assert {name: found.fingerprint for name, found in folder.verify().items()} == {
        "seed-1": RunFolder(folder.cell("seed-1")).fingerprint()
    }
    for victim in (folder.path / "table.json", folder.cell("seed-1") / "resolved.yaml"):
        content = victim.read_bytes()
        victim.write_bytes(content[:-1] + b"?")
        with pytest.raises(DamagedError, match=victim.name):
            folder.verify()
        victim.write_bytes(content)


def test_a_damaged_cell_is_told_of_and_the_others_run(grid, tmp_path):
    run = grid("{seed: [0, 1]}")
    run(tmp_path / "g", cell="seed-0")
    lock = tmp_path / "g" / "cells" / "seed-0" / "lock.json"
    lock.write_bytes(lock.read_bytes()[:-2])
    told = run(tmp_path / "g")
    assert told.fault.exit_code == 5
    assert "lock.json" in str(told.fault)
    assert RunFolder(tmp_path / "g" / "cells" / "seed-1").finished


# --- folders that hold something else


def test_another_grid_is_refused_with_the_difference(grid, tmp_path):
    run = grid("{seed: [0, 1], generator.components: [2]}")
    run(tmp_path / "g", cell="seed-0-components-2")
    before = times(tmp_path / "g")
    text = str(run(tmp_path / "g", settings=["grid.seed=[0, 2]"]).fault)
    assert "holds another grid" in text
    assert "-  cell seed-1-components-2" in text
    assert "+  cell seed-2-components-2" in text
    assert "cell seed-0" not in text
    text = str(run(tmp_path / "g", settings=["samples.count=12"]).fault)
    assert "≠  cell seed-0-components-2" in text
    assert "-  count: 10\n+  count: 12" in text
    assert times(tmp_path / "g") == before


def test_a_run_and_a_foreign_folder_are_refused(grid, tmp_path):
    run = grid("{seed: [0, 1]}")
    run_cell(run.cells[0], tmp_path / "run")
    assert "holds a run, not a grid" in str(run(tmp_path / "run").fault)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    assert "is not empty" in str(run(tmp_path / "other").fault)
    run(tmp_path / "g", cell="seed-0")
    with pytest.raises(RecipeError, match="not empty"):
        run_cell(run.cells[0], tmp_path / "g")


# --- killed and started again

KILLED = """
name: killed
data: {use: digits, size: 8}
generator: {use: tiny-gan}
train: {steps: 8, batch_size: 32, shards: 2, ema: 0.9, checkpoint_every: 3, log_every: 2}
samples: {count: 10}
grid: {generator.width: [4, 8], seed: [3]}
"""


def of_cells(grid: Path) -> dict[str, dict[str, bytes]]:
    return {cell.name: results(cell) for cell in sorted((grid / "cells").iterdir())}


@pytest.fixture(scope="module")
def undisturbed(driven, tmp_path_factory) -> tuple[Path, dict[str, dict[str, bytes]]]:  # noqa: F811
    folder = tmp_path_factory.mktemp("undisturbed")
    path = folder / "killed.yaml"
    path.write_text(KILLED)
    assert driven("run", path, "--out", folder / "g", log=folder / "log") == 0, (folder / "log").read_text()
    return path, of_cells(folder / "g")


def test_killed_at_random_steps_it_ends_with_the_same_bytes(driven, undisturbed, tmp_path):  # noqa: F811
    path, expected = undisturbed
    assert len(expected) == 2
    rng, killed = random.Random(1), 0
    grid, log = tmp_path / "g", tmp_path / "log"
    for _ in range(3):  # a cell takes 16 losses of the critic
        killed += driven("run", path, "--out", grid, log=log, KILL_AT=rng.randint(1, 16)) == -9
    assert killed >= 2
    assert driven("run", path, "--out", grid, log=log) == 0, log.read_text()
    assert of_cells(grid) == expected
    assert not [*grid.rglob(".tmp-*"), *grid.rglob(".trash-*"), *grid.rglob(".*.lock")]
    assert set(json.loads((grid / "table.json").read_text())["runs"]) == set(expected)


def test_sigterm_ends_with_143_and_the_cell_goes_on(driven, undisturbed, tmp_path):  # noqa: F811
    path, expected = undisturbed
    grid, log = tmp_path / "g", tmp_path / "log"
    assert driven("run", path, "--out", grid, log=log, TERM_AT=2 * 4 + 1) == 143
    assert "saved at step 5" in log.read_text()
    assert os.listdir(grid / "cells") == ["width-4-seed-3"]
    assert driven("run", path, "--out", grid, "--cell", "width-8-seed-3", log=log) == 0
    assert driven("run", path, "--out", grid, log=log) == 0
    assert "cell 2 of 2: width-8-seed-3 is finished" in log.read_text()
    assert of_cells(grid) == expected


def test_the_command_tells_of_cells_and_prints_their_means(wavekit, recipe, tmp_path):
    path = recipe(f"name: two\n{GMM}evaluate: [{{use: nearest}}]\ngrid: {{seed: [0, 1]}}\n")
    code, out, err = wavekit("run", path)
    assert code == 0, err
    assert "cell 2 of 2: seed-1" in err
    assert "nearest" in out
    assert "seed-0 (2 runs)" in out
    assert out.splitlines()[-1] == "runs/two/report.html"
    code, out, _ = wavekit("show", "runs/two")
    assert (code, out.splitlines()[0]) == (0, "runs/two: a grid of 2 cells, 2 finished")
    code, out, _ = wavekit("compare", "runs/two")
    assert code == 0
    assert "seed-0" in out
    assert "seed-1" in out
    assert wavekit("compare", "runs/two", "runs/two/cells/seed-0")[0] == 2  # the cell is named twice
    for command in ("sample", "evaluate", "report"):
        code, _, err = wavekit(command, "runs/two")
        assert (code, err) == (2, "error: runs/two: is a grid; name one of its cells: runs/two/cells/seed-0\n")
    code, out, _ = wavekit("verify", "runs/two")
    assert (code, out.splitlines()[-1]) == (0, "runs/two: 2 cells, every digest as written")
    code, _, err = wavekit("run", path)
    assert (code, err) == (0, "runs/two: all 2 cells are finished, nothing to do\n")
    assert wavekit("run", path, "--extend", "3")[0] == 2
    code, _, err = wavekit("run", path, "-s", "grid=null", "--cell", "seed-0")
    assert code == 2
    assert "is no grid" in err


@pytest.mark.long
def test_killed_before_any_rename_it_ends_whole(grid, tmp_path):
    run = grid("{seed: [0, 1]}")
    run(tmp_path / "whole")

    def prints(folder):
        return {cell.name: RunFolder(folder / "cells" / cell.name).fingerprint() for cell in run.cells}

    expected = prints(tmp_path / "whole")
    for number in range(1, 100):
        folder = tmp_path / f"g{number}"
        child = os.fork()
        if child == 0:
            rename, seen = os.rename, []

            def killing(*args, rename=rename, seen=seen, number=number):
                seen.append(args)
                if len(seen) == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                rename(*args)

            os.rename = killing
            os._exit(0 if run(folder).fault is None else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, -signal.SIGKILL)
        assert run(folder).fault is None
        assert prints(folder) == expected
        assert set(listing(folder)) == {"grid.yaml", "grid.json", "table.json", "report.html"}
        assert set(json.loads((folder / "table.json").read_text())["runs"]) == set(expected)
        assert not list(tmp_path.rglob(".tmp-*"))
        if status == 0:
            break
    assert number > 20
