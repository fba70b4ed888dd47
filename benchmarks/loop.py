"""How fast a recipe trains, and what share of a step is the loop's own: `python benchmarks/loop.py [RECIPE] [--json FILE]`.

Rounds of ten steps alternate in one process: the loop, and the same steps by hand (forward, backward, clipping, optimizer,
averages) on a batch that is already there. The loop's own share is what it takes longer: fetching images, seeding, adding up and
checking what is logged.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import torch

from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.loop import Loop
from wavekit_core.engine.step import Step
from wavekit_core.kinds import Batch
from wavekit_core.recipe.recipe import load
from wavekit_core.runs.facts import machine
from wavekit_core.session import Session, use_threads

STEPS = 10


def by_hand(step: Step, averaged: Averaged, batch: Batch, clip: float, count: int) -> None:
    step.train()
    for index in range(count):
        for name, optimizer in step.optimizers.items():
            step.zero_grad(set_to_none=True)
            step(name, batch).value.backward()
            torch.nn.utils.clip_grad_norm_(step.parameters_of(name), clip or math.inf)
            optimizer.step()
        averaged.update(index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="?", default="quickstart")
    parser.add_argument("-s", dest="settings", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    recipe = load(Path(given.recipe), given.settings)
    use_threads(recipe.train.threads or torch.get_num_threads())
    session = Session(recipe, torch.device("cpu"))
    session.fit()
    settings = recipe.train
    step = Step(session.pipeline, settings.precision == "bfloat16")
    averaged = Averaged(step.trained(), settings.ema)
    loop = Loop(step, averaged, session.dataset.train, settings, recipe.seed, session.device)
    batch = session.dataset.train.batch(list(range(settings.batch_size)))
    loops, hands = [], []
    for turn in range(given.rounds + 1):
        begun = time.perf_counter()
        loop.run(loop.step + STEPS, lambda row, seconds: None, lambda step: False)
        middle = time.perf_counter()
        by_hand(step, averaged, batch, settings.clip, STEPS)
        if turn:  # the first round warms up
            loops.append((middle - begun) / STEPS)
            hands.append((time.perf_counter() - middle) / STEPS)
    own = statistics.median(1 - hand / whole for whole, hand in zip(loops, hands, strict=True))
    median = statistics.median(loops)
    rows = [
        {"name": f"{recipe.name}: training", "value": settings.batch_size / median, "unit": "images a second"},
        {"name": f"{recipe.name}: a step", "value": 1e3 * median, "unit": "ms"},
        {
            "name": f"{recipe.name}: the loop's own share",
            "value": 100 * own,
            "unit": "% of a step",
            "asked": "at most 3",
        },
    ]
    for row in rows:
        print(f"{row['name']}: {row['value']:.4g} {row['unit']}")
    if given.json:
        command = f"python benchmarks/loop.py {given.recipe}" + "".join(f" -s {one}" for one in given.settings)
        result = {"title": "Speed of training", "command": command, "machine": machine(), "rows": rows}
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
