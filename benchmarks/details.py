"""What drawn details are like: `python benchmarks/details.py RUN… --json FILE`.

Reads runs, or the cells of a grid, whose generator is a cascade, draws details for the true approximations of held-out images,
and gives, beside the figures of the run, how much they differ between draws (as a share of the true details' spread) and their
kurtosis beside the true one.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from results import publish
from wavekit_msal_gan.diagnostics import diversity, kurtosis

from wavekit_core import open_run
from wavekit_core.cascade import Cascade
from wavekit_core.grid.folder import runs_in
from wavekit_core.runs.folder import json_of
from wavekit_core.wavelets.scales import approximations

IMAGES = 200
SHOWN = ("psnr", "ssim", "rfd", "gfd")


@torch.no_grad()
def rows_of(path: Path) -> list[dict[str, Any]]:
    """One row a level: diversity as the value, kurtosis of drawn and true details, and the run's figures."""
    run = open_run(path)
    model = run.model.eval()
    cascade = model.generator
    assert isinstance(cascade, Cascade)
    pyramid = model.represent(run.session.held_out(IMAGES).data)
    found = approximations(pyramid)
    figures = json_of(run.folder.head()["evaluation.json"], path)["figures"]
    shown = {
        row["name"].partition("[")[0]: row["value"]
        for row in figures
        if row["subject"] == "model" and row["name"].partition("[")[0] in SHOWN
    }
    counts = run.folder.lock()["parameters"]
    drawing = sum(number for name, number in counts.items() if "critic" not in name)
    rows = []
    for level in range(cascade.space.levels, 0, -1):
        stage, details = cascade.stage_of(level), pyramid.details[cascade.space.levels - level]

        def draw(approx: torch.Tensor, level: int = level, stage: Any = stage) -> torch.Tensor:
            return stage.draw(approx, level)

        torch.manual_seed(0)
        value = diversity(draw, found[level], details)
        drawn = draw(found[level])
        rows.append(
            {
                "name": f"{path.name}, level {level}",
                "value": value,
                "unit": "diversity: spread of draws / spread of true details",
                "parameters for drawing": f"{drawing:,}",
                "kurtosis": float(kurtosis(drawn).mean()),
                "kurtosis, true": float(kurtosis(details).mean()),
                **shown,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--title", default="Drawn details")
    given = parser.parse_args()
    folders = [folder for path in given.runs for folder in runs_in(path)]
    rows = [row for folder in folders for row in rows_of(folder.path)]
    for row in rows:
        print(row)
    publish(
        given.json,
        given.title,
        " ".join(["python benchmarks/details.py", *(f"runs/{path.name}" for path in given.runs)]),
        rows,
        commit=folders[0].lock()["git"],
        note="psnr (dB) and rfd are of held-out images' true approximation with drawn details, gfd of samples.",
    )


if __name__ == "__main__":
    main()
