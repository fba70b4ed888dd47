"""The ablation of the noise scale beside the paper's: `python benchmarks/wvae_noise.py runs/wvae-noise --json FILE`.

Reads the grid that `wavekit run wvae-noise` left: for every objective the error of reconstructions with noise, learned s against
fixed ones, and where a learned s stands on its way.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from results import publish

from wavekit_core.runs.folder import RunFolder, json_of

OBJECTIVES = ("paper-l1", "paper-l1-refine", "laplace-elbo")
PAPER = 1.08  # a fixed s = 0.01 "costs about 8 % MSE"


def cell(grid: Path, name: str) -> tuple[float, dict[int, float], float]:
    """Error with noise, s by step, and the likelihood's sigma at the end."""
    folder = RunFolder(grid / "cells" / name)
    figures = json_of(folder.head()["evaluation.json"], folder.path)["figures"]
    rows = folder.rows()
    scales = {row["step"]: row["elbo/noise/all"] for row in rows}
    return next(row["value"] for row in figures if row["name"] == "mse"), scales, rows[-1]["elbo/sigma"]


def rows(grid: Path) -> list[dict[str, Any]]:
    found = []
    for objective in OBJECTIVES:
        learned, scales, sigma = cell(grid, f"{objective}-learned")
        last = max(scales)
        at = {step: scales[step] for step in (1000, last // 2, last)}
        said = ", ".join(f"{value:.4f} at {step:,}" for step, value in at.items())
        common = {"learned": learned, "s when learned": said, "sigma": sigma}
        for fixed in ("0.01", "0.1"):
            error = cell(grid, f"{objective}-fixed-{fixed}")[0]
            row = {"name": f"{objective}: mse, s fixed at {fixed}", "unit": "of learned", "fixed": error, **common}
            row["value"] = error / learned
            row["s² of the fixed"] = float(fixed) ** 2
            found.append(row | ({"paper": PAPER} if fixed == "0.01" else {}))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grid", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = rows(given.grid)
    for row in found:
        beside = f", the paper's {row['paper']}" if "paper" in row else ""
        print(
            f"{row['name']}: {row['fixed']:.4g} against {row['learned']:.4g}, {row['value']:.3f} {row['unit']}{beside}"
        )
        print(f"  learned s: {row['s when learned']}; sigma {row['sigma']:.4f}")
    publish(
        given.json,
        "The Wavelet-VAE's noise scale, learned and fixed",
        f"python benchmarks/wvae_noise.py runs/{given.grid.name}",
        found,
        commit=RunFolder(next((given.grid / "cells").iterdir())).lock()["git"],
        note="Digits, 16 pixels, full pyramids, one seed; errors of reconstructions with noise, averaged weights.",
    )


if __name__ == "__main__":
    main()
