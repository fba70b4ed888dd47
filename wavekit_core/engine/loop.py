"""The training loop. It knows nothing of what it trains.

A step takes one global batch of images, and for every objective: zero the gradients, add up the loss of every shard, clip,
step its optimizer. Everything that must be exact on resume is a function of the step number, or in the checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.order import indices
from wavekit_core.engine.shards import cut, seed, seed_from
from wavekit_core.engine.step import Step
from wavekit_core.errors import DivergedError
from wavekit_core.kinds import Batch, Split
from wavekit_core.recipe.recipe import Train


class Loop:
    """Trains `model` on `data` from its current step. `step` counts finished steps; `window` sums what is not yet logged."""

    def __init__(
        self, model: Step, averaged: Averaged, data: Split, settings: Train, run_seed: int, device: torch.device
    ):
        self.model = model
        self.averaged = averaged
        self.data = data
        self.settings = settings
        self.seed = run_seed
        self.device = device
        self.step = 0
        self.window: dict[str, float] = {}

    def run(self, until: int, on_row: Callable[[dict[str, Any], float], None], on_step: Callable[[int], bool]) -> None:
        """Train up to `until` steps. `on_row(row, seconds)` gets a row of means every `log_every` steps, `on_step(step)` every
        step and says whether to stop. Raises DivergedError before a step that would spoil the weights."""
        with ThreadPoolExecutor(1, "loader") as loader:
            coming = self._fetch(loader, self.step)
            started = time.perf_counter()
            while self.step < until:
                batch = coming.result()
                if self.step + 1 < until:
                    coming = self._fetch(loader, self.step + 1)
                self._train_step(batch)
                if self.step % self.settings.log_every == 0 or self.step == until:
                    now = time.perf_counter()
                    on_row(self._row(), now - started)
                    started = now
                if on_step(self.step):
                    return

    def rate(self, step: int) -> float:
        """The factor on every learning rate at a step (from 0). Beyond the recipe's last step its rate stays."""
        warm = min(1.0, (step + 1) / self.settings.warmup) if self.settings.warmup else 1.0
        if self.settings.schedule == "cosine":
            last = max(1, self.settings.steps)
            warm *= 0.5 * (1 + math.cos(math.pi * min(step, last - 1) / last))
        return warm

    def _fetch(self, loader: ThreadPoolExecutor, step: int) -> Future[Batch]:
        def load() -> Batch:
            order = indices(len(self.data), self.settings.batch_size, step, seed_from(self.seed, "order"))
            return self.data.batch(order)

        return loader.submit(load)

    def _train_step(self, batch: Batch) -> None:
        labels = batch.labels.to(self.device) if batch.labels is not None else None
        shards = cut(Batch(batch.data.to(self.device), labels), self.settings.shards)
        self.model.train()
        self.model.set_rate(self.rate(self.step))
        for name, optimizer in self.model.optimizers.items():
            self.model.zero_grad(set_to_none=True)
            sums: dict[str, torch.Tensor] = {}
            for index, shard in enumerate(shards):
                seed(self.seed, "train", name, self.step, index)
                loss = self.model(name, shard)
                (loss.value / len(shards)).backward()
                value_of = {"loss": loss.value, **loss.terms} | {"loss": loss.value}  # a term cannot hide the loss
                for term, value in value_of.items():
                    sums[term] = sums.get(term, 0) + torch.as_tensor(value, device=self.device).detach() / len(shards)
            sums["gradient norm"] = self._clip(name)
            self._take_in(name, sums)
            optimizer.step()
        self.step += 1
        self.averaged.update(self.step)

    def _clip(self, name: str) -> torch.Tensor:
        bound = self.settings.clip or math.inf
        return torch.nn.utils.clip_grad_norm_(self.model.parameters_of(name), bound)

    def _take_in(self, objective: str, sums: Mapping[str, torch.Tensor]) -> None:
        values = torch.stack([value.double() for value in sums.values()]).tolist()
        for term, value in zip(sums, values, strict=True):
            if not math.isfinite(value):
                raise DivergedError(
                    f"step {self.step + 1}: {term} of {objective!r} is {value} at {self.rate(self.step):.3g} of the learning "
                    f"rate; lower the rate (lr) or clip harder (train.clip), and start again or go on from the last checkpoint"
                )
            key = f"{objective}/{term}"
            self.window[key] = self.window.get(key, 0.0) + value
        self.window["steps"] = self.window.get("steps", 0) + (objective == next(iter(self.model.objectives)))

    def _row(self) -> dict[str, Any]:
        steps = self.window.pop("steps", 1)
        row: dict[str, Any] = {"step": self.step, "images": self.step * self.settings.batch_size}
        row |= {key: value / steps for key, value in self.window.items()}
        row["rate"] = self.rate(self.step - 1)
        self.window = {}
        return row
