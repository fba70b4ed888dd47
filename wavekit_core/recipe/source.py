"""Reading a recipe's YAML with the position of every key and value.

A recipe is untrusted data: YAML 1.2, one document, no aliases, no tags, no duplicate keys, bounded in size and depth.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, MappingStartEvent, NodeEvent, ScalarEvent, SequenceStartEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from wavekit_core.recipe.faults import Fault, Mark, RecipeFaults

MAX_BYTES, MAX_DEPTH, MAX_NODES = 256 * 1024, 20, 20_000


@dataclass
class Value:
    """A YAML value that knows where it stands: `data` is a scalar, a list of Values or a dictionary of Values."""

    data: Any
    mark: Mark
    keys: dict[str, Mark] = field(default_factory=dict)  # of a mapping: where each key stands

    def plain(self) -> Any:
        if isinstance(self.data, dict):
            return {key: value.plain() for key, value in self.data.items()}
        if isinstance(self.data, list):
            return [value.plain() for value in self.data]
        return self.data

    def at(self, path: Sequence[str | int]) -> Value:
        """The value at a path below this one, as far as it is written down."""
        here = self
        for part in path:
            if (isinstance(here.data, dict) and part in here.data) or (
                isinstance(here.data, list) and isinstance(part, int) and part < len(here.data)
            ):
                here = here.data[part]  # type: ignore[index]
            else:
                break
        return here

    def get(self, key: str) -> Value | None:
        return self.data.get(key) if isinstance(self.data, dict) else None


def read(path: Path) -> Value:
    """The recipe file as a Value. Raises RecipeFaults with one fault."""
    return parse(_text(path), str(path))


def _text(path: Path) -> str:
    def refuse(what: str) -> RecipeFaults:
        return RecipeFaults([Fault(Mark(str(path)), what)])

    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise refuse("is no regular file; name a YAML recipe")
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise refuse("there is no such recipe; `wavekit recipes list` shows the shipped ones") from None
    except (OSError, ValueError) as error:
        raise refuse(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > MAX_BYTES:
        raise refuse(f"is larger than {MAX_BYTES // 1024} KiB; a recipe is a short text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse(f"is no UTF-8 text (byte {error.start}); save it as UTF-8") from None


def parse(text: str, file: str) -> Value:
    """YAML text as a Value. Raises RecipeFaults with one fault."""
    yaml = YAML(typ="safe", pure=True)
    lines = text.split("\n")

    def mark(position: Any) -> Mark:
        line = lines[position.line] if position and position.line < len(lines) else ""
        return Mark(file, position.line + 1, position.column + 1, line) if position else Mark(file)

    def refuse(what: str, position: Any) -> RecipeFaults:
        return RecipeFaults([Fault(mark(position), what)])

    try:
        _bound(yaml, text, refuse)
        root = YAML(typ="safe", pure=True).compose(io.StringIO(text))
        if root is None:
            raise refuse("is empty; a recipe needs at least `data` and `generator`", None)
        return _value(root, yaml.constructor, mark, refuse)
    except MarkedYAMLError as error:
        raise refuse(_plain(error), error.problem_mark or error.context_mark) from None
    except (YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise refuse(
            f"is no YAML: {str(error).splitlines()[0][:120] if str(error) else type(error).__name__}", None
        ) from None


def _plain(error: MarkedYAMLError) -> str:
    parts = [str(part).splitlines()[0][:120] for part in (error.problem, error.context) if part]
    return f"is no YAML: {', '.join(parts)}"


def _bound(yaml: YAML, text: str, refuse: Any) -> None:
    depth = nodes = documents = 0
    for event in yaml.parse(io.StringIO(text)):
        if isinstance(event, AliasEvent):
            raise refuse(
                "aliases (*name) are not allowed in a recipe; write the value out, or use `extends:`", event.start_mark
            )
        if isinstance(event, NodeEvent):
            nodes += 1
            if event.anchor:
                raise refuse("anchors (&name) are not allowed in a recipe", event.start_mark)
        if isinstance(event, (ScalarEvent, MappingStartEvent, SequenceStartEvent)) and event.tag:
            raise refuse(
                f"tags ({str(event.tag)[:40]}) are not allowed in a recipe; it is plain data", event.start_mark
            )
        name = type(event).__name__
        depth += name.endswith(("MappingStartEvent", "SequenceStartEvent"))
        depth -= name.endswith(("MappingEndEvent", "SequenceEndEvent"))
        documents += name == "DocumentStartEvent"
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise refuse(f"is nested deeper than {MAX_DEPTH} or has more than {MAX_NODES} values", event.start_mark)
        if documents > 1:
            raise refuse("holds more than one document; a recipe is one", event.start_mark)


def _value(node: Any, constructor: Any, mark: Any, refuse: Any) -> Value:
    here = mark(node.start_mark)
    if isinstance(node, ScalarNode):
        try:
            return Value(constructor.construct_object(node, deep=True), here)
        except (ValueError, OverflowError) as error:
            raise refuse(f"{node.value[:40]!a} is no value: {error}", node.start_mark) from None
    if isinstance(node, SequenceNode):
        return Value([_value(child, constructor, mark, refuse) for child in node.value], here)
    assert isinstance(node, MappingNode)
    data: dict[str, Value] = {}
    keys: dict[str, Mark] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, ScalarNode):
            raise refuse("a key must be a word", key_node.start_mark)
        key = key_node.value
        if key in data:
            raise refuse(
                f"key {key!a:.60} is written twice; the first is at line {keys[key].line}", key_node.start_mark
            )
        data[key] = _value(value_node, constructor, mark, refuse)
        keys[key] = mark(key_node.start_mark)
    return Value(data, here, keys)


def first_comment(path: Path) -> str:
    """The comment that a recipe begins with: what it shows."""
    first = _text(path).split("\n", 1)[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""
