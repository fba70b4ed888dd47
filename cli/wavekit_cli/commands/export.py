"""wavekit export"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option, echo

SAME = 1e-5  # of the largest value: a difference that rounding explains


def command(
    run: Annotated[Path, Argument(help="A run folder.")],
    folder: Annotated[Path, Argument(metavar="DIR", help="A new or empty folder.")],
    to: Annotated[Literal["diffusers"], Option(help="The library: a folder of its UNet2DModel.")] = "diffusers",
    at: Annotated[int | None, Option(metavar="STEP", help="A checkpoint's step (default: the newest).")] = None,
) -> None:
    """Write the trained U-Net of a score model, or of a cascade's coarse stage, for another library; or say why it cannot be."""
    from wavekit_cli.console import watcher
    from wavekit_core.diffusers_unet import difference, files_of, network_of, obstacles
    from wavekit_core.errors import RecipeError, WavekitError
    from wavekit_core.opened import open_run
    from wavekit_core.runs.publish import disk_faults, publish_file

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecipeError(f"{folder}: is not empty; name a new or an empty folder")
    network = network_of(open_run(run, at, "cpu", watcher()).model)
    if reasons := obstacles(network):
        listed = "".join(f"\n- {reason}" for reason in reasons)
        raise RecipeError(f"{run}: cannot be written as a UNet2DModel that computes the same:{listed}")
    with disk_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, content in files_of(network).items():  # type: ignore[arg-type]
        publish_file(folder / name, content)
    try:
        off = difference(network, str(folder))  # type: ignore[arg-type]
    except ImportError:
        echo("diffusers is not installed here, so what was written has not been compared", err=True)
    else:
        if not off <= SAME:
            raise WavekitError(f"{folder}: diffusers computes something else with it (by {off:.2g}); do not use it")
        echo(f"diffusers computes the same with it, up to {off:.1g} of the largest value", err=True)
    echo(
        f"timestep: 64 times what the network is given as noise; class label: that of the data + 1, 0 for none\n{folder}"
    )
