"""A recipe from its parts: the file, what it extends, and the settings of the command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from wavekit_core.recipe.faults import Fault, Mark, RecipeFaults
from wavekit_core.recipe.source import Value, parse, read
from wavekit_core.registry import installed, nearest


def compose(path: Path, settings: Sequence[str] = ()) -> Value:
    """The recipe at `path` (a file, or the name of a shipped recipe), over what it `extends`, under `-s key=value`."""
    value = _extended(locate(path), ())
    for setting in settings:
        value = _set(value, setting)
    return value


def locate(path: Path) -> Path:
    """The file of a recipe: the path itself, or a shipped recipe of that name."""
    if path.suffix in (".yaml", ".yml") or len(path.parts) != 1 or os.path.exists(path):
        return path
    shipped = installed().recipes()
    if path.name in shipped:
        return shipped[path.name]
    near = nearest(path.name, list(shipped))
    hint = f"did you mean {near!r}?" if near else "`wavekit recipes list` shows the shipped ones"
    raise RecipeFaults([Fault(Mark(str(path)), f"is neither a file nor a shipped recipe; {hint}")])


def _extended(path: Path, above: tuple[Path, ...]) -> Value:
    value = read(path)
    if not isinstance(value.data, dict):
        raise RecipeFaults(
            [Fault(value.mark, "a recipe is a mapping: `key: value` lines, with `data` and `generator`")]
        )
    parent = value.data.pop("extends", None)
    if parent is None:
        return value
    if not isinstance(parent.data, str):
        raise RecipeFaults([Fault(parent.mark, "`extends` takes the path or name of one other recipe")])
    chain = (*above, path.resolve())
    shipped = installed().recipes()
    base = shipped.get(parent.data) or path.parent / parent.data
    if base.resolve() in chain:
        raise RecipeFaults([Fault(parent.mark, f"extends {parent.data!r}, which extends this recipe: a circle")])
    try:
        return merge(_extended(base, chain), value)
    except RecipeFaults as error:
        if any(fault.mark.file == str(base) and not fault.mark.line for fault in error.faults):
            raise RecipeFaults([Fault(parent.mark, f"extends {parent.data!r}: {error.faults[0].message}")]) from None
        raise


def merge(base: Value, over: Value) -> Value:
    """`over` on top of `base`: mappings key by key, everything else replaced. A mapping that names another component with
    `use` replaces the old one whole."""
    if not (isinstance(base.data, dict) and isinstance(over.data, dict)):
        return over
    old, new = base.get("use"), over.get("use")
    if new is not None and (old is None or old.data != new.data):
        return over
    data = dict(base.data)
    for key, value in over.data.items():
        data[key] = merge(data[key], value) if key in data else value
    return Value(data, over.mark, base.keys | over.keys)


def _set(root: Value, setting: str) -> Value:
    """`root` with one `a.b.0.c=value` in its place; the value is YAML."""
    mark = Mark(f"-s {setting}")
    path, equals, text = setting.partition("=")
    parts = path.split(".")
    if not equals or not all(parts):
        raise RecipeFaults([Fault(mark, "a setting is written key=value, for example -s train.steps=100")])
    if (
        parts[0] == "grid" and len(parts) > 2
    ):  # an axis is one key, with its dots; labels lie below one that is a mapping
        axis = root.at(parts[:1]).get(parts[1])
        if axis is None or not isinstance(axis.data, dict):
            parts = ["grid", ".".join(parts[1:])]
    value = _remarked(parse(text, mark.file), mark) if text.strip() else Value(None, mark)
    return put(root, parts, value, mark)


def put(root: Value, path: Sequence[str], value: Value, key: Mark) -> Value:
    """`root` with `value` merged in at `path`; `root` stays as it is. What is missing on the way is made, and its keys stand at
    `key`. Raises RecipeFaults for a path through a plain value or past the end of a list."""
    if not path:
        return merge(root, value)
    first, rest = path[0], path[1:]
    if isinstance(root.data, list):
        if not first.isdecimal() or int(first) >= len(root.data):
            raise RecipeFaults([Fault(key, f"{first!r} is no index of a list of {len(root.data)}; the first is 0")])
        items = list(root.data)
        items[int(first)] = put(items[int(first)], rest, value, key)
        return Value(items, root.mark)
    if not isinstance(root.data, dict | None):
        raise RecipeFaults([Fault(key, f"{first!r} cannot be set below the plain value {root.data!r:.40}")])
    data = root.data or {}
    inner = data.get(first)
    made = put(inner or Value({}, key), rest, value, key) if rest or inner else value
    return Value(data | {first: made}, root.mark, {first: key} | root.keys | ({} if rest else {first: key}))


def _remarked(value: Value, mark: Mark) -> Value:
    """The value with all positions replaced by the setting itself."""
    if isinstance(value.data, dict):
        data = {key: _remarked(child, mark) for key, child in value.data.items()}
        return Value(data, mark, dict.fromkeys(data, mark))
    if isinstance(value.data, list):
        return Value([_remarked(child, mark) for child in value.data], mark)
    return Value(value.data, mark)
