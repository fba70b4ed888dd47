"""Writes the tables of the documentation, and the page of all results, from the files in `docs/results/`.

A page holds `<!-- results: NAME -->` … `<!-- end -->`; what stands between them is made from `docs/results/NAME.json`.
`docs/results.md` is made whole: a section a file. A file has one of three forms:

figures   {command, seed, machine, commit, figures: [{subject, name, value, …}]}, of `wavekit evaluate --json`
compare   {title, command, machine, commit, rows: [{figure, run, value, …}], tables, notes}, of `wavekit compare --json`
rows      {title, command, machine, commit, note?, rows: [{name, value, unit, …}]}, of anything else: a column a key;
          `paper` or `peer` is another's value for the same
"""

import json
import re
from pathlib import Path
from typing import Any

from wavekit_core.report.cells import Cells, figure_cells, number

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
BLOCK = re.compile(r"(<!-- results: ([\w-]+) -->\n).*?(<!-- end -->)", re.S)
NAMES = {"name": "figure", "count": "N", "floor": "real images", "paper": "the paper's", "peer": "the peer's"}


def read(name: str) -> dict[str, Any]:
    """One result file. Raises ValueError for one that is in none of the forms."""
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    rows = result.get("figures", result.get("rows"))
    key = "figure" if "tables" in result else "name"
    whole = bool(rows) and all(key in row and "value" in row for row in rows)
    missing = [fact for fact in ("command", "machine", "commit") if not isinstance(result.get(fact), str | None)]
    if not whole or missing or not {"command", "machine", "commit"} <= set(result):
        raise ValueError(f"docs/results/{name}.json is in none of the three forms; see docs/tables.py")
    return result


def cells(result: dict[str, Any]) -> list[Cells]:
    """The tables of a result."""
    if "tables" in result:
        return [Cells(table["head"], table["lines"]) for table in result["tables"]]
    return [figure_cells(result["figures"]) if "figures" in result else _columns(result["rows"])]


def _columns(rows: list[dict[str, Any]]) -> Cells:
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key != "unit"]
    lines = [[_text(_named(row) if key == "name" else row.get(key)) for key in keys] for row in rows]
    return Cells([NAMES.get(key, key) for key in keys], lines)


def _named(row: dict[str, Any]) -> str:
    return f"{row['name']} ({row['unit']})" if row.get("unit") else str(row["name"])


def _text(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    return "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def markdown(table: Cells) -> str:
    """Cells as a Markdown table, the first column to the left."""
    lines = [table.head, ["---"] + ["---:"] * (len(table.head) - 1), *table.lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def table(name: str) -> str:
    """The block of one result file: its table and where it comes from."""
    result = read(name)
    seed = f", seed {result['seed']}" if "seed" in result else ""
    note = f"`{result['command']}`{seed}; {result['machine']}."
    return "\n\n".join([*map(markdown, cells(result)), note]) + "\n"


def section(name: str) -> str:
    """The section of one result file on the page of all results."""
    result = read(name)
    commit = f" Commit {result['commit']}." if result["commit"] else ""
    said = [*([result["note"]] if result.get("note") else []), *result.get("notes", [])]
    notes = "".join(f"\n{note}\n" for note in said)
    return (
        f"## {result.get('title', name)}\n{notes}\n{table(name).rstrip()}{commit} [{name}.json](results/{name}.json)\n"
    )


def page() -> str:
    """docs/results.md."""
    sections = "\n".join(section(path.stem) for path in sorted(RESULTS.glob("*.json")))
    return (
        "# Results\n\nEvery figure that was measured, with the command that gives it. `python docs/tables.py` makes this page "
        "from the files in\n`docs/results/`. “real images” is the same measure between real images; N is the number of "
        f"images measured.\n\n{sections}"
    )


def renewed(text: str) -> str:
    """A page with every table made anew."""
    return BLOCK.sub(lambda match: match[1] + table(match[2]) + match[3], text)


if __name__ == "__main__":
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]:
        if (text := path.read_text()) != renewed(text):
            path.write_text(renewed(text))
    (ROOT / "docs" / "results.md").write_text(page())
