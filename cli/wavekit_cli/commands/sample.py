"""wavekit sample"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, echo

from wavekit_cli.commands.run import DataRoot, Device, use_data_root


def command(
    run: Annotated[Path, Argument(help="A run folder.")],
    count: Annotated[int, Option("--count", "-n", min=1, max=1_000_000, help="How many images.")] = 64,
    label: Annotated[int | None, Option(min=0, help="The class that all shall have (default: each in turn).")] = None,
    at: Annotated[int | None, Option(metavar="STEP", help="A checkpoint's step (default: the newest).")] = None,
    out: Annotated[
        Path | None, Option("--out", "-o", help="FILE.png: a grid; FILE.npz: arrays; a folder: one PNG an image.")
    ] = None,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Draw new images from a run. Image i is the same whatever the count."""
    use_data_root(data_root)
    from wavekit_cli.console import watcher
    from wavekit_cli.pictures import write_images
    from wavekit_core.errors import RecipeError
    from wavekit_core.run import load_model, recipe_of
    from wavekit_core.runs.folder import RunFolder
    from wavekit_core.session import choose_device

    folder = RunFolder(run)
    recipe = recipe_of(folder)
    session, step = load_model(recipe, folder, choose_device(device), at, watcher())
    if not session.pipeline.samples:
        raise RecipeError(f"{run}: this model does not sample; give its recipe a `sampler`")
    classes = session.classes
    if label is not None and not (classes and session.pipeline.conditional):
        raise RecipeError(f"--label {label}: this model was trained without classes; leave --label out")
    if label is not None and label >= len(classes):
        raise RecipeError(f"--label {label}: there are {len(classes)} classes, from 0")
    images, labels = session.draw(session.pipeline, count, label)
    target = out or Path(f"{recipe.name}-step-{step}.png")
    write_images(
        images,
        labels if session.pipeline.conditional else None,
        session.space,
        max(8, min(10, len(classes) or 8)),
        target,
    )
    echo(target)
