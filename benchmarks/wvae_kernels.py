"""What the kernels bring to training: `python benchmarks/wvae_kernels.py RECIPE… [--rounds N] [--json FILE]`.

The same training goes on in turns of a few steps with the transforms in plain torch and with the kernels that are chosen
here; medians over the turns. For recipes whose step is mostly networks, the difference is small however fast a transform.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from results import publish

from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.loop import Loop
from wavekit_core.engine.step import Step
from wavekit_core.recipe.recipe import load
from wavekit_core.session import Session, use_threads
from wavekit_core.wavelets import forced

STEPS = 10


def measured(name: str, settings: list[str], rounds: int) -> list[dict[str, Any]]:
    """Images a second with either, and their ratio."""
    recipe = load(Path(name), settings)
    use_threads(recipe.train.threads or torch.get_num_threads())
    session = Session(recipe, torch.device("cpu"))
    session.fit()
    train = recipe.train
    step = Step(session.pipeline, train.precision == "bfloat16")
    loop = Loop(step, Averaged(step.trained(), train.ema), session.dataset.train, train, recipe.seed, session.device)
    times: dict[str | None, list[float]] = {"torch": [], None: []}
    for turn in range(rounds + 1):
        for kernel, found in times.items():
            with forced(kernel):
                begun = time.perf_counter()
                loop.run(loop.step + STEPS, lambda row, seconds: None, lambda step: False)
                if turn:  # the first turn warms up
                    found.append((time.perf_counter() - begun) / STEPS)
    plain, fast = (train.batch_size / statistics.median(times[kernel]) for kernel in ("torch", None))
    ratios = [a / b for a, b in zip(times["torch"], times[None], strict=True)]
    what = " ".join([recipe.name, *settings])
    return [
        {"name": f"{what}: transforms in plain torch", "value": plain, "unit": "images a second"},
        {"name": f"{what}: by kernels", "value": fast, "unit": "images a second"},
        {"name": f"{what}: ratio", "value": statistics.median(ratios), "unit": "times as fast"},
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("-s", dest="settings", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    rows = [row for name in given.recipes for row in measured(name, given.settings, given.rounds)]
    for row in rows:
        print(f"{row['name']}: {row['value']:.4g} {row['unit']}")
    command = f"python benchmarks/wvae_kernels.py {' '.join(given.recipes)}"
    command += "".join(f" -s {one}" for one in given.settings)
    publish(given.json, "Kernels in training", command, rows)


if __name__ == "__main__":
    main()
