"""Checking a recipe's nodes against the signatures of their components, and building them.

Checking imports the components that are named and runs none of their code; every fault of the whole tree is collected.
Building calls the constructors: children first, slots left to their parents.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError
from torch import nn

from wavekit_core.component import Child, Component, Node, Slot, signature_of
from wavekit_core.errors import PluginError, RecipeError, ResourceError, SpaceError, WavekitError
from wavekit_core.kinds import KINDS
from wavekit_core.recipe.faults import Fault, Mark, RecipeFaults
from wavekit_core.recipe.source import Value
from wavekit_core.registry import Entry, installed, nearest
from wavekit_core.spaces import Space

DEFAULT = "default"
TOO_LARGE = ("Storage size calculation overflowed", "can't allocate memory", "out of memory")


@dataclass
class Checked:
    """A node whose names and values are right: everything that its constructor needs, with where each value came from."""

    owner: type
    value: Value
    entry: Entry | None = None
    values: dict[str, Any] = field(default_factory=dict)
    children: dict[str, Checked | list[Checked] | None] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """The node written out, every default filled in."""
        written: dict[str, Any] = {"use": self.value.data["use"].data} if self.entry else {}
        for name in signature_of(self.owner).keys:
            if name in self.children:
                child = self.children[name]
                written[name] = [c.plain() for c in child] if isinstance(child, list) else child and child.plain()
            else:
                written[name] = _plain(self.values[name])
        return written

    def walk(self) -> list[Checked]:
        """This node and all below it."""
        found = [self]
        for child in self.children.values():
            for one in child if isinstance(child, list) else [child] if child else []:
                found += one.walk()
        return found


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump()
    return list(value) if isinstance(value, tuple) else value


def check_arguments(owner: type, value: Value, faults: list[Fault], entry: Entry | None = None) -> Checked:
    """Check a mapping against the signature of `owner`, adding to `faults`."""
    signature = signature_of(owner)
    checked = Checked(owner, value, entry)
    who = entry.name if entry else "a recipe"
    given = {key: child for key, child in value.data.items() if not (entry and key == "use")}
    for key in [key for key in given if key not in signature.keys]:
        faults.append(_unknown_key(who, key, value.keys.get(key, value.mark), signature.keys))
        del given[key]
    plain = {key: child for key, child in given.items() if key in signature.values.model_fields}
    try:
        model = signature.values.model_validate({key: child.plain() for key, child in plain.items()})
        checked.values = {name: getattr(model, name) for name in signature.values.model_fields}
    except ValidationError as error:
        faults += _value_faults(who, error, signature.values, value)
    for name in signature.values.model_fields:
        checked.origins[name] = str(plain[name].mark) if name in plain else DEFAULT
    for name, child in signature.children.items():
        checked.children[name] = _check_child(who, name, child, given.get(name), value, faults)
        checked.origins[name] = str(given[name].mark) if name in given else DEFAULT
    return checked


def _check_child(
    who: str, name: str, child: Child, given: Value | None, parent: Value, faults: list[Fault]
) -> Checked | list[Checked] | None:
    if given is None:
        if child.required:
            faults.append(Fault(_use_mark(parent), f"{who} needs `{name}`: a {child.kind.kind}"))
            return None
        default = None if child.default is inspect.Parameter.empty else child.default
        if child.many:
            given = Value([_default_value(one, name) for one in (default or ())], Mark(DEFAULT))
        elif isinstance(default, Node):
            given = _default_value(default, name)
        else:
            return None
    if child.many:
        # a lone node becomes a list of one
        nodes = given.data if isinstance(given.data, list) else [] if given.data is None else [given]
        found = [check_node(child.kind, name, one, faults) for one in nodes]
        return [one for one in found if one]
    if given.data is None and child.optional:
        return None
    return check_node(child.kind, name, given, faults)


def _default_value(data: Any, name: str) -> Value:
    mark = Mark(f"default of {name}")
    if isinstance(data, dict):
        return Value({k: _default_value(v, name) for k, v in data.items()}, mark, dict.fromkeys(data, mark))
    if isinstance(data, (list, tuple)):
        return Value([_default_value(v, name) for v in data], mark)
    return Value(data, mark)


def check_node(kind: type[Component], name: str, value: Value, faults: list[Fault]) -> Checked | None:
    """Check `{use: NAME, …}` for a component of `kind`; None if it cannot be told what is meant."""
    use = value.get("use")
    if use is None or not isinstance(use.data, str):
        hint = (
            f"write {{use: {value.data}}}"
            if isinstance(value.data, str) and len(value.data) < 40
            else "write {use: NAME, …}"
        )
        names = ", ".join(installed().names(kind.kind))
        mark = (use or value).mark
        faults.append(
            Fault(mark, f"`{name}` is {_found(value)}, a {kind.kind} was expected; {hint} with one of: {names}")
        )
        return None
    try:
        entry = installed().find(kind.kind, use.data)
        owner = installed().load(entry)
    except WavekitError as error:
        faults.append(Fault(use.mark, str(error), len(use.data), error.exit_code))
        return None
    return check_arguments(owner, value, faults, entry)


def _found(value: Value) -> str:
    if isinstance(value.data, dict):
        return "a mapping without `use`"
    return "a list" if isinstance(value.data, list) else f"{value.data!r:.40}"


def _use_mark(value: Value) -> Mark:
    use = value.get("use")
    return use.mark if use else value.mark


def _unknown_key(who: str, key: str, mark: Mark, keys: list[str]) -> Fault:
    near = nearest(key, keys)
    hint = f"did you mean {near!r}?" if near else f"it takes: {', '.join(keys) or 'nothing'}"
    return Fault(mark, f"{who} has no parameter {key!r:.60}; {hint}", len(key))


def _value_faults(who: str, error: ValidationError, model: type[BaseModel], node: Value) -> list[Fault]:
    """Pydantic's problems as faults, those of one place (the options of a union) in one."""
    faults: dict[tuple[Mark, str], Fault] = {}
    for problem in error.errors(include_url=False):
        location = _written(node, problem["loc"])
        name = ".".join(map(str, location))
        if problem["type"] == "missing":
            missing = ".".join(map(str, problem["loc"]))
            faults[(_use_mark(node), missing)] = Fault(_use_mark(node.at(location)), f"{who} needs `{missing}`")
        elif problem["type"] == "extra_forbidden":
            holder, key = node.at(location[:-1]), str(location[-1])
            settings = model.model_fields[str(location[0])].annotation
            keys = list(getattr(settings, "model_fields", {}))
            fault = _unknown_key(".".join(map(str, location[:-1])), key, holder.keys.get(key, holder.mark), keys)
            faults[(fault.mark, name)] = fault
        else:
            value = node.at(location)
            fault = Fault(
                value.mark, f"{name} of {who} is {problem['input']!r:.60}; {_expected(problem)}", _length(value)
            )
            if first := faults.get((fault.mark, name)):
                options = _expected(problem).removeprefix("expected ")
                fault = dataclasses.replace(first, message=f"{first.message} or {options}")
            faults[(fault.mark, name)] = fault
    return list(faults.values())


def _written(node: Value, location: Sequence[str | int]) -> list[str | int]:
    """The part of a location that is written in the recipe; the rest are names of pydantic's own."""
    path: list[str | int] = []
    for part in location:
        data = node.at(path).data
        if (isinstance(data, dict) and part in data) or (isinstance(data, list) and isinstance(part, int)):
            path.append(part)
    return path


def _expected(problem: Any) -> str:
    text = problem["msg"].replace("Input should be", "expected").replace("Value error, ", "")
    if problem["type"] == "literal_error" and isinstance(problem["input"], str):
        choices = [word.strip("'\" ") for word in problem["ctx"]["expected"].replace(" or ", ",").split(",")]
        if len(choices) > 12:
            text = f"expected one of {len(choices)} names such as {', '.join(choices[:6])}"
        if near := nearest(problem["input"], choices):
            text += f"; did you mean {near!r}?"
    return text


def _length(value: Value) -> int:
    return 1 if isinstance(value.data, (dict, list)) else max(1, len(str(value.data)))


def build(checked: Checked, space: Space | None = None) -> Any:
    """Call the constructors. Raises RecipeFaults with the line of the component that refused, or PluginError."""
    signature = signature_of(checked.owner)
    arguments = dict(checked.values)
    for name, child in checked.children.items():
        wait = signature.children[name].slot
        if isinstance(child, list):
            arguments[name] = [slot(one) if wait else build(one) for one in child]
        else:
            arguments[name] = child and (slot(child) if wait else build(child))
    if signature.port:
        port, accepted = signature.port
        if not isinstance(space, accepted):
            wanted = " or ".join(kind.__name__ for kind in accepted)
            who = checked.entry.name if checked.entry else checked.owner.__name__
            raise RecipeFaults([Fault(_use_mark(checked.value), f"{who} works on {wanted}; it is given {space}")])
        arguments[port] = space
    try:
        instance = checked.owner(**arguments)
    except SpaceError as error:
        raise located(error, checked) from None
    except RecipeFaults:
        raise
    except RecipeError as error:
        raise RecipeFaults([Fault(_use_mark(checked.value), str(error))]) from None
    except WavekitError:
        raise
    except (ValidationError, ValueError) as error:
        message = "; ".join(p["msg"] for p in error.errors()) if isinstance(error, ValidationError) else str(error)
        raise RecipeFaults([Fault(_use_mark(checked.value), message)]) from error
    except Exception as error:
        if isinstance(error, MemoryError) or any(words in str(error) for words in TOO_LARGE):
            who = checked.entry.name if checked.entry else checked.owner.__name__
            raise ResourceError(
                f"{_use_mark(checked.value)}: {who} is too large for any memory; make it smaller"
            ) from error
        entry = checked.entry
        who = str(entry) if entry else checked.owner.__name__
        raise PluginError(f"{who} failed while it was built: {type(error).__name__}: {str(error)[:200]}") from error
    if isinstance(instance, nn.Module) and "_modules" not in instance.__dict__:
        raise PluginError(
            f"{checked.entry or checked.owner.__name__}: its constructor does not call super().__init__()"
        )
    instance.__dict__["_checked"] = checked
    return instance


def slot(checked: Checked) -> Slot[Any]:
    """The node as a callable space -> component. A component without a port is built without the space."""
    return lambda space: build(checked, space)


def located(error: SpaceError, otherwise: Checked) -> RecipeFaults:
    """The fault of a SpaceError at the line of the component that raised it."""
    checked: Checked = getattr(error.component, "_checked", otherwise)
    key = checked.value.get(error.at) if error.at else None
    use = checked.value.get("use")
    mark = key.mark if key else _use_mark(checked.value)
    length = len(str(key.data)) if key else len(str(use.data)) if use else 1
    return RecipeFaults([Fault(mark, str(error), length)])


def build_named(kind: str, data: dict[str, Any]) -> Any:
    """The component that a plain node `{"use": name, …}` describes."""
    return build(_checked_plain(KINDS[kind], data))


def _checked_plain(kind: type[Component], data: dict[str, Any]) -> Checked:
    faults: list[Fault] = []
    checked = check_node(kind, kind.kind, _default_value(data, kind.kind), faults)
    if faults or checked is None:
        raise RecipeFaults(faults)
    return checked
