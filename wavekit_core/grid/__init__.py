"""A grid of runs: checked whole before the first cell runs, then run cell by cell, however often it is interrupted.

runs/NAME/
  grid.yaml  grid.json       the recipe as given; the cells with their settings and the digest of each one's recipe, and claims
  cells/CELL/                a run folder a cell
  table.json  report.html    the finished cells side by side
  manifest.json              SHA-256 of the files at the top

Cells that train the same weights train them once: the first of them that is finished gives them to the others
(`runs/elsewhere.py`).

Each cell's folder has its own writer. The lock of the grid is held for moments, while a file at the top is written, so several
processes can run cells of one grid at a time.
"""

from wavekit_core.grid.cells import CellsFailed, recipe_text, run_grid
from wavekit_core.grid.check import Examined, examine, require_whole
from wavekit_core.grid.claims import Claim, claims_of, parted
from wavekit_core.grid.folder import GridFolder

__all__ = [
    "CellsFailed",
    "Claim",
    "Examined",
    "GridFolder",
    "claims_of",
    "examine",
    "parted",
    "recipe_text",
    "require_whole",
    "run_grid",
]
