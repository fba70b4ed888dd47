"""A Python environment to install into: empty, but it sees the packages of this one. And wheels made by hand."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# pip in the tests: no index, no isolated builds, which would fetch hatchling
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}


def environment(folder: Path) -> Path:
    """The interpreter of a new virtual environment; what pip installs with it stays in `folder`."""
    venv.create(folder, symlinks=True, with_pip=False)
    own = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    here = [path for path in site.getsitepackages() if Path(path).is_dir()]
    (own / "below.pth").write_text("import site; " + "; ".join(f"site.addsitedir({path!r})" for path in here) + "\n")
    return folder / "bin" / "python"


def wavekit_in(python: Path, folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """`wavekit argv` of that environment, called in `folder`."""
    return called(folder, python, "-m", "wavekit_cli", *argv)


def called(folder: Path, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | OFFLINE | {"OMP_NUM_THREADS": "1"}
    env.pop("PYTHONPATH", None)
    return subprocess.run(
        [str(part) for part in argv], capture_output=True, text=True, cwd=folder, env=env, stdin=subprocess.DEVNULL
    )


def wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    requires: Sequence[str] = (),
    points: Mapping[str, Mapping[str, str]] | None = None,
    source: str = "",
) -> Path:
    """Write a wheel of one module, with requirements and entry points."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    entries = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in inside.items())
        for group, inside in (points or {}).items()
    )
    files = {
        f"{module}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {one}\n" for one in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": entries,
    }
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in files.items():
            archive.writestr(place, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{place},,\n" for place in (*files, f"{info}/RECORD")))
    return path
