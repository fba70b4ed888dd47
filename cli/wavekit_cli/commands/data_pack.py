"""wavekit data pack"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, echo

from wavekit_cli.commands.run import DataRoot, Settings, use_data_root

EXACT = 1e-5  # what float32 makes of k / 255 · 255


def command(
    target: Annotated[str, Argument(help="A data set's name, or a recipe.")],
    out: Annotated[Path, Option("--out", "-o", help="The folder to write; it must not exist.")],
    per_shard: Annotated[int, Option(min=1, max=10_000_000, help="Images of one file.")] = 10_000,
    settings: Settings = None,
    data_root: DataRoot = None,
) -> None:
    """Write a data set as 8-bit shards, for `{use: shards, path: DIR}`: larger than memory, and decoded once."""
    use_data_root(data_root)
    from wavekit_cli.commands.data_info import dataset_of
    from wavekit_cli.console import watcher
    from wavekit_core.data.pack import pack

    dataset = dataset_of(target, settings)
    view = watcher()
    rounding = pack(dataset, out, per_shard, " ".join([target, *(settings or ())]), view)
    if rounding > EXACT:
        view.warn(f"the images are not of 8 bits; rounding changed them by up to {rounding:.4f}")
    echo(out)
