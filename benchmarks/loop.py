"""How fast a recipe trains, and what share of a step is the loop's own: `python benchmarks/loop.py RECIPE… [--json FILE]`.

Clocks stand around everything that any training of the same model does: the loss, its backward pass, resetting gradients,
clipping them, the optimizer, averaged weights. What is left of a step is counted as the loop's own: waiting for images, cutting
them, seeding, adding up and checking what is logged, letting go of the loss. Medians over rounds of fifty steps.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from results import publish

from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.loop import Loop
from wavekit_core.engine.step import Step
from wavekit_core.recipe.recipe import load
from wavekit_core.session import Session, use_threads

STEPS = 50


class Clock:
    """Adds up the time that functions take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - begun

        return timed


def measured(name: str, settings: list[str], rounds: int, clock: Clock) -> list[dict[str, Any]]:
    """Rows of one recipe's training."""
    recipe = load(Path(name), settings)
    use_threads(recipe.train.threads or torch.get_num_threads())
    session = Session(recipe, torch.device("cpu"))
    session.fit()
    train = recipe.train
    step = Step(session.pipeline, train.precision == "bfloat16")
    averaged = Averaged(step.trained(), train.ema)
    loop = Loop(step, averaged, session.dataset.train, train, recipe.seed, session.device)
    step.forward = clock.around(step.forward)  # type: ignore[method-assign]
    step.zero_grad = clock.around(step.zero_grad)  # type: ignore[method-assign]
    loop._clip = clock.around(loop._clip)  # type: ignore[method-assign]
    averaged.update = clock.around(averaged.update)  # type: ignore[method-assign]
    for optimizer in step.optimizers.values():
        optimizer.step = clock.around(optimizer.step)  # type: ignore[method-assign]
    times, shares = [], []
    for turn in range(rounds + 1):
        clock.seconds, begun = 0.0, time.perf_counter()
        loop.run(loop.step + STEPS, lambda row, seconds: None, lambda step: False)
        whole = time.perf_counter() - begun
        if turn:  # the first round warms up
            times.append(whole / STEPS)
            shares.append(1 - clock.seconds / whole)
    own, median = statistics.median(shares), statistics.median(times)
    return [
        {"name": f"{recipe.name}: training", "value": train.batch_size / median, "unit": "images a second"},
        {"name": f"{recipe.name}: a step", "value": 1e3 * median, "unit": "ms"},
        {
            "name": f"{recipe.name}: the loop's own share",
            "value": 100 * own,
            "unit": "% of a step",
            "asked": "at most 3",
        },
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("-s", dest="settings", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    clock = Clock()
    torch.Tensor.backward = clock.around(torch.Tensor.backward)  # type: ignore[method-assign]
    rows = [row for name in given.recipes for row in measured(name, given.settings, given.rounds, clock)]
    for row in rows:
        print(f"{row['name']}: {row['value']:.4g} {row['unit']}")
    command = f"python benchmarks/loop.py {' '.join(given.recipes)}" + "".join(f" -s {one}" for one in given.settings)
    publish(given.json, "Speed of training", command, rows)


if __name__ == "__main__":
    main()
