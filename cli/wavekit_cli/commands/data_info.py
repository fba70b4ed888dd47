"""wavekit data info"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, echo

from wavekit_cli.commands.run import DataRoot, Settings, use_data_root


def command(
    target: Annotated[str, Argument(help="A data set's name, or a recipe.")],
    settings: Settings = None,
    data_root: DataRoot = None,
) -> None:
    """A data set: sizes, classes, range, mean, digest. For a name, `-s size=16` sets a parameter."""
    use_data_root(data_root)
    import numpy as np

    from wavekit_core.recipe.nodes import build, build_named
    from wavekit_core.recipe.recipe import load
    from wavekit_core.recipe.source import parse
    from wavekit_core.registry import installed

    dataset: Any
    if ("dataset", target) in installed().entries:
        pairs = (setting.partition("=") for setting in settings or ())
        dataset = build_named("dataset", {"use": target} | {key: parse(v, "-s").plain() for key, _, v in pairs})
    else:
        dataset = build(load(Path(target), settings or ()).part("data"))
    echo(f"{dataset.space}")
    echo(f"training {len(dataset.train):,}, held out {len(dataset.held_out):,}")
    if dataset.classes:
        echo(f"{len(dataset.classes)} classes: {', '.join(dataset.classes)}")
    sample = dataset.train.batch(np.arange(min(1000, len(dataset.train)))).data
    echo(f"mean {sample.mean():.4f}, standard deviation {sample.std():.4f} (first {len(sample):,} training images)")
    echo(f"sha256 {dataset.digest()}")
