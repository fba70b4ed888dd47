"""A short training of a generator through the engine itself: Pipeline, Step, Loop and checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from safetensors.torch import load as parse_tensors

from wavekit_core.engine import checkpoint
from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.loop import Loop
from wavekit_core.engine.step import Step
from wavekit_core.kinds import Generator, Objective
from wavekit_core.pipeline import Pipeline
from wavekit_core.recipe.recipe import Train
from wavekit_core.spaces import ImageSpace, Space
from wavekit_core.testing.elements import Examples, FromVectors, numbers

NO_LOG = {"bytes": 0, "sha256": "0" * 64}


class Training:
    """Trains what `build(space)` gives on `count` elements of `space`, in batches of 8; `only` names the one objective that is
    trained. `rows` are those of metrics.jsonl, one a step."""

    def __init__(
        self,
        build: Callable[[Space], Generator],
        space: Space,
        count: int,
        shards: int,
        steps: int,
        only: str | None = None,
    ):
        self.pipeline = _pipeline(build, space)
        self.data = Examples(space, count, seed=7)
        self.step = Step(self.pipeline if only is None else _Only(self.pipeline, only))
        settings = Train(steps=steps, batch_size=8, shards=shards, ema=0.9, log_every=1, warmup=2)
        self.averaged = Averaged(self.step.trained(), settings.ema)
        self.loop = Loop(self.step, self.averaged, self.data, settings, 11, torch.device("cpu"))
        self.rows: list[dict[str, float]] = []

    def fit(self) -> Training:
        """What comes once, before the first step."""
        self.pipeline.fit(lambda: iter([self.data.batch(range(len(self.data)))]))
        return self

    def run(self, until: int) -> Training:
        self.loop.run(until, lambda row, seconds: self.rows.append(row), lambda step: False)
        return self

    def files(self) -> dict[str, bytes]:
        """The checkpoint."""
        state = {"step": self.loop.step, "window": self.loop.window, "metrics": NO_LOG}
        return checkpoint.contents(self.step, self.averaged, state)

    def restore(self, files: dict[str, bytes]) -> Training:
        state = checkpoint.restore(self.step, self.averaged, files)
        self.loop.step, self.loop.window = state.step, dict(state.window)
        return self


class _Only(Generator):
    """A generator with one of its objectives, trained in every step."""

    def __init__(self, inner: Generator, name: str):
        super().__init__()
        self.inner, self.name = inner, name

    def objectives(self) -> Sequence[Objective]:
        chosen = [one for one in self.inner.objectives() if one.name == self.name]
        return [dataclasses.replace(one, every=1, during=(0.0, 1.0)) for one in chosen]


def _pipeline(build: Callable[[Space], Generator], space: Space) -> Pipeline:
    if isinstance(space, ImageSpace):
        return Pipeline(space, build)
    whole = FromVectors()
    whole.space = space
    return Pipeline(ImageSpace(1, 1, numbers(space)), build, transform=[whole])


def difference(expected: dict[str, bytes], found: dict[str, bytes]) -> str | None:
    """The first thing in which two checkpoints differ, in words."""
    for name in expected:
        if expected[name] == found[name]:
            continue
        if not name.endswith(".safetensors"):
            return name
        before, after = parse_tensors(expected[name]), parse_tensors(found[name])
        other = [key for key in before if key not in after or not torch.equal(before[key], after[key])]
        more = f" and {len(other) - 1} more" if len(other) > 1 else ""
        return f"{other[0] if other else 'the form'}{more} in {name}"
    return None
