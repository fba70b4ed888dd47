"""A run, opened in Python:

from wavekit_core import open_run

run = open_run("runs/quickstart")
images = run.sample(16, label=3)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wavekit_core.engine import checkpoint
from wavekit_core.errors import DamagedError, RecipeError
from wavekit_core.kinds import Sampler
from wavekit_core.pipeline import Pipeline
from wavekit_core.recipe.compose import compose
from wavekit_core.recipe.nodes import build
from wavekit_core.recipe.recipe import Recipe, from_value
from wavekit_core.recipe.source import parse
from wavekit_core.runs.folder import RunFolder
from wavekit_core.session import Images, Session, choose_device, use_threads
from wavekit_core.spaces import ImageSpace
from wavekit_core.watch import Watcher
from wavekit_core.watched import Callback


def recipe_of(folder: RunFolder) -> Recipe:
    """The recipe of a run, from its resolved form."""
    path = folder.path / "resolved.yaml"
    return from_value(parse(folder.head()["resolved.yaml"].decode(), str(path)))


def load_model(
    recipe: Recipe,
    folder: RunFolder,
    device: torch.device,
    step: int | None = None,
    watcher: Watcher | None = None,
) -> tuple[Session, int]:
    """A session with the averaged weights of a checkpoint in place: the newest, or that of `step`.

    Raises DamagedError if that checkpoint is damaged (no other is taken in its stead), RecipeError if there is none.
    """
    kept = folder.steps()
    if not kept or step not in (None, *kept):
        asked = "has no checkpoint yet" if not kept else f"has no checkpoint of step {step}"
        steps = ", ".join(map(str, kept)) or "none"
        raise RecipeError(f"{folder.path}: {asked}; there are steps: {steps} (train.keep says how many stay)")
    chosen = kept[-1] if step is None else step
    try:
        files = folder.checkpoint_files(chosen)
        lock = folder.lock()
        use_threads(int(lock["threads"]))
        session = Session(
            recipe, device, watcher, images=Images(ImageSpace(**lock["space"]), lock["classes"], lock["data"])
        )
        checkpoint.load_weights(session.pipeline, files, averaged=True)
        session.pipeline.to(device).eval()
        if chosen in folder.sample_steps():
            checkpoint.load_samplers(session.pipeline, folder.sample_files(chosen))
        else:
            session.fit_sampler(chosen)
    except DamagedError as error:
        others = ", ".join(str(one) for one in kept if one != chosen) or "none"
        raise DamagedError(f"{error}; choose another checkpoint with --at (steps: {others})") from None
    return session, chosen


def open_run(
    path: Path | str, step: int | None = None, device: str = "auto", watcher: Watcher | None = None
) -> OpenRun:
    """The run in a folder that `wavekit run` made, with the averaged weights of its newest checkpoint or that of `step`, on
    `device` (auto, cpu, cuda or cuda:N). Torch computes with the run's number of threads from then on.

    Raises RecipeError if there is no such run or step, DamagedError for a damaged file, ResourceError for a device that is not
    there.
    """
    folder = RunFolder(Path(path))
    session, found = load_model(recipe_of(folder), folder, choose_device(device), step, watcher)
    return OpenRun(folder, session, found)


class OpenRun:
    """A run with its weights in place. `step` is that of its checkpoint; `session` knows data space, classes and recipe."""

    def __init__(self, folder: RunFolder, session: Session, step: int):
        self.folder, self.session, self.step = folder, session, step

    @property
    def model(self) -> Pipeline:
        """Transforms, generator and sampler as one generator of images, on the device."""
        return self.session.pipeline

    def sample(
        self, count: int, label: int | None = None, sampler: Sampler | None = None, callback: Callback | None = None
    ) -> Tensor:
        """New images (count, C, H, W) on the CPU, floats from `session.space.low` to `session.space.high` in steps of 8 bits.
        Image i is that of `wavekit sample`, whatever the count.

        Args:
            label: the class that all shall have; every class in turn by default.
            sampler: draws instead of the recipe's, for example `Heun(steps=8)`.
            callback: told of every step. `callback(step, sigma, x, denoised)` by a sampler of score and flow models, with the
                normalised elements (B, …) of the batch that is being drawn, `samples.batch_size` images;
                `callback(step, stage, tokens)` by one of tokens, with how many stages the whole batch has finished, and all that
                is written so far (B, L), on the CPU. `model.invert(tokens)` are images.

        Raises RecipeError for a model that does not sample, a class that there is not, a sampler that cannot draw from this
        model, and a callback where the sampler takes none.
        """
        if count < 1:
            raise RecipeError(f"count is {count}; at least one image is drawn")
        model = self.model if sampler is None else self.session.with_sampler(sampler, self.step)
        if not model.samples:
            raise RecipeError(f"{self.folder.path}: this model does not sample; give its recipe a `sampler`")
        self.session.require_label(model, label)
        return self.session.draw(model, count, label, callback)[0]

    def reconstruct(self, images: Tensor) -> Tensor:
        """What the model makes of images (N, C, H, W) of the data's range, in steps of 8 bits, on the CPU. Raises RecipeError for
        images of another form, and a model that gives none back."""
        space = self.session.space
        if not self.model.reconstructs:
            raise RecipeError(f"{self.folder.path}: this model does not reconstruct; it draws new images alone")
        if not isinstance(images, Tensor) or not len(images) or not space.holds(images, len(images)):
            shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise RecipeError(f"images are {shape}; the model is one of {space}; give a tensor (N, C, H, W) of these")
        return self.session.reconstruct(self.model, images.to(torch.float32))


def changed_sampler(folder: RunFolder, settings: Sequence[str]) -> Sampler:
    """The sampler of a run's recipe under settings such as `sampler.steps=8`. Raises RecipeError for a setting of anything else,
    which training has fixed, and RecipeFaults for one that no sampler has."""
    for setting in settings:
        key = setting.partition("=")[0]
        if key.split(".")[0] != "sampler":
            raise RecipeError(f"-s {setting}: the run is trained, and only its sampler can change; write -s sampler.…")
    folder.head()  # checks the recipe that is read next
    node = from_value(compose(folder.path / "resolved.yaml", settings)).part("sampler")
    if node is None:
        raise RecipeError(f"-s {' '.join(settings)}: leaves no sampler; name one, as -s 'sampler={{use: …}}'")
    sampler: Sampler = build(node)
    return sampler
