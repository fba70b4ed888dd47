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
    echo(f"training {_count(dataset, dataset.train)}, held out {_count(dataset, dataset.held_out)}")
    if dataset.classes:
        echo(f"{len(dataset.classes)} classes: {', '.join(dataset.classes)}")
    for remark in dataset.remarks:
        echo(f"note: {remark}")
    sample = dataset.train.batch(np.arange(min(1000, len(dataset.train)))).data
    echo(f"mean {sample.mean():.4f}, standard deviation {sample.std():.4f} (first {len(sample):,} training images)")
    echo(f"sha256 {dataset.digest()}")


def _count(dataset: Any, split: Any) -> str:
    """How many images; of tiles, also of how many files."""
    from wavekit_core.data.image_folder import ImageFolder

    tiles = isinstance(dataset, ImageFolder) and dataset.fit == "crop"
    return f"{len(split):,} tiles of {split.files:,} files" if tiles else f"{len(split):,}"


def dataset_of(target: str, settings: list[str] | None) -> Any:
    """The data set of that name with the parameters `settings`, or that of a recipe under `settings`."""
    from wavekit_core.errors import RecipeError
    from wavekit_core.kinds import KINDS
    from wavekit_core.recipe.faults import Fault, Mark, RecipeFaults
    from wavekit_core.recipe.nodes import build, check_node
    from wavekit_core.recipe.recipe import load
    from wavekit_core.recipe.source import Value, parse
    from wavekit_core.registry import installed, nearest

    names = installed().names("dataset")
    if target in names or (":" in target and not os.path.exists(target)):
        pairs = [setting.partition("=") for setting in settings or ()]
        if wrong := [key for key, equals, _ in pairs if not (key and equals)]:
            raise RecipeError(f"-s {wrong[0]}: a setting is written key=value, for example -s size=16")
        mark = Mark("command line")
        values = {key: Value(parse(value, "-s").plain(), Mark(f"-s {key}={value}")) for key, _, value in pairs}
        faults: list[Fault] = []
        checked = check_node(KINDS["dataset"], "data", Value({"use": Value(target, mark), **values}, mark), faults)
        if checked is None or faults:
            raise RecipeFaults(faults)
        return build(checked)
    path = Path(target)
    recipes = installed().recipes()
    if path.suffix in (".yaml", ".yml") or len(path.parts) != 1 or os.path.exists(path) or target in recipes:
        return build(load(path, settings or ()).part("data"))
    near = nearest(target, [*names, *recipes])
    hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(names)}"
    raise RecipeError(f"no data set and no recipe is called {target!r:.60}; {hint}")
