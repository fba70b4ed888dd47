"""One execution of a run: begin or go on, train, draw, measure, report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import statistics
from collections.abc import Iterator
from typing import Any

import torch

from wavekit_core import hooks
from wavekit_core.check import Findings
from wavekit_core.drawn import pictures
from wavekit_core.engine import checkpoint, interrupts
from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.loop import Loop
from wavekit_core.engine.processes import Processes
from wavekit_core.engine.step import Step
from wavekit_core.errors import DamagedError, DivergedError, Interrupted, RecipeError, ResourceError
from wavekit_core.evaluation import measured
from wavekit_core.recipe import resolved
from wavekit_core.recipe.recipe import Recipe
from wavekit_core.registry import Entry, installed
from wavekit_core.report.page import render
from wavekit_core.runs import facts as environment
from wavekit_core.runs.elsewhere import trained_elsewhere
from wavekit_core.runs.folder import RunFolder
from wavekit_core.runs.forms import State
from wavekit_core.runs.publish import require_room
from wavekit_core.session import Session
from wavekit_core.watch import Watcher

DRAWN = 100  # images of a timed drawing


class Run:
    """One execution of a recipe in a folder that the caller owns. The first process executes it, the others follow."""

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        device: torch.device,
        watcher: Watcher,
        processes: Processes | None = None,
    ):
        self.recipe = recipe
        self.folder = folder
        self.watcher = watcher
        self.processes = processes or Processes()
        self.session = Session(recipe, device, watcher)
        train, data = recipe.train, self.session.dataset.train
        self.model = Step(self.session.pipeline, train.precision == "bfloat16").to(device)
        self.averaged = Averaged(self.model.trained(), train.ema)
        self.loop = Loop(self.model, self.averaged, data, train, recipe.seed, device, self.processes)
        self.until = train.steps if self.model.objectives else 0
        self.stale = False  # whether evaluation.json may speak of other weights than its step's

    def execute(self, source: bytes, found: Findings | None, resume_anyway: bool = False, extend: int = 0) -> None:
        """Start or go on, train, draw, measure, report. `source` is the recipe file as given; a new run has been checked, with
        what was `found`."""
        for fault in self.session.hook_faults:
            self.watcher.warn(fault)
        if found is None:
            resumed = self._resume(resume_anyway, extend)
        else:
            resumed = None
            facts = self._facts()
            donor = trained_elsewhere(self.folder, facts)
            self._create(source, found, facts, donor)
            if donor is None:
                self.session.fit()
            elif not self._taken_over(donor):
                self._by_itself()
                self._restore()
        if self.processes.count > 1:
            self.processes.share(self._state() | {"until": str(self.until).encode()})
        self._tell("run_started", folder=self.folder.path, resumed_from=resumed)
        with self._last_good():
            self._require_room()
            self._train()
            self._finish()

    def follow(self) -> None:
        """Train beside the first process, from its state."""
        files = self.processes.share(None)
        self.until = int(files.pop("until"))
        self._place(files)
        if self.loop.step < self.until:
            with interrupts.deferred():
                self.loop.run(self.until, lambda row, seconds: None, lambda step: interrupts.received() is not None)
            self._end_if_interrupted()

    def _end_if_interrupted(self) -> None:
        """Raise Interrupted if any process got a signal. Waits until all are here."""
        if number := int(self.processes.range_of(float(interrupts.received() or 0))[1]):
            raise Interrupted(number)

    def _state(self) -> dict[str, bytes]:
        """The files of a checkpoint of this step."""
        state = {"step": self.loop.step, "window": self.loop.window, "metrics": self.folder.log_facts()}
        return checkpoint.contents(self.model, self.averaged, state)

    @contextlib.contextmanager
    def _last_good(self) -> Iterator[None]:
        """Faults that end a training say from where it can go on."""
        try:
            yield
        except (DivergedError, ResourceError) as error:
            kept = self.folder.steps()
            last = f"the last good checkpoint is step {kept[-1]}" if kept else "there is no checkpoint yet"
            raise type(error)(f"{error}; {last}") from error

    def _require_room(self) -> None:
        """Raises ResourceError if the disk cannot hold the checkpoints that are to come."""
        train, kept = self.recipe.train, len(self.folder.steps())
        left = self.until - self.loop.step
        if left > 0:
            coming = 1 + (left - 1) // train.checkpoint_every if train.checkpoint_every else 1
            # one more than is kept: the oldest goes when the newest is complete
            count = min(coming, max(1, train.keep + 1 - kept))
            size = checkpoint.size(self.model, self.averaged)
            require_room(self.folder.path, count * size, f"the training ({count} checkpoints more)")

    # --- beginning

    def _facts(self) -> dict[str, Any]:
        used: list[Entry] = [node.entry for node in self.recipe.checked.walk() if node.entry]
        data = self.session.dataset.digest()
        found = environment.gather(used, self.session.device, data, self.recipe.digest(), self.recipe.seed)
        return found | {
            "name": self.recipe.name,
            "steps": self.until,
            "inexact": False,
            "processes": self.processes.count,
            "training": self.recipe.training(),
        }

    def _create(self, source: bytes, found: Findings, facts: dict[str, Any], donor: RunFolder | None) -> None:
        known = {
            "parameters": found.parameters,
            "flops": found.flops,
            "latent": found.latent,
            "space": dataclasses.asdict(self.session.space),
            "classes": list(self.session.classes),
            "trained_in": donor and (donor.lock().get("trained_in") or donor.path.name),
        }
        files = {
            "recipe.yaml": source,
            "resolved.yaml": resolved.text(self.recipe).encode(),
            "lock.json": _json(facts | known),
        }
        self.folder.create(files)

    def _resume(self, anyway: bool, extend: int) -> int | None:
        lock = self.folder.lock()
        now = dict(lock)
        found = self._facts()
        if changed := environment.differences(lock, found):
            if not anyway:
                raise RecipeError(
                    f"{self.folder.path}: an exact resume is not possible; "
                    + "; ".join(changed)
                    + "; --resume-anyway goes on and marks the run inexact, --out starts another"
                )
            now |= {"inexact": True, "data": found["data"]}
        if lock["processes"] != self.processes.count:
            self.watcher.say(
                f"note: {self.processes.count} instead of {lock['processes']} processes: the same up to the order of sums"
            )
            now |= {"inexact": True, "processes": self.processes.count}
        if self.folder.finished:  # else an extension that was interrupted goes on
            now["steps"] += extend
        self.until = int(now["steps"])
        if now != lock:
            self.folder.put("lock.json", _json(now))
        planned = min(lock["steps"], self.recipe.train.steps)  # without what --extend asked for
        if now.get("trained_in") and max(self.folder.steps(), default=-1) < planned:
            donor = trained_elsewhere(self.folder, lock)
            if donor is None or not self._taken_over(donor):
                self._by_itself()
        step = self._restore()
        if now["inexact"]:  # what was drawn further on came from other weights
            self.folder.drop_samples(after=step or 0)
            self.folder.drop_evaluations(after=step or 0)
            self.stale = (self.folder.evaluated_step() or 0) > (step or 0)
        self.watcher.say("starting again: no checkpoint yet" if step is None else f"going on from step {step}")
        return step

    def _tell(self, hook: str, **arguments: Any) -> None:
        """Call a behaviour hook. A plugin that fails there is warned of and not called again: a tracker ends no training."""
        manager = installed().manager
        for plugin, result in list(hooks.each(manager, hook, **arguments)):
            if isinstance(result, Exception):
                self.watcher.warn(
                    f"hook {hook} of {plugin} failed and is switched off: {type(result).__name__}: {result}"
                )
                manager.unregister(name=plugin)

    def _taken_over(self, donor: RunFolder) -> bool:
        """Take over what a cell of the same grid trained: its log, its checkpoints, and pictures from them. What an earlier call
        did stays. False if the donor is damaged."""
        every, keep = self.recipe.train.checkpoint_every, self.recipe.train.keep
        self.watcher.say(f"trained as cell {donor.path.name}: its weights are taken over")
        try:
            self.folder.take_logs(donor)
            for step in donor.steps():
                files = donor.checkpoint_files(step)
                if step not in self.folder.steps():
                    self.folder.save_checkpoint(step, files, keep)
                self._place(files)
                if every and step % every == 0 and step < self.until:
                    self._preview()
        except DamagedError as error:
            self.watcher.warn(f"cell {donor.path.name} cannot be taken over: {error}")
            return False
        return self.loop.step == self.until

    def _by_itself(self) -> None:
        """Say in the lock that no other run trained this one's weights."""
        self.watcher.say("no other cell gives its weights: this one trains by itself")
        self.folder.put("lock.json", _json(self.folder.lock() | {"trained_in": None}))

    def _place(self, files: dict[str, bytes]) -> State:
        """Put a checkpoint's files into place. Raises DamagedError."""
        state = checkpoint.restore(self.model, self.averaged, files)
        self.loop.step, self.loop.window = state.step, dict(state.window)
        return state

    def _restore(self) -> int | None:
        """Load the newest checkpoint that is whole and whose metrics are there; warn of every one that is not."""
        bad: list[int] = []
        for step, files in self.folder.restorable():
            try:
                if isinstance(files, DamagedError):
                    raise files
                state = self._place(files)
                self.folder.truncate_metrics(state.metrics.bytes)
                self.folder.drop_checkpoints(bad)
                return step
            except DamagedError as error:
                bad.append(step)
                self.watcher.warn(f"checkpoint of step {step} is passed over: {error}")
        if bad:
            raise DamagedError(f"{self.folder.path}: no checkpoint is whole; start again with another --out")
        self.folder.truncate_metrics(0)
        self.session.fit()
        return None

    # --- training

    def _train(self) -> None:
        every = self.recipe.train.checkpoint_every
        batch = self.recipe.train.batch_size
        if self.loop.step and (self.loop.step == self.until or (every and self.loop.step % every == 0)):
            self._preview()
        if self.loop.step >= self.until:
            return
        with self.watcher.phase("training", self.until * batch, self.loop.step * batch, "images") as advance:
            note, before = "", self.loop.step

            def on_row(row: dict[str, Any], seconds: float) -> None:
                nonlocal note, before
                self.folder.log(row)
                images, before = (row["step"] - before) * batch, row["step"]
                self.folder.log_timing({"step": row["step"], "images_per_second": round(images / seconds, 1)})
                self._tell("step_done", folder=self.folder.path, step=row["step"], row=row)
                note = next((f"{k} {v:.4f}" for k, v in row.items() if k.endswith("/loss")), "")

            def on_step(step: int) -> bool:
                advance(step * batch, note)
                if every and step % every == 0 and step < self.until:
                    self._save()
                    if interrupts.received() is None:  # else it is drawn when the run goes on
                        self._preview()
                return interrupts.received() is not None

            with interrupts.deferred():
                self.loop.run(self.until, on_row, on_step)
                self._save()
                if interrupts.received() is not None or self.loop.step < self.until:
                    self.watcher.say(f"saved at step {self.loop.step}; the same command goes on from there")
        self._end_if_interrupted()

    def _save(self) -> None:
        """Publish a checkpoint of the training, unless that of the step is there: to replace it would risk it."""
        if self.loop.step in self.folder.steps():
            return
        self.folder.save_checkpoint(self.loop.step, self._state(), self.recipe.train.keep)
        self._tell("checkpoint_written", folder=self.folder.path, step=self.loop.step)

    def _preview(self) -> None:
        """Let the sampler learn from the averaged weights and draw with it, or load what it had learned."""
        with self.averaged.applied():
            if self.folder.sample_folder(self.loop.step).exists():
                try:
                    files = self.folder.sample_files(self.loop.step)
                    checkpoint.load_samplers(self.session.pipeline, files)
                    return
                except DamagedError as error:
                    self.watcher.warn(f"the samples of step {self.loop.step} are drawn again: {error}")
            self.session.fit_sampler(self.loop.step)
            files = checkpoint.sampler_files(self.session.pipeline) | pictures(self.session, self.recipe.samples.count)
            self.folder.publish_samples(self.loop.step, files)

    # --- end

    def _finish(self) -> None:
        step = self.loop.step
        self._save()
        self._preview()
        with self.averaged.applied():
            if self.stale or self.folder.evaluated_step() != step:
                self.folder.put("evaluation.json", _json(measured(self.session, step, self.watcher)))
            self._time(step)
            self.watcher.say("writing the report")
            self.folder.put("report.html", render(self.session, self.folder, step))
        self._tell("run_ended", folder=self.folder.path, step=step)

    def _time(self, step: int) -> None:
        """Note how long it takes to draw 100 images, unless it is known: it depends on the hour, and stands apart from all
        that does not."""
        trials, pipeline = self.recipe.samples.timed, self.session.pipeline
        if not trials or not pipeline.samples or any(row["step"] == step for row in self.folder.drawings()):
            return
        seconds = self.session.drawing_seconds(pipeline, trials, DRAWN)
        deviation = statistics.stdev(seconds) if trials > 1 else None
        row = {"step": step, "drawn": DRAWN, "trials": trials, "seconds": statistics.fmean(seconds)}
        self.folder.log_timing(row | {"deviation": deviation})


def _json(data: Any) -> bytes:
    return json.dumps(data, indent=1, allow_nan=False).encode() + b"\n"
