"""Table 1 of the Wavelet-VAE's paper beside ours: `python benchmarks/wvae_table1.py GRID… --json FILE`.

Reads grids that `wavekit run wvae-table1`, `wvae-table1-cifar` and `wvae-table1-crops` left, and sets the Wavelet-VAE's figures
in proportion to the VAE's, as means over seeds with the standard deviation of a sample.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from results import publish

from wavekit_core.recipe.source import parse
from wavekit_core.runs.folder import RunFolder, json_of

# the paper's Table 1, CIFAR-10 at 128 pixels: 0.038 / 0.045, 0.79 - 0.70, 28.1 / 32.5 (its FID names no sampler)
PAPER = {"mse": 0.84, "ssim": 0.09, "rfd": 0.86}
SHOWN = ("mse", "bce", "ssim", "psnr", "bits-per-dim", "rfd", "gfd", "class-agreement", "nearest-ratio", "spectrum")
DIFFERENCES = ("ssim", "psnr", "bits-per-dim", "class-agreement")  # the others are ratios


def figures(grid: Path, system: str, step: int | None = None) -> tuple[dict[str, list[float]], dict[str, Any], str]:
    """Values by figure over the seeds of one system, the facts of its first run, and what data it used; at the end, or as far as
    `wavekit evaluate CELL --at` measured them at `step`."""
    values: dict[str, list[float]] = {}
    lock: dict[str, Any] = {}
    data = ""
    for path in sorted((grid / "cells").glob(f"{system}-seed-*")):
        folder = RunFolder(path)
        head = folder.head()
        lock = lock or folder.lock()
        recipe = parse(head["resolved.yaml"].decode(), str(path)).plain()
        data = f"{recipe['data']['use']}, {lock['space']['height']} px"
        at_end = json_of(head["evaluation.json"], path)
        for row in (at_end if step is None else folder.evaluation(step))["figures"]:
            if row["subject"] == "model":
                values.setdefault(row["name"], []).append(row["value"])
    return values, lock, data


def rows(grid: Path) -> list[dict[str, Any]]:
    vae, vae_facts, data = figures(grid, "vae")
    wvae, wvae_facts, _ = figures(grid, "wvae")
    found = [
        {
            "name": f"{data}: parameters",
            "unit": "Wavelet-VAE / VAE",
            "VAE": f"{sum(vae_facts['parameters'].values()):,}",
            "Wavelet-VAE": f"{sum(wvae_facts['parameters'].values()):,}",
            "value": sum(wvae_facts["parameters"].values()) / sum(vae_facts["parameters"].values()),
            "latent": f"{vae_facts['latent']} and {wvae_facts['latent']}",
        }
    ]
    for name in vae:
        if (key := name.partition("[")[0]) not in SHOWN or name not in wvae:
            continue
        one, other = statistics.mean(wvae[name]), statistics.mean(vae[name])
        row: dict[str, Any] = {
            "name": f"{data}: {name}",
            "unit": "difference" if key in DIFFERENCES else "Wavelet-VAE / VAE",
            "VAE": _spread(vae[name]),
            "Wavelet-VAE": _spread(wvae[name]),
            "value": one - other if key in DIFFERENCES else one / other,
            "seeds": len(vae[name]),
        }
        found.append(row | ({"paper": PAPER[key]} if key in PAPER else {}))
    return found + _at_equal_steps(grid, data, wvae, wvae_facts["steps"])


def _at_equal_steps(grid: Path, data: str, wvae: dict[str, list[float]], step: int) -> list[dict[str, Any]]:
    """The paper's figures again, if the VAE was measured where the Wavelet-VAE ended."""
    if not all((path / "evaluations" / f"step-{step:08d}").exists() for path in (grid / "cells").glob("vae-seed-*")):
        return []
    vae, _, _ = figures(grid, "vae", step)
    found = []
    for name in vae:
        if (key := name.partition("[")[0]) in PAPER:
            one, other = statistics.mean(wvae[name]), statistics.mean(vae[name])
            difference = key in DIFFERENCES
            row = {"name": f"{data}: {name}, both at step {step:,}", "VAE": _spread(vae[name])}
            row |= {"unit": "difference" if difference else "Wavelet-VAE / VAE", "Wavelet-VAE": _spread(wvae[name])}
            value = one - other if difference else one / other
            found.append(row | {"value": value, "seeds": len(vae[name]), "paper": PAPER[key]})
    return found


def _spread(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.4g}"
    return f"{mean} ± {statistics.stdev(values):.2g}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grids", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = [row for grid in given.grids for row in rows(grid)]
    for row in found:
        beside = f", the paper's {row['paper']}" if "paper" in row else ""
        print(f"{row['name']}: {row['VAE']} → {row['Wavelet-VAE']}, {row['unit']} {row['value']:.3f}{beside}")
    grids = " ".join(f"runs/{grid.name}" for grid in given.grids)
    publish(
        given.json,
        "Table 1 of the Wavelet-VAE's paper, at small scale",
        f"python benchmarks/wvae_table1.py {grids}",
        found,
        commit=RunFolder(next((given.grids[0] / "cells").iterdir())).lock()["git"],
        note="Equal trunk, latent size and training time; averaged weights; images rounded to 8 bits. gfd and "
        "class-agreement are of samples by posterior-fit.",
    )


if __name__ == "__main__":
    main()
