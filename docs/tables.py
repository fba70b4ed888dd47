"""Writes the tables of the documentation from the files in `docs/results/`.

A page holds `<!-- results: NAME -->` … `<!-- end -->`; what stands between them is made from `docs/results/NAME.json`:
rows of {name, value, unit, count, floor, …} under "figures", for the model and the control, as `wavekit evaluate --json` writes.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(<!-- results: ([\w-]+) -->\n).*?(<!-- end -->)", re.S)


def table(name: str) -> str:
    """The Markdown table of one result file."""
    result = json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text())
    control = {row["name"]: row for row in result["figures"] if row["subject"] == "control"}
    head = ["figure", "model", *(["control"] if control else []), "real images"]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for row in result["figures"]:
        if row["subject"] != "model":
            continue
        beside = [_number(control.get(row["name"], {}).get("value"))] if control else []
        best = "best near the real" if row["better"] == "real" else f"{row['better']} is better"
        label = f"`{row['name']}` ({row['unit']}, {best})"
        lines.append("| " + " | ".join([label, _number(row["value"]), *beside, _number(row["floor"])]) + " |")
    counts = sorted({row["count"] for row in result["figures"]})
    note = (
        f"`{result['command']}`, seed {result['seed']}, {' and '.join(map(str, counts))} images; {result['machine']}."
    )
    return "\n".join(lines) + f"\n\n{note}\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def renewed(text: str) -> str:
    """A page with every table made anew."""
    return BLOCK.sub(lambda match: match[1] + table(match[2]) + match[3], text)


if __name__ == "__main__":
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]:
        page.write_text(renewed(page.read_text()))
