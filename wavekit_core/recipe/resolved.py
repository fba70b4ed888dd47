"""The resolved recipe: every default filled in, and where each value came from."""

from __future__ import annotations

import difflib
import io
from pathlib import PurePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from wavekit_core.recipe.nodes import DEFAULT, Checked
from wavekit_core.recipe.recipe import Recipe


def text(recipe: Recipe) -> str:
    """YAML that runs as it is; the comments name the origin of every value."""
    return _dump(_mapping(recipe.checked))


def values_text(plain: Any) -> str:
    """A plain recipe as YAML without comments."""
    return _dump(plain)


def difference(old: str, recipe: Recipe) -> list[str]:
    """Lines of a unified difference between the values of an older resolved recipe and this one."""
    before = values_text(YAML(typ="safe", pure=True).load(old)).splitlines()
    after = values_text(recipe.plain()).splitlines()
    return [
        line for line in difflib.unified_diff(before, after, lineterm="", n=0) if line[:2] not in ("--", "++", "@@")
    ]


def _dump(data: Any) -> str:
    yaml = YAML()
    yaml.width = 4096
    out = io.StringIO()
    yaml.dump(data, out)
    return out.getvalue()


def _mapping(checked: Checked) -> CommentedMap:
    mapping = CommentedMap()
    plain = checked.plain()
    if checked.entry:
        mapping["use"] = plain["use"]
    for name, value in plain.items():
        if name == "use" and checked.entry:
            continue
        child = checked.children.get(name)
        if isinstance(child, list):
            mapping[name] = CommentedSeq(_mapping(one) for one in child)
        elif child is not None:
            mapping[name] = _mapping(child)
        else:
            mapping[name] = _settings(value, checked, name) if isinstance(value, dict) else value
            if not isinstance(value, dict):
                mapping.yaml_add_eol_comment(_origin(checked.origins[name]), name)
    return mapping


def _settings(value: dict[str, Any], checked: Checked, name: str) -> CommentedMap:
    mapping = CommentedMap(value)
    given = checked.value.get(name)
    for key in value:
        here = given.get(key) if given else None
        mapping.yaml_add_eol_comment(_origin(str(here.mark) if here else DEFAULT), key)
    return mapping


def _origin(mark: str) -> str:
    if mark.startswith("-s "):
        return mark.split("=")[0]
    if mark == DEFAULT or mark.startswith(f"{DEFAULT} of "):
        return DEFAULT
    return PurePath(mark).name.rsplit(":", 1)[0]
