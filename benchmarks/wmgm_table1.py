"""Table 1 and Figure 4 of WMGM's paper beside ours: `python benchmarks/wmgm_table1.py GRID… --json FILE --picture FILE`.

Reads the finished cells of grids that `wavekit run wmgm-table1` left: a row a system, sampler and number of steps, as means over
seeds with the standard deviation of a sample, and the paper's cell as ratios of WMGM to the score model on pixels. The distance
is Fréchet's where the grid measures it, otherwise the sliced Wasserstein distance.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Plot
from results import publish

from wavekit_core.compare.collect import Run, collect
from wavekit_core.compare.comparison import FACTS
from wavekit_core.grid.folder import GridFolder
from wavekit_core.runs.folder import RunFolder

PAPER = {"distance": 0.34, "seconds for 100 images": 0.15, "parameters for drawing": 0.56}  # 16 steps, uniform grid
SAMPLERS = {"em": "Euler–Maruyama, uniform", "best": "DPM-Solver++(2M), log-SNR"}
Cell = tuple[str, str, int]
Measured = dict[Cell, dict[str, list[float]]]


def measured(grid: GridFolder) -> tuple[Measured, list[Run]]:
    """Values over seeds by system, sampler and steps."""
    found: Measured = defaultdict(lambda: defaultdict(list))
    runs = []
    for cell in grid.facts().cells:
        folder = RunFolder(grid.cell(cell.name))
        if not (folder.exists and folder.finished):
            continue
        run = collect(folder, cell.name)
        runs.append(run)
        settings = cell.settings
        values = found[settings["system"], settings["sampler"], int(settings["sampler.steps"])]
        for row in run.newest["figures"] if run.newest else ():
            if row["subject"] == "model":
                values[row["name"].partition("[")[0]].append(row["value"])
        for name in ("seconds for 100 images", "evaluations", "training seconds", "FLOPs"):
            if (value := FACTS[name](run)) is not None:
                values[name].append(float(value))
        counts = run.lock["parameters"]
        values["distance"].append((values["gfd"] or values["swd"])[-1])
        values["parameters for drawing"].append(sum(n for key, n in counts.items() if "critic" not in key))
    return found, runs


def text(values: list[float]) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4g}{spread}"


def rows_of(found: Measured) -> list[dict[str, Any]]:
    rows = []
    for (system, sampler, steps), values in found.items():
        rows.append(
            {
                "name": f"{system}, {SAMPLERS[sampler]}, {steps} steps",
                "value": statistics.mean(values["distance"]),
                "unit": "gfd" if values["gfd"] else "swd",
                "gfd": text(values["gfd"]),
                "swd": text(values["swd"]),
                "finest band": text(values["swd/d1"]),
                "coarsest": text(values["swd/cA2"]),
                "nearest": text(values["nearest-ratio"]),
                "evaluations": text(values["evaluations"]),
                "s / 100 images": text(values["seconds for 100 images"]),
                "training s": text(values["training seconds"]),
                "TFLOP": text([value / 1e12 for value in values["FLOPs"]]),
                "parameters": f"{values['parameters for drawing'][0]:,.0f}",
                "seeds": len(values["distance"]),
            }
        )
    for base_name, sampler, steps in product(("sgm", "sgm-flops", "wsgm"), SAMPLERS, (4, 16, 64)):
        ours, base = found.get(("wmgm", sampler, steps)), found.get((base_name, sampler, steps))
        for name, paper in PAPER.items():
            if name.startswith("parameters") and (sampler, steps) != ("em", 16):
                continue  # they are the same in every cell
            if not ours or not base or not ours[name] or not base[name]:
                continue
            pairs = [a / b for a, b in zip(ours[name], base[name], strict=False)]
            row: dict[str, Any] = {
                "name": f"wmgm / {base_name}: {name}, {SAMPLERS[sampler]}, {steps} steps",
                "value": statistics.mean(pairs),
                "unit": "ratio",
                "±": f"{statistics.stdev(pairs):.2g}" if len(pairs) > 1 else "",
                "seeds": len(pairs),
            }
            if (base_name, sampler, steps) == ("sgm", "em", 16):
                row["paper"] = paper
            rows.append(row)
    return rows


def drawn(found: Measured) -> Plot:
    """Fréchet distance, and the sliced Wasserstein distances of the coarsest and the finest band, against seconds for 100
    images."""
    figure = Plot(figsize=(12, 3.8), layout="constrained")
    looks = {"sgm": "C0", "wsgm": "C1", "wmgm": "C2"}
    frechet = any(values["gfd"] for values in found.values())
    first = "Fréchet distance [lenet-fashion]" if frechet else "W1 of a coefficient"
    titles = {"distance": first, "swd/cA2": "W1, approximation", "swd/d1": "W1, finest details"}
    for place, (name, title) in enumerate(titles.items(), 1):
        axes = figure.add_subplot(1, 3, place)
        for system, colour in looks.items():
            for sampler, style in (("em", "o--"), ("best", "s-")):
                points = [
                    (statistics.mean(v["seconds for 100 images"]), statistics.mean(v[name]))
                    for (s, how, _), v in found.items()
                    if (s, how) == (system, sampler) and v["seconds for 100 images"]
                ]
                if points:
                    xs, ys = zip(*points, strict=True)
                    axes.plot(xs, ys, style, color=colour, label=f"{system}, {SAMPLERS[sampler].split(',')[0]}")
        axes.set(xscale="log", yscale="log", xlabel="seconds for 100 images (4, 16, 64 steps)", title=title)
        axes.grid(alpha=0.3)
        if place == 1:
            axes.legend(fontsize=7)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("grids", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--note", default="", help="what the data are, for the page of results")
    given = parser.parse_args()
    found: Measured = {}
    runs: list[Run] = []
    for path in given.grids:
        more, others = measured(GridFolder(path))
        found, runs = found | more, runs + others
    rows = rows_of(found)
    for row in rows:
        print(row["name"], f"{row['value']:.4g}", row.get("s / 100 images", ""), row.get("paper", ""))
    publish(
        given.json,
        "Table 1 and Figure 4 of WMGM's paper, at small scale",
        f"wavekit run {given.grids[0].name}; python benchmarks/wmgm_table1.py runs/{given.grids[0].name}",
        rows,
        commit=runs[0].lock["git"],
        note=f"{given.note} About 200 s of training each on one idle core, without classes; averaged weights; sgm-flops "
        "is sgm at the FLOPs of wmgm. Means over seeds ± deviation. The critic does not draw. swd is W1 of a coefficient.",
    )
    if given.picture:
        drawn(found).savefig(given.picture, dpi=110)


if __name__ == "__main__":
    main()
