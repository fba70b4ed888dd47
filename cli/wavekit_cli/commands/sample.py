"""wavekit sample"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option, echo

from wavekit_cli.commands.run import DataRoot, Device, use_data_root

if TYPE_CHECKING:
    from torch import Tensor


def command(
    run: Annotated[Path, Argument(help="A run folder.")],
    count: Annotated[int, Option("--count", "-n", min=1, max=1_000_000, help="How many images.")] = 64,
    label: Annotated[int | None, Option(min=0, help="The class that all shall have (default: each in turn).")] = None,
    at: Annotated[int | None, Option(metavar="STEP", help="A checkpoint's step (default: the newest).")] = None,
    settings: Annotated[
        list[str] | None,
        Option("--set", "-s", metavar="KEY=VALUE", help="Another sampler: sampler.steps=8, or 'sampler={use: heun}'."),
    ] = None,
    out: Annotated[
        Path | None, Option("--out", "-o", help="FILE.png: a grid; FILE.npz: arrays; a folder: one PNG an image.")
    ] = None,
    previews: Annotated[
        bool, Option("--previews", help="Write the .png anew after each stage, coarse to fine, of a model of tokens.")
    ] = False,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Draw new images from a run. Image i is the same whatever the count."""
    use_data_root(data_root)
    from wavekit_cli.console import watcher
    from wavekit_cli.pictures import write_images
    from wavekit_core.errors import RecipeError
    from wavekit_core.opened import changed_sampler, open_run

    if out is not None and out.resolve().is_relative_to(run.resolve()):
        raise RecipeError(f"--out {out}: lies in the run folder, which holds what the run left; name another place")
    opened = open_run(run, at, device, watcher())
    session, model = opened.session, opened.model
    if settings:
        model = session.with_sampler(changed_sampler(opened.folder, settings), opened.step)
    if not model.samples:
        raise RecipeError(f"{run}: this model does not sample; give its recipe a `sampler`")
    session.require_label(model, label, "--label")
    target = out or Path(f"{session.recipe.name}-step-{opened.step}.png")
    columns = max(8, min(10, len(session.classes) or 8))
    if previews and target.suffix != ".png":
        raise RecipeError(f"--previews: {target} is no picture that can be watched; name a .png with --out")

    def preview(images: Tensor) -> None:
        write_images(images, None, session.space, columns, target)

    images, labels = session.draw(model, count, label, preview=preview if previews else None)
    write_images(images, labels, session.space, columns, target)
    echo(target)
