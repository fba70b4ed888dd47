"""The catalogue and the plugins' folders tell the same story."""

import tomllib
from pathlib import Path

from wavekit_core import catalogue

ROOT = Path(__file__).parents[1]


def test_every_plugin_folder_is_in_the_catalogue_and_back():
    assert {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir()} == {
        p.name for p in catalogue.plugins()
    }


def test_the_catalogue_lists_what_each_plugin_registers():
    for plugin in catalogue.plugins():
        project = tomllib.loads((ROOT / "plugins" / plugin.name / "pyproject.toml").read_text())["project"]
        assert project["name"] == plugin.distribution
        registered = {
            (group.removeprefix(f"wavekit.v{plugin.api}."), name)
            for group, points in project.get("entry-points", {}).items()
            for name in points
        }
        components = {(kind, name) for kind, name in registered if kind not in ("hooks", "recipes")}
        if plugin.status == "planned":
            assert not registered, f"{plugin.name} is planned and registers something"
        else:
            assert components == {(c.kind, c.name) for c in plugin.components}
        assert (ROOT / plugin.documentation).exists()


def test_the_packaged_catalogue_is_the_root_file():
    assert (ROOT / "wavekit_core" / "registry.yaml").resolve() == ROOT / "registry.yaml"
