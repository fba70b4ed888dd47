"""wavekit data info"""

from __future__ import annotations

import os
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

    dataset = dataset_of(target, settings)
    echo(f"{dataset.space}")
    echo(f"training {len(dataset.train):,}, held out {len(dataset.held_out):,}")
    if dataset.classes:
        echo(f"{len(dataset.classes)} classes: {', '.join(dataset.classes)}")
    sample = dataset.train.batch(np.arange(min(1000, len(dataset.train)))).data
    echo(f"mean {sample.mean():.4f}, standard deviation {sample.std():.4f} (first {len(sample):,} training images)")
    echo(f"sha256 {dataset.digest()}")


def dataset_of(target: str, settings: list[str] | None) -> Any:
    """The data set of that name with the parameters `settings`, or that of a recipe under `settings`."""
    from wavekit_core.errors import RecipeError
    from wavekit_core.recipe.nodes import build, build_named
    from wavekit_core.recipe.recipe import load
    from wavekit_core.recipe.source import parse
    from wavekit_core.registry import installed, nearest

    names = installed().names("dataset")
    if target in names or (":" in target and not os.path.exists(target)):
        pairs = [setting.partition("=") for setting in settings or ()]
        if wrong := [key for key, equals, _ in pairs if not (key and equals)]:
            raise RecipeError(f"-s {wrong[0]}: a setting is written key=value, for example -s size=16")
        return build_named("dataset", {"use": target} | {key: parse(v, "-s").plain() for key, _, v in pairs})
    path = Path(target)
    recipes = installed().recipes()
    if path.suffix in (".yaml", ".yml") or len(path.parts) != 1 or os.path.exists(path) or target in recipes:
        return build(load(path, settings or ()).part("data"))
    near = nearest(target, [*names, *recipes])
    hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(names)}"
    raise RecipeError(f"no data set and no recipe is called {target!r:.60}; {hint}")
