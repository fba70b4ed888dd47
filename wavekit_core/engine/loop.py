"""The training loop. It knows nothing of what it trains.

A step takes one global batch of images, and for every objective that is due: zero the gradients, add up the loss of every
shard, clip, step its optimizer. Everything that must be exact on resume is a function of the step number, or in the
checkpoint. Several processes compute different shards of the same batch, and the same step from their summed gradients.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import nn

from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.order import indices
from wavekit_core.engine.processes import Processes, peers
from wavekit_core.engine.shards import cut, seed, seed_from
from wavekit_core.engine.step import Step
from wavekit_core.errors import DivergedError, PluginError
from wavekit_core.kinds import Batch, Split
from wavekit_core.recipe.recipe import Train

_TIMES = " times"  # no term's name: how often an objective was trained since the last row


class Loop:
    """Trains `model` on `data` from its current step. `step` counts finished steps; `window` sums what is not yet logged.

    Losses are asked of `forward`, which is `model`, compiled or wrapped for several processes as the settings say. It is made
    when training starts: wrapping gives every process the weights of the first.
    """

    def __init__(
        self,
        model: Step,
        averaged: Averaged,
        data: Split,
        settings: Train,
        run_seed: int,
        device: torch.device,
        processes: Processes | None = None,
    ):
        self.model = model
        self.processes = processes or Processes()
        self.shards = self.processes.mine(settings.shards)
        self.averaged = averaged
        self.data = data
        self.settings = settings
        self.seed = run_seed
        self.device = device
        self.step = 0
        self.window: dict[str, float] = {}
        self.names = {name: model.names_of(name) for name in model.objectives}

    def run(self, until: int, on_row: Callable[[dict[str, Any], float], None], on_step: Callable[[int], bool]) -> None:
        """Train up to `until` steps. `on_row(row, seconds)` gets a row of means every `log_every` steps, `on_step(step)` every
        step and says whether to stop; every process stops if one says so. Raises DivergedError before a step that would spoil
        the weights."""
        self.forward = self._forward().train()
        with ThreadPoolExecutor(1, "loader") as loader:
            coming = self._fetch(loader, self.step)
            seconds = 0.0  # of training alone: what the callers do in between is not its
            while self.step < until:
                begun = time.perf_counter()
                batch = coming.result()
                if self.step + 1 < until:
                    coming = self._fetch(loader, self.step + 1)
                self._train_step(batch)
                seconds += time.perf_counter() - begun
                if self.step % self.settings.log_every == 0 or self.step == until:
                    on_row(self._row(), seconds)
                    seconds = 0.0
                if self.processes.any(on_step(self.step)):
                    return

    def _forward(self) -> nn.Module:
        compiled: nn.Module = torch.compile(self.model) if self.settings.compile else self.model  # type: ignore[assignment]
        return self.processes.wrap(compiled, self.device)

    def rate(self, step: int) -> float:
        """The factor on every learning rate at a step (from 0). Beyond the recipe's last step its rate stays."""
        warm = min(1.0, (step + 1) / self.settings.warmup) if self.settings.warmup else 1.0
        if self.settings.schedule == "cosine":
            last = max(1, self.settings.steps)
            warm *= 0.5 * (1 + math.cos(math.pi * min(step, last - 1) / last))
        return warm

    def _fetch(self, loader: ThreadPoolExecutor, step: int) -> Future[Batch]:
        def load() -> Batch:
            size = self.settings.batch_size
            shard = size // self.settings.shards
            own = slice(self.shards.start * shard, self.shards.stop * shard)
            order = indices(len(self.data), size, step, seed_from(self.seed, "order"))
            words = np.random.Philox(key=np.array([seed_from(self.seed, "views"), step], np.uint64)).random_raw(size)
            return self.data.batch(order[own], words[own])

        return loader.submit(load)

    def _train_step(self, batch: Batch) -> None:
        labels = batch.labels.to(self.device) if batch.labels is not None else None
        shards = cut(Batch(batch.data.to(self.device), labels), len(self.shards))
        if (
            not self.model.generator.training
        ):  # a preview ends with this; to walk over all modules takes as long as to seed
            self.model.train()
        self.model.set_rate(self.rate(self.step))
        steps = self.settings.steps
        due = {name: one for name, one in self.model.objectives.items() if one.due(self.step, steps)}
        for name in due:
            self.model.zero_grad(set_to_none=True)
            terms, means = self._accumulate(name, shards)
            norm = self._clip(name)
            self._take_in(name, terms, means, norm)
            self.model.optimizers[name].step()
        self.step += 1
        for name, objective in due.items():
            self.averaged.update(objective.times(self.step, steps), self.names[name])

    def _accumulate(self, name: str, shards: list[Batch]) -> tuple[list[str], torch.Tensor]:
        """Add up the gradients of an objective over this process's shards, then over the processes. Names of the terms of its
        loss, and their values (terms,): this process's part of their mean over all shards."""
        terms: dict[str, torch.Tensor] = {}
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for index, shard in zip(self.shards, shards, strict=True):
            seed(self.seed, "train", name, self.step, index)
            with self._synchronised(index == self.shards[-1]):
                loss = self.forward(name, shard)
                (loss.value / len(shards)).backward()
            terms = {"loss": loss.value, **loss.terms} | {"loss": loss.value}  # a term cannot hide the loss
            with torch.no_grad():
                total = total + torch.stack([self._tensor(value) for value in terms.values()]).double()
        return list(terms), total / self.settings.shards

    def _tensor(self, value: torch.Tensor | float) -> torch.Tensor:
        return value if isinstance(value, torch.Tensor) else torch.tensor(value, device=self.device)

    @contextlib.contextmanager
    def _synchronised(self, last: bool) -> Iterator[None]:
        """Processes exchange gradients in the backward pass of their last shard alone."""
        if not isinstance(self.forward, nn.parallel.DistributedDataParallel):
            yield
            return
        with contextlib.nullcontext() if last else self.forward.no_sync(), peers():
            yield

    def _clip(self, name: str) -> torch.Tensor:
        bound = self.settings.clip or math.inf
        return torch.nn.utils.clip_grad_norm_(self.model.parameters_of(name), bound)

    def _take_in(self, objective: str, terms: list[str], means: torch.Tensor, norm: torch.Tensor) -> None:
        values = [*self.processes.sum(means).tolist(), norm.item()]
        for term, value in zip([*terms, "gradient norm"], values, strict=True):
            if not math.isfinite(value):
                raise DivergedError(
                    f"step {self.step + 1}: {term} of {objective!r} is {value}, the learning rates at {self.rate(self.step):.3g} "
                    "times the recipe's; lower the rate (lr) or clip harder (train.clip), and start again or go on from the last "
                    "checkpoint"
                )
            self._add(f"{objective}/{term}", value)
        self._add(f"{objective}/{_TIMES}", 1.0)
        if self.processes.count > 1:
            low, high = self.processes.range_of(values[-1])
            if low != high:  # parameters would drift apart without any other sign
                raise PluginError(
                    f"the gradients of {objective!r} differ between processes (norms {low} to {high}): a loss went around Step; "
                    "every loss has to come from its Objective, so that its gradients are averaged"
                )

    def _add(self, key: str, value: float) -> None:
        self.window[key] = self.window.get(key, 0.0) + value

    def _row(self) -> dict[str, Any]:
        """Means over the steps in which an objective was trained; one that was not has no part in the row."""
        row: dict[str, Any] = {"step": self.step, "images": self.step * self.settings.batch_size}
        for key, value in self.window.items():
            objective, term = key.split("/", 1)
            if term != _TIMES:
                row[key] = value / self.window[f"{objective}/{_TIMES}"]
        row["rate"] = self.rate(self.step - 1)
        self.window = {}
        return row
