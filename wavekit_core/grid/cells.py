"""Running a grid cell by cell, however often it is interrupted."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from wavekit_core.errors import DamagedError, RecipeError, WavekitError
from wavekit_core.grid.claims import Claim
from wavekit_core.grid.folder import GridFolder
from wavekit_core.recipe import resolved
from wavekit_core.recipe.grid import Cell
from wavekit_core.registry import nearest
from wavekit_core.runs.folder import RunFolder
from wavekit_core.runs.owner import owned
from wavekit_core.runs.publish import TEMPORARY
from wavekit_core.watch import Watcher

PAUSE = 10  # between tables, in times that one takes: of many small cells most of the time would go into them


class CellsFailed(WavekitError):
    """Some cells of a grid failed. The exit code is that of the first."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def recipe_text(cell: Cell) -> bytes:
    """The recipe of one cell as a file that runs by itself."""
    return f"# cell {cell.name} of a grid\n{resolved.values_text(cell.value.plain())}".encode()


def run_grid(
    cells: Sequence[Cell],
    source: bytes,
    folder: Path,
    run_cell: Callable[[Cell, Path], None],
    watcher: Watcher,
    cell: str | None = None,
    claims: Sequence[Claim] = (),
) -> None:
    """Run the cells of a grid in a folder, one after the other, or the one named `cell`. The table sets `claims` beside them.

    `run_cell(cell, folder)` begins a run there or goes on with it, and owns its folder. Finished cells are passed over. A cell
    that fails is told of and the others run; an interruption ends the grid at once, and the same call goes on. `source` is the
    recipe as given. Raises RecipeFaults before anything runs if a cell is at fault, RecipeError for a folder that holds
    something else, CellsFailed with the exit code of the first cell that failed.
    """
    if cell is not None and cell not in (names := [one.name for one in cells]):
        near = nearest(cell, names)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(names[:12])}{', …' * (len(names) > 12)}"
        raise RecipeError(f"the grid has no cell {cell!r}; {hint}")
    grid = GridFolder(folder)
    digests = grid.begun(cells, source, claims)
    progress = _Progress(grid, digests, watcher)
    if cell is not None:
        run_cell(next(one for one in cells if one.name == cell), grid.cell(cell))
        progress.table()
        return
    if progress.all_finished():
        grid.tabulate(list(digests))
        watcher.say(f"{folder}: all {len(cells)} cells are finished, nothing to do")
        return
    threads = torch.get_num_threads()
    for number, one in enumerate(cells, 1):
        where = f"cell {number} of {len(cells)}: {one.name}"
        with progress.failing(one.name):
            if progress.settled(one.name):
                watcher.say(f"{where} is finished")
                continue
            watcher.say(where)
            run_cell(one, grid.cell(one.name))
            if number < len(cells):
                progress.table()
        torch.set_num_threads(threads)  # a run without a thread count of its own takes what it finds
    progress.end()


class _Progress:
    """What has become of the cells."""

    def __init__(self, grid: GridFolder, digests: dict[str, str], watcher: Watcher):
        self.grid, self.digests, self.watcher = grid, digests, watcher
        self.done: set[str] = set()
        self.failures: dict[str, Exception] = {}
        self.next_table = 0.0

    def finished(self, name: str) -> bool:
        """Whether a cell is. Raises DamagedError."""
        if name not in self.done:
            run = RunFolder(self.grid.cell(name))
            if run.exists and run.lock()["recipe"] == self.digests[name] and run.finished:
                self.done.add(name)
        return name in self.done

    def settled(self, name: str) -> bool:
        """Whether a cell is finished and nothing is left of a writer that was killed right before it ended."""
        if not self.finished(name):
            return False
        run = RunFolder(self.grid.cell(name))
        if any(run.path.glob(f"{TEMPORARY}*")):
            with owned(run.path):
                run.tidy()
        return True

    def all_finished(self) -> bool:
        try:
            return all(map(self.settled, self.digests))
        except WavekitError:  # it is told of when its turn comes
            return False

    def table(self) -> None:
        """Write the table of the cells that are finished so far, by whatever process. A fault of it ends no grid."""
        started = time.monotonic()
        if started < self.next_table:
            return
        try:
            self.grid.tabulate(self._finished())
        except Exception as error:
            self.watcher.warn(
                f"{self.grid.path}: the table is not of now: {error}; the same command writes it at the end"
            )
        ended = time.monotonic()
        self.next_table = ended + PAUSE * (ended - started)

    def _finished(self) -> list[str]:
        found = []
        for name in self.digests:
            with contextlib.suppress(DamagedError):
                found += [name] * self.finished(name)
        return found

    @contextlib.contextmanager
    def failing(self, name: str) -> Iterator[None]:
        """Note what a cell raises, and go on."""
        try:
            yield
        except Exception as error:
            self.failures[name] = error
            self.watcher.warn(
                f"cell {name}: {type(error).__name__}: {error}" if _foreign(error) else f"cell {name}: {error}"
            )
            raised: BaseException | None = error
            while raised is not None:  # what its frames hold, a model on a device for one, would stay for as long
                traceback.clear_frames(raised.__traceback__)
                raised = raised.__cause__ or raised.__context__

    def end(self) -> None:
        """Write the table and say which cells failed. Raises CellsFailed, or the first failure if it is no WavekitError."""
        self.grid.tabulate(self._finished())
        if not self.failures:
            return
        first = next(iter(self.failures.values()))
        failed = f"{len(self.failures)} of {len(self.digests)} cells failed: {', '.join(self.failures)}"
        if _foreign(first):
            self.watcher.warn(failed)
            raise first
        message = f"{self.grid.path}: {failed}; the first: {first}; the same command tries them again"
        raise CellsFailed(message, getattr(first, "exit_code", 1)) from first


def _foreign(error: Exception) -> bool:
    return not isinstance(error, WavekitError)
