"""wavekit recipes copy"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, echo

from wavekit_core.errors import RecipeError
from wavekit_core.recipe.compose import locate
from wavekit_core.runs.publish import publish_file


def command(
    name: Annotated[str, Argument(help="A shipped recipe.")],
    to: Annotated[Path | None, Argument(help="Where to (default: NAME.yaml here).")] = None,
) -> None:
    """Copy a shipped recipe to a file of your own. Never overwrites."""
    source = locate(Path(name))
    target = to or Path(f"{Path(name).stem}.yaml")
    if target.exists():
        raise RecipeError(f"{target}: exists; name another file")
    publish_file(target, source.read_bytes())
    echo(target)
