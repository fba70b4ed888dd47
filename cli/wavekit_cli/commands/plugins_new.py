"""wavekit plugins new"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, echo

from wavekit_core import catalogue
from wavekit_core.errors import RecipeError
from wavekit_core.kinds import KINDS
from wavekit_core.registry import installed, nearest
from wavekit_core.runs.publish import TEMPORARY, disk_faults

TEMPLATES = Path(__file__).parents[1] / "templates"
# what stands in the templates' folders, and where it goes; `my-part` becomes the name
COMMON = {"pyproject.toml": "pyproject.toml", "README.md": "README.md"}
OWN = {
    "part.py": "wavekit_my_part/__init__.py",
    "recipe.yaml": "wavekit_my_part/recipes/my-part.yaml",
    "laws.py": "tests/test_my_part.py",
}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def command(
    kind: Annotated[str, Argument(help=f"What it shall be: {', '.join(KINDS)}.")],
    name: Annotated[str, Argument(help="Its name in recipes; the package is called wavekit-NAME.")],
    out: Annotated[Path | None, Option(help="The folder to write (default: wavekit-NAME here).")] = None,
) -> None:
    """Write a small complete plugin package: a class that works, its tests, a recipe that runs it."""
    if kind not in KINDS:
        near = nearest(kind, list(KINDS))
        hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(KINDS)}"
        raise RecipeError(f"no kind of component is called {kind!r:.60}; {hint}")
    _require_free(name)
    files = _written(kind, name)
    folder = out or Path(f"wavekit-{name}")
    if folder.exists() or folder.is_symlink():
        raise RecipeError(f"{folder}: exists, and nothing is overwritten; name another folder with --out")
    _write(folder, files)
    echo(f"{folder}: a {kind} that works; the class is in wavekit_{name.replace('-', '_')}/__init__.py. Next:")
    echo(f"  pip install -e {shlex.quote(str(folder) if folder.is_absolute() else f'./{folder}')}")
    echo(f"  wavekit plugins test {name}")
    echo(f"  wavekit run {name}")


def _require_free(name: str) -> None:
    """Raises RecipeError for a name that cannot be a component's and a distribution's, or that somebody has."""
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise RecipeError(
            f"{name!r:.60} cannot name a component and its package; take at most 40 lower-case letters and digits, "
            "words joined by single hyphens, the first a letter"
        )
    if name.startswith("wavekit"):
        raise RecipeError(f"{name!r}: the package would be called wavekit-{name}; leave `wavekit` out")
    for entry in installed().all():
        if entry.name == name and entry.kind not in ("hooks", "recipes"):
            raise RecipeError(f"{name!r} is a {entry.kind} of {entry.distribution}; choose another name")
    for plugin in catalogue.plugins():
        owned = {component.name: component.kind for component in plugin.components}
        if name == plugin.name or name in owned:
            what = f"a {owned[name]}" if name in owned else "a plugin"
            raise RecipeError(
                f"{name!r} is {what} of the catalogue, in {plugin.distribution} ({plugin.status}); choose another name"
            )
    if path := installed().recipes().get(name):
        raise RecipeError(f"{name!r} is a recipe that is installed, {path}; choose another name")
    try:
        found = version(f"wavekit-{name}")
    except PackageNotFoundError:
        return
    raise RecipeError(f"wavekit-{name} {found} is installed; choose another name")


def _written(kind: str, name: str) -> dict[str, bytes]:
    """The package's files by their path in it. Raises RecipeError if the class would hide what its module imports."""
    class_name = "".join(part.capitalize() for part in name.split("-"))
    source = (TEMPLATES / kind / "part.py").read_text()
    if class_name in ("None", "True", "False") or re.search(rf"\b{class_name}\b", source):
        raise RecipeError(
            f"the class of {name!r} would be called {class_name}, a name that is taken; choose another name"
        )
    words = {"my-part": name, "my_part": name.replace("-", "_"), "MyPart": class_name, "a-kind": kind}

    def filled(text: str) -> str:
        return re.sub("|".join(words), lambda match: words[match[0]], text)

    places = {TEMPLATES / file: place for file, place in COMMON.items()}
    places |= {TEMPLATES / kind / file: place for file, place in OWN.items()}
    return {filled(place): filled(path.read_text()).encode() for path, place in places.items()}


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Make the folder with these files; whatever ends it early, no half of it is seen under its name. Raises ResourceError."""
    temporary = folder.parent / f"{TEMPORARY}{folder.name}"
    with disk_faults(folder):
        try:
            for name, content in files.items():
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            os.rename(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
