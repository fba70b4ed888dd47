"""wavekit data download"""

from __future__ import annotations

from typing import Annotated

from typer import Argument, echo

from wavekit_cli.commands.run import DataRoot, use_data_root


def command(
    name: Annotated[str, Argument(help="mnist, fashion-mnist or cifar10.")],
    data_root: DataRoot = None,
) -> None:
    """Fetch a named data set from its official address into the data root, and check it. No other command uses the network."""
    use_data_root(data_root)
    from wavekit_cli.console import watcher
    from wavekit_core.data.download import SETS, download
    from wavekit_core.data.files import data_root as root_of
    from wavekit_core.errors import RecipeError
    from wavekit_core.registry import nearest

    if name not in SETS:
        near = nearest(name, list(SETS))
        hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(SETS)}"
        raise RecipeError(f"no data set that can be downloaded is called {name!r:.60}; {hint}")
    root = root_of(None)
    if root is None:
        raise RecipeError(f"{name}: no folder to put it into; name one by --data-root or WAVEKIT_DATA_ROOT")
    echo(download(name, root, watcher()))
