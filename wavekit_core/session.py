"""A recipe with everything built: data, pipeline, control and metrics on one device."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from wavekit_core.engine.order import permutation
from wavekit_core.engine.shards import seed, seed_from, seeded
from wavekit_core.errors import DataError, RecipeError, ResourceError, SpaceError, WavekitError
from wavekit_core.kinds import Batch, Code, Dataset, Generator, Metric, Sampler, Split
from wavekit_core.pictures import quantise
from wavekit_core.pipeline import Pipeline
from wavekit_core.recipe.faults import Fault, RecipeFaults
from wavekit_core.recipe.nodes import Checked, build, located
from wavekit_core.recipe.recipe import Recipe
from wavekit_core.registry import installed
from wavekit_core.spaces import ImageSpace, Space
from wavekit_core.watch import Watcher
from wavekit_core.watched import Callback, require_stages, watched


def choose_device(name: str, local: int = 0) -> torch.device:
    """`auto` is a GPU if there is one, `cuda` the `local`-th. Raises ResourceError for a device that is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if local and name.startswith("cuda:"):
        raise ResourceError(f"{name} is one GPU, and each process needs its own; write --device cuda")
    if name == "cuda" and local:
        name = f"cuda:{local}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ResourceError(f"{name!r} is no device; write cpu, cuda or cuda:N") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ResourceError("there is no CUDA device here; run with --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ResourceError(f"there is no {name}; there are {torch.cuda.device_count()} CUDA devices, from cuda:0")
    if device.type not in ("cpu", "cuda"):
        raise ResourceError(f"device {name!r} is not supported; write cpu, cuda or cuda:N")
    return device


def use_threads(count: int) -> None:
    """Compute with so many CPU threads, in torch and in the libraries below NumPy: both change the bits, and more threads than
    cores to run on cost several times the work."""
    torch.set_num_threads(count)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)  # for libraries that are not loaded yet
    threadpool_limits(count)  # for those that are


def build_pipeline(recipe: Recipe, space: Space) -> Pipeline:
    """The recipe's pipeline for images of `space`, on torch's current default device. Raises RecipeFaults where it does not
    fit, at the line of the component that says so."""
    parts = {name: recipe.part(name) for name in ("transform", "generator", "sampler")}
    pipeline: Pipeline = build(Checked(Pipeline, recipe.checked.value, children=parts), space)
    return pipeline


def require_classes(pipeline: Pipeline, recipe: Recipe, classes: int) -> None:
    """Raise RecipeFaults, at its line, for a generator with a number of `classes` that is not the data set's."""
    for module in pipeline.modules():
        wanted = getattr(module, "classes", 0) if isinstance(module, Generator) else 0
        if wanted and wanted != classes:
            found = f"the data set has {classes}" if classes else "the data set has no labels"
            remedy = f"set classes: {classes}"
            fault = SpaceError(module, f"{wanted} classes are to be told apart, and {found}", remedy, at="classes")
            raise located(fault, recipe.part("generator"))


def build_control(recipe: Recipe, space: Space) -> Pipeline | None:
    """The recipe's control, a generator without training, or None."""
    if recipe.part("control") is None:
        return None
    control: Pipeline = build(
        Checked(Pipeline, recipe.checked.value, children={"generator": recipe.part("control")}), space
    )
    if control.objectives():
        use = recipe.part("control").value.data["use"]
        what = "the control has objectives to train; a control is only fitted: name one such as gmm"
        raise RecipeFaults([Fault(use.mark, what, len(use.data))])
    return control


def build_metrics(recipe: Recipe, space: ImageSpace) -> list[Metric]:
    """The recipe's metrics. Raises RecipeFaults, each at its line, for those that cannot measure images of `space`."""
    metrics: list[Metric] = []
    faults: list[Fault] = []
    for node in recipe.part("evaluate"):
        try:
            metric: Metric = build(node)
            metric.require(space)
            metrics.append(metric)
        except SpaceError as error:
            faults += located(error, node).faults
        except RecipeFaults as error:
            faults += error.faults
        except WavekitError as error:  # weights that are damaged, a plugin that fails
            use = node.value.data["use"]
            faults.append(Fault(use.mark, str(error), len(use.data), error.exit_code))
    if faults:
        raise RecipeFaults(faults)
    return metrics


@dataclass(frozen=True)
class Images:
    """What is known of a data set without reading it."""

    space: ImageSpace
    classes: Sequence[str]
    digest: str


class Session:
    """Builds a recipe. `pipeline` starts from weights that depend on the seed alone.

    With `images`, what is known of the data set, that is built when it is first used: drawing needs none.
    """

    CHUNK = 256

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        watcher: Watcher | None = None,
        images: Images | None = None,
    ):
        self.recipe = recipe
        self.device = device
        self.watcher = watcher or Watcher()
        self._known = images
        self.space, self.classes = (images or self.dataset).space, (images or self.dataset).classes
        seed(recipe.seed, "init")
        with torch.device("cpu"):  # the same weights on every device
            self.pipeline = build_pipeline(recipe, self.space)
        require_classes(self.pipeline, recipe, len(self.classes))
        self.pipeline.to(device)
        with torch.device("meta"):
            build_control(recipe, self.space)  # a fault of it is said before training, not after
        self.hook_faults = installed().load_hooks()
        self.metrics: list[Metric] = build_metrics(recipe, self.space)

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The images. Raises DataError if there are none to train on, or if they are not those that are known."""
        dataset: Dataset = build(self.recipe.part("data"))
        if len(dataset.train) == 0:
            raise DataError("the data set has no training images; give it more images")
        if self._known and dataset.digest() != self._known.digest:
            raise DataError(
                "the data here are not those of the run (their digests differ), so figures on them would compare with nothing; "
                "bring the same data, see --data-root"
            )
        return dataset

    @functools.cached_property
    def control(self) -> Pipeline | None:
        """The control, fitted to the training set."""
        with seeded(self.recipe.seed, "control"):
            control = build_control(self.recipe, self.space)
            if control is not None:
                with self._passes("fitting the control") as batches:
                    control.to(self.device).fit(batches)
                    control.fit_sampler(batches)
        return control

    def fit_sampler(self, step: int, pipeline: Pipeline | None = None) -> None:
        """Let the sampler learn what it needs from the weights of `step`, which are in place, and the training set."""
        pipeline = pipeline or self.pipeline
        pipeline.eval()
        with (
            torch.no_grad(),
            seeded(self.recipe.seed, "fit sampler", step),
            self._passes("fitting the sampler") as batches,
        ):
            pipeline.fit_sampler(batches)

    def with_sampler(self, sampler: Sampler, step: int) -> Pipeline:
        """The model, with the weights of `step`, under another sampler, which learns from the training set if it has to. Raises
        SpaceError if it cannot draw from this model."""
        trained = self.pipeline
        made = Pipeline(self.space, lambda space: trained.generator, list(trained.transforms), sampler)  # type: ignore[arg-type]
        made.to(self.device).eval()
        if type(sampler).fit is not Sampler.fit:
            self.fit_sampler(step, made)
        return made

    def require_label(self, model: Pipeline, label: int | None, said: str = "label") -> None:
        """Raises RecipeError for a class that cannot be asked for; `said` is what the user calls it."""
        if label is None:
            return
        if not (self.classes and model.conditional):
            raise RecipeError(f"{said} {label}: this model was trained without classes; leave {said} out")
        if not 0 <= label < len(self.classes):
            raise RecipeError(f"{said} {label}: there are {len(self.classes)} classes, from 0")

    def fit(self) -> None:
        """Let transforms and generator learn what training needs."""
        with seeded(self.recipe.seed, "fit"), self._passes("fitting to the data") as batches:
            self.pipeline.fit(batches)

    @contextlib.contextmanager
    def _passes(self, name: str) -> Iterator[Callable[[], Iterator[Batch]]]:
        """`batches`, watched: a pass over the training set is a phase of its own length."""
        length = len(self.dataset.train)
        with self.watcher.phase(name, length, unit="images") as advance:

            def batches() -> Iterator[Batch]:
                for index, batch in enumerate(self.batches()):
                    advance(min(length, (index + 1) * self.CHUNK), "")
                    yield batch

            yield batches

    def batches(self) -> Iterator[Batch]:
        """One pass over the training set, on the device, in an order of its own: files often come class by class, and what
        looks at the first images only must see all classes."""
        order = self._shuffled(self.dataset.train)
        for start in range(0, len(order), self.CHUNK):
            batch = self.dataset.train.batch(order[start : start + self.CHUNK])
            yield Batch(batch.data.to(self.device), None if batch.labels is None else batch.labels.to(self.device))

    def held_out(self, count: int) -> Batch:
        """`count` held-out images, or all if there are fewer; always the same."""
        return self.dataset.held_out.batch(self._shuffled(self.dataset.held_out)[:count])

    def _shuffled(self, split: Split) -> NDArray[np.int64]:
        return permutation(len(split), 0, seed_from(self.recipe.seed, "pass"))

    def labels(self, indices: Sequence[int], label: int | None = None) -> Tensor | None:
        """The classes asked for in samples of these indices: every class in turn, or one; None for a set without."""
        if not self.classes:
            return None
        turn = torch.tensor([i % len(self.classes) if label is None else label for i in indices])
        return turn.to(self.device)

    @torch.no_grad()
    def draw(
        self,
        model: Pipeline,
        count: int,
        label: int | None = None,
        callback: Callback | None = None,
        preview: Callable[[Tensor], None] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """`count` samples (N, C, H, W) in 8-bit steps, and their classes, both on the CPU.

        Sample i depends on the seed, the weights and i: chunks are drawn whole, each from its own key. `callback` is told of
        every step of the sampler (`OpenRun.sample`). `preview` is given all images so far whenever a chunk of sequences has
        finished a stage, and changes nothing of what comes. Raises RecipeError for a sampler that takes no callback, and for a
        preview of what has no stages.
        """
        chunk = self.recipe.samples.batch_size
        images: list[Tensor] = []
        classes: list[Tensor | None] = []
        model.eval()
        if preview is not None:
            require_stages(model)
        with self.watcher.phase("drawing", count, unit="images") as advance:

            def tell(note: str, tokens: Tensor | None) -> None:
                advance(start, note)
                if preview is not None and tokens is not None:
                    with seeded(self.recipe.seed, "preview"):
                        now = quantise(model.invert(tokens.to(self.device)), self.space).cpu()
                    preview(torch.cat([*images, now])[:count])

            telling = watched(model, tell, callback)
            for start in range(0, count, chunk):
                labels = self.labels(range(start, start + chunk), label)
                with seeded(self.recipe.seed, "sample", start // chunk):
                    images.append(quantise(telling.sample(chunk, labels), self.space).cpu())
                classes.append(labels)
                advance(min(count, start + chunk), "")
        drawn = torch.cat(images)[:count]
        if classes[0] is None or not model.conditional:
            return drawn, None
        return drawn, torch.cat([c.cpu() for c in classes if c is not None])[:count]

    @torch.no_grad()
    def drawing_seconds(self, model: Pipeline, trials: int, count: int = 100) -> list[float]:
        """Seconds that each of `trials` drawings of `count` images takes, in batches of `samples.batch_size`, after one that is
        not timed."""
        model.eval()
        chunk = self.recipe.samples.batch_size
        sizes = [min(chunk, count - start) for start in range(0, count, chunk)]
        seconds = []
        with seeded(self.recipe.seed, "timed"), self.watcher.phase("timing the drawing", trials + 1) as advance:
            for trial in range(trials + 1):
                advance(trial, f"{count} images")
                self._wait()
                begun = time.perf_counter()
                for size in sizes:
                    model.sample(size, self.labels(range(size)))
                self._wait()
                seconds.append(time.perf_counter() - begun)
        return seconds[1:]

    def _wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @torch.no_grad()
    def reconstruct(self, model: Pipeline, images: Tensor) -> Tensor:
        """What the model makes of images (N, C, H, W), in 8-bit steps, on the CPU."""
        model.eval()
        parts = []
        for index, part in enumerate(images.split(self.CHUNK)):
            with seeded(self.recipe.seed, "reconstruct", index):
                parts.append(quantise(model.reconstruct(part.to(self.device)), self.space).cpu())
        return torch.cat(parts)

    @torch.no_grad()
    def nats(self, model: Pipeline, images: Tensor) -> Tensor:
        """(N,) on the CPU: bounds of -log p of 8-bit images (N, C, H, W), their steps filled with uniform noise."""
        model.eval()
        low, high = self.space.low, self.space.high
        parts = []
        for index, part in enumerate(images.split(self.CHUNK)):
            with seeded(self.recipe.seed, "likelihood", index):
                steps = (part - low) / (high - low) * 255
                filled = low + (high - low) * (steps + torch.rand_like(part)) / 256
                parts.append(model.negative_log_likelihood(filled.to(self.device)).double().cpu())
        return torch.cat(parts)

    @torch.no_grad()
    def code(self, model: Pipeline, images: Tensor, labels: Tensor | None) -> Code:
        """What a model of tokens makes of the codes of images (N, C, H, W), on the CPU."""
        model.eval()
        nats: list[Tensor] = []
        parts: dict[str, tuple[float, float]] = {}
        for index, part in enumerate(images.split(self.CHUNK)):
            named = None if labels is None else labels[index * self.CHUNK :][: len(part)].to(self.device)
            code = model.code(part.to(self.device), named)
            nats.append(code.nats.double().cpu())
            for name, values in code.parts.items():
                before, share = parts.get(name, (0.0, 0.0)), len(part) / len(images)
                parts[name] = before[0] + share * values[0], before[1] + share * values[1]
        return Code(torch.cat(nats), parts)
