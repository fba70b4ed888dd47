"""The folder of a grid: what stands in it, and how it is made, compared and kept up to date."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from wavekit_core.errors import BusyError, RecipeError
from wavekit_core.grid.check import examine, read, require_whole
from wavekit_core.grid.claims import Claim
from wavekit_core.recipe import resolved
from wavekit_core.recipe.grid import Cell
from wavekit_core.recipe.recipe import Recipe
from wavekit_core.runs import forms, manifest
from wavekit_core.runs.folder import RunFolder
from wavekit_core.runs.owner import owned
from wavekit_core.runs.publish import disk_faults, publish_folder, publish_listed, roll_forward, sweep_beside
from wavekit_core.runs.verify import Verified, verify

PATIENCE = 60.0  # seconds to wait for another process that writes a file at the top
MAX_LINES = 10  # of a difference


class CellFacts(BaseModel):
    """A cell in grid.json: its settings, and the digest of its recipe."""

    model_config = forms.STRICT

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    settings: dict[str, Any]
    recipe: forms.Sha256


class GridFacts(BaseModel):
    """grid.json."""

    model_config = forms.STRICT

    format: Annotated[int, Field(ge=forms.FORMAT, le=forms.FORMAT)]
    cells: Annotated[list[CellFacts], Field(min_length=1)]
    claims: list[Claim] = []


class GridFolder:
    """Paths and records of a grid. Constructing it reads nothing."""

    def __init__(self, path: Path):
        self.path = path.resolve() if path.is_symlink() else path

    @property
    def exists(self) -> bool:
        return (self.path / "grid.json").exists()

    def cell(self, name: str) -> Path:
        return self.path / "cells" / name

    def file(self, name: str) -> bytes | None:
        """A file at the top, checked; None if there is none yet. Raises DamagedError."""
        listed = manifest.listing(self.path)
        return manifest.read_listed(self.path / name, listed[name]) if name in listed else None

    def facts(self) -> GridFacts:
        """The cells that the grid was started with. Raises DamagedError."""
        return forms.read(GridFacts, self.file("grid.json") or b"", self.path / "grid.json")

    def verify(self) -> dict[str, Verified]:
        """Check the files at the top and every cell that has begun; the cells by their names. Raises DamagedError."""
        for name in manifest.listing(self.path):
            self.file(name)
        begun = [cell.name for cell in self.facts().cells if RunFolder(self.cell(cell.name)).exists]
        return {name: verify(self.cell(name)) for name in begun}

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Own the files at the top, once no other process does. Raises BusyError after a minute."""
        until = time.monotonic() + PATIENCE
        with contextlib.ExitStack() as lock:
            while True:
                try:
                    lock.enter_context(owned(self.path))
                    break
                except BusyError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.05)
            with disk_faults(self.path):
                sweep_beside(self.path)
                if self.exists:
                    roll_forward(self.path)
            yield

    def begun(self, cells: Sequence[Cell], source: bytes, claims: Sequence[Claim] = ()) -> dict[str, str]:
        """The digests of the cells' recipes by their names, in a folder that holds this grid: it is checked whole and made, or
        compared. Other claims of the same cells take the place of those that it holds. Raises RecipeFaults, RecipeError if the
        folder holds something else, with the difference."""
        new = not self.exists
        if new:
            self._require_free()
        require_whole(examined := examine(cells) if new else read(cells))
        recipes = {one.cell.name: one.recipe for one in examined if one.recipe}
        if new:
            facts = [CellFacts(name=c.name, settings=c.settings, recipe=recipes[c.name].digest()) for c in cells]
            content = _json(GridFacts(format=forms.FORMAT, cells=facts, claims=list(claims)).model_dump())
            with self.writing():
                if not self.exists:  # else another process was faster
                    self._require_free()
                    publish_folder(self.path, {"grid.yaml": source, "grid.json": content})
        self._require_same(recipes)
        held = self.facts()
        if held.claims != list(claims):
            with self.writing():
                publish_listed(self.path, "grid.yaml", source)
                publish_listed(self.path, "grid.json", _json(held.model_dump() | {"claims": _plain(claims)}))
        return {name: recipe.digest() for name, recipe in recipes.items()}

    def _require_free(self) -> None:
        if RunFolder(self.path).exists:
            raise RecipeError(f"{self.path}: holds a run, not a grid; name another with --out or -s name=…")
        RunFolder(self.path).require_free()

    def _require_same(self, recipes: dict[str, Recipe]) -> None:
        old = {cell.name: cell.recipe for cell in self.facts().cells}
        lines = [f"-  cell {name}" for name in old if name not in recipes]
        lines += [f"+  cell {name}" for name in recipes if name not in old]
        changed = [name for name in recipes if name in old and old[name] != recipes[name].digest()]
        lines += [f"≠  cell {name}" for name in changed]
        if not lines:
            return
        if len(lines) > MAX_LINES:
            lines[MAX_LINES:] = [f"… and {len(lines) - MAX_LINES} more"]
        begun = [name for name in changed if RunFolder(self.cell(name)).exists]
        if begun:
            then = RunFolder(self.cell(begun[0])).head()["resolved.yaml"].decode()
            lines += [f"in cell {begun[0]}:", *resolved.difference(then, recipes[begun[0]])[:MAX_LINES]]
        raise RecipeError(f"{self.path}: holds another grid; name another with --out or -s name=…\n" + "\n".join(lines))

    def tabulate(self, names: Sequence[str]) -> None:
        """Write table.json and report.html of these cells, unless they stand there."""
        from wavekit_core.compare import compare
        from wavekit_core.compare.rows import rows_of
        from wavekit_core.grid import verdicts

        if not names:
            return
        facts = self.facts()
        settings = {cell.name: cell.settings for cell in facts.cells}
        with self.writing():
            found = compare([RunFolder(self.cell(name)) for name in names])
            rows, claimed = rows_of(found), None
            if facts.claims:
                cells = [(settings[name], run) for name, run in zip(names, found.runs, strict=True)]
                said = verdicts.verdicts(facts.claims, cells)
                claimed = verdicts.cells_of(said)
                rows["claims"] = {
                    "rows": verdicts.rows_of(said),
                    "table": {"head": claimed.head, "lines": claimed.lines},
                }
            table = _json(rows)
            if self.file("table.json") != table or self.file("report.html") is None:
                from wavekit_core.compare.page import page_of  # matplotlib only when it is drawn

                publish_listed(self.path, "report.html", page_of(self.path.name, found, "steps", claimed))
                publish_listed(self.path, "table.json", table)  # last: it says that the page is of now


def runs_in(path: Path) -> list[RunFolder]:
    """The runs that a path stands for: the finished cells of a grid, or itself. Raises DamagedError, and RecipeError for a grid
    that has no finished cell."""
    grid = GridFolder(path)
    if not grid.exists:
        return [RunFolder(path)]
    cells = [RunFolder(grid.cell(cell.name)) for cell in grid.facts().cells]
    finished = [cell for cell in cells if cell.exists and cell.finished]
    if not finished:
        raise RecipeError(
            f"{path}: is a grid without a finished cell; `wavekit run {path / 'grid.yaml'}` goes on with it"
        )
    return finished


def _plain(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    return [claim.model_dump() for claim in claims]


def _json(data: Any) -> bytes:
    return json.dumps(data, indent=1, allow_nan=False).encode() + b"\n"
