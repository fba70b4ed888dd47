"""Checking a recipe without computing anything: spaces, networks on the meta device, cost of a step."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import torch
from torch.utils.flop_counter import FlopCounterMode

from wavekit_core.engine.shards import seeded
from wavekit_core.engine.step import Step
from wavekit_core.errors import DataError, ResourceError, SpaceError
from wavekit_core.evaluation import without_classes
from wavekit_core.kinds import Batch, Dataset, Generator
from wavekit_core.pipeline import Pipeline
from wavekit_core.recipe.nodes import build, located
from wavekit_core.recipe.recipe import Recipe
from wavekit_core.registry import installed
from wavekit_core.session import build_control, build_metrics, build_pipeline, require_classes
from wavekit_core.spaces import ImageSpace


@dataclass(frozen=True)
class Findings:
    """What a check found. `spaces` are (name, description) along the pipeline; `flops` counts multiplications and additions
    of a step's forward and backward passes, on the average over the training (None where the model cannot be traced without
    data); `memory` is an estimate in bytes of weights, optimizer, averages and saved activations while training; `latent` is
    how many numbers are drawn for an image, where the model has a latent; `data_read` is False where their declared size was
    taken instead of the data; `evaluations` are those of each stage's network for one image."""

    spaces: list[tuple[str, str]]
    parameters: dict[str, int]
    flops: int | None
    memory: int
    latent: int | None = None
    data_read: bool = True
    remarks: list[str] = field(default_factory=list)
    evaluations: dict[str, int] = field(default_factory=dict)


MANY = 32  # network evaluations from which on a reconstruction is not tried: without data it costs seconds too


def check(recipe: Recipe) -> Findings:
    """Walk the pipeline. Raises RecipeFaults where it does not fit, ResourceError where it cannot fit into memory."""
    remarks: list[str] = []
    space, dataset = _declared(recipe, remarks)
    classes = len(dataset.classes) if dataset else 0
    with torch.device("meta"):
        pipeline = build_pipeline(recipe, space)
        if dataset:
            require_classes(pipeline, recipe, classes)
        build_control(recipe, space)
        metrics = build_metrics(recipe, space)
        step = Step(pipeline)
    _require_turns(step, recipe)
    parameters = {name: sum(p.numel() for p in step.parameters_of(name)) for name in step.objectives}
    weights = sum(t.numel() * t.element_size() for t in pipeline.state_dict().values())
    _refuse_if_larger(weights * 5, "weights, gradients, averages and optimizer")
    flops, saved = _trace(step, recipe, space, classes, remarks)
    batches = 2 * 4 * recipe.train.batch_size * space.numbers  # this one, and the next one that is being fetched
    memory = weights * 5 + saved + batches * bool(step.objectives)
    if not pipeline.samples:
        remarks.append("this pipeline does not sample: give it a `sampler`, or take it as a baseline of reconstruction")
    if not pipeline.objectives():
        remarks.append("nothing to train: the generator is fitted to the data")
    if dataset and not classes:
        remarks += [without_classes(metric) for metric in metrics if metric.needs_classes]
        remarks += dataset.remarks
    for module in pipeline.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            remarks.append(
                "batch statistics couple the samples of a shard: results depend on train.shards, and averaged weights are "
                "evaluated with the statistics of the last ones"
            )
            break
    _refuse_if_larger(memory, "a training step", recipe)
    latent = getattr(innermost(pipeline), "latent", None)
    numbers = latent.numbers if latent is not None else None
    read, evaluations = dataset is not None, pipeline.evaluations_with(None)
    return Findings(_walk(recipe, pipeline), parameters, flops, memory, numbers, read, remarks, evaluations)


def _require_turns(step: Step, recipe: Recipe) -> None:
    """Raise RecipeFaults for an objective that no step of the training trains."""
    steps = recipe.train.steps
    for name, objective in step.objectives.items():
        if steps and not objective.times(steps, steps):
            reason = f"{name} is trained in none of the {steps} steps"
            remedy = "raise train.steps, or give it a larger share of them"
            raise located(SpaceError(step.generator, reason, remedy), recipe.part("generator"))


def innermost(generator: Generator) -> Generator:
    """The generator inside however many pipelines."""
    while isinstance(generator, Pipeline):
        generator = generator.generator
    return generator


def _declared(recipe: Recipe, remarks: list[str]) -> tuple[ImageSpace, Dataset | None]:
    """The space of the images, and the data set if it can be read."""
    node = recipe.part("data")
    try:
        dataset: Dataset = build(node)
        return dataset.space, dataset
    except DataError as error:
        declared = node.owner.declares(**node.values)
        if declared is None:
            raise
        remarks.append(f"the declared size is taken, since the data cannot be read: {_brief(str(error))}")
        return declared, None


def _brief(message: str) -> str:
    """What was found and what to do, of a message's clauses, in at most 150 characters; a long path loses its middle."""
    found, *others = message.split("; ")
    remedy = next((clause for clause in others if "`wavekit " in clause), others[-1] if others else "")
    remedy = remedy[:60]
    room = 147 - len(remedy)
    if len(found) > room:
        found = f"{found[: room // 3]}…{found[len(found) - room + room // 3 + 1 :]}"
    return f"{found}; {remedy}" if remedy else found


def _walk(recipe: Recipe, pipeline: Pipeline) -> list[tuple[str, str]]:
    """(name, space) after each part, nested pipelines included."""
    rows = [(recipe.part("data").entry.name, str(pipeline.spaces[0]))]
    registry = installed()
    inner: Generator = pipeline
    while isinstance(inner, Pipeline):
        parts = zip(inner.transforms, inner.spaces[1:], strict=True)
        rows += [(registry.name_of(type(transform)), str(space)) for transform, space in parts]
        inner = inner.generator
    latent = getattr(inner, "latent", None)
    rows.append((registry.name_of(type(inner)), str(latent) if latent else f"a model of {inner.space}"))
    if pipeline.sampler is not None:
        rows.append((registry.name_of(type(pipeline.sampler)), str(pipeline.space)))
    return rows


def _trace(step: Step, recipe: Recipe, space: ImageSpace, classes: int, remarks: list[str]) -> tuple[int | None, int]:
    """FLOPs of a step and bytes of saved activations, by running it on the meta device. A model may read values, which are
    not there: then the cost is not known. Any other fault of its code is one."""
    count = recipe.train.batch_size // recipe.train.shards
    weights = {t.untyped_storage()._cdata for t in step.state_dict().values()}
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()  # views share it; a later, smaller view must not stand for the whole
        if storage._cdata not in weights:
            saved[storage._cdata] = storage.nbytes()
        return tensor

    flops, largest = 0, 0
    try:
        with torch.device("meta"):
            labels = torch.zeros(count, dtype=torch.int64) if classes else None
            batch = Batch(space.zeros(count, "meta"), labels)
            for name in step.objectives:
                saved.clear()
                with (
                    seeded(recipe.seed, "check", name),  # what a loss computes may depend on chance
                    FlopCounterMode(display=False) as counter,
                    torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t),
                ):
                    step(name, batch).value.backward()
                objective = step.objectives[name]
                often = (objective.during[1] - objective.during[0]) / objective.every
                flops += round(counter.get_total_flops() * recipe.train.shards * often)
                largest = max(largest, sum(saved.values()))
            evaluations = sum(step.generator.evaluations_with(None).values())
            if step.objectives and step.generator.reconstructs and evaluations <= MANY:
                with torch.no_grad():
                    step.generator.reconstruct(batch.data)
    except Exception as error:
        if not (isinstance(error, NotImplementedError) or "meta" in str(error).lower()):
            raise
        remarks.append(f"the cost of a step is not known without data: {str(error)[:100]}")
        return None, 0
    return flops, largest


def _refuse_if_larger(needed: int, what: str, recipe: Recipe | None = None) -> None:
    available = _memory()
    if needed > available:
        advice = "make the model smaller" if recipe is None else "make train.batch_size smaller, or train.shards larger"
        raise ResourceError(
            f"{what} would need {needed / 1e9:.1f} GB and the machine has {available / 1e9:.1f} GB; {advice}"
        )


def _memory() -> int:
    with contextlib.suppress(OSError), open("/proc/meminfo") as file:  # Linux alone has it
        for line in file:
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    return 1 << 62
