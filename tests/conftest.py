"""Fixtures: plugins installed for one test, and the command line in this process."""

from __future__ import annotations

import importlib
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from wavekit_core import registry

torch.set_num_threads(1)
FIXTURES = Path(__file__).parent / "fixtures"

# a plugin's module with the smallest legal transform
SAME = """
    from wavekit_core.kinds import Transform

    class Same(Transform):
        def target(self, source):
            return source

        def forward(self, x):
            return x

        def inverse(self, y):
            return y
"""


def install(
    folder: Path, distribution: str, source: str, points: dict[str, dict[str, str]], version: str = "1.0"
) -> Path:
    """Lay a distribution down in `folder` as pip would: one module and its metadata."""
    module = distribution.replace("-", "_")
    (folder / f"{module}.py").write_text(textwrap.dedent(source))
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in points.items()
    )
    (info / "entry_points.txt").write_text(text)
    return info


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """`plugins(distribution, source, points)` installs a plugin for this test alone."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    made: list[str] = []

    def make(distribution: str, source: str, points: dict[str, dict[str, str]], version: str = "1.0") -> Path:
        made.append(distribution.replace("-", "_"))
        info = install(site, distribution, source, points, version)
        importlib.invalidate_caches()
        registry.installed.cache_clear()
        return info

    yield make
    registry.installed.cache_clear()
    for module in made:
        sys.modules.pop(module, None)


@pytest.fixture
def tiny_gan(plugins: Callable[..., Path]) -> None:
    """The component `tiny-gan`, two objectives with dropout."""
    source = (FIXTURES / "tiny_gan.py").read_text()
    plugins("tiny-gan", source, {"wavekit.v1.generator": {"tiny-gan": "tiny_gan:TinyGan"}})


@pytest.fixture
def wavekit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple]:
    """`wavekit("check", "x.yaml")` gives (exit code, standard output, standard error), in a folder of its own."""
    from wavekit_cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAVEKIT_DATA_ROOT", os.environ.get("WAVEKIT_DATA_ROOT", ""))  # --data-root sets it

    def call(*argv: str | Path) -> tuple[int, str, str]:
        code = main([str(part) for part in argv])
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], Path]:
    """Write a recipe file and give its path."""

    def write(text: str, name: str = "recipe.yaml") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    return write
