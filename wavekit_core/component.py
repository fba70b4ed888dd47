"""A component is a class with a typed constructor, and the signature is the schema.

`Haar(levels=3)` in Python and `{use: haar, levels: 3}` in a recipe are the same call, checked by the same pydantic model
that is made from the constructor's signature. What a parameter is follows from its annotation:

* a `Space` as the first parameter: the *port*, the space that the component is built for; the parent fills it, no recipe
  does;
* `T`, `T | None` or `Sequence[T]` with a component class `T`: a built component;
* `Slot[T]`, also optional or in a sequence: a component that is checked but not built, a callable `space -> T` that the
  parent calls with the space it derived (in Python, for example, `functools.partial(Net, width=64)`);
* anything else: a plain value, checked strictly by pydantic. No nan, no infinity, no `true` for an int, no unknown key.
"""

from __future__ import annotations

import functools
import inspect
import json
import types
import typing
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, create_model
from pydantic.fields import FieldInfo

from wavekit_core.spaces import Space

C = TypeVar("C", bound="Component")
C_co = TypeVar("C_co", covariant=True)

STRICT = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid", arbitrary_types_allowed=True, frozen=True)


class Slot(Protocol[C_co]):
    """A component that waits for its space."""

    def __call__(self, space: Any, /) -> C_co: ...


class Node(dict[str, Any]):
    """A component written down as in a recipe, `{"use": name, parameter: value, …}`; `wavekit_core.registry.node` makes one."""

    def build(self, child: Child) -> Any:
        """What a parameter of this description takes: the component, or the slot."""
        raise TypeError("a node of a recipe is built by the recipe")


class Component:
    """Base of everything that a recipe can `use`. Subclasses of the kinds in `wavekit_core.kinds` derive from it."""

    kind: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _checked(cls.__init__)  # type: ignore[method-assign]


@dataclass(frozen=True)
class Child:
    """A parameter that takes a component."""

    kind: type[Component]
    slot: bool = False
    many: bool = False
    optional: bool = False
    default: Any = inspect.Parameter.empty

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty and not self.optional


@dataclass(frozen=True)
class Signature:
    """What a component class takes: the space port if it has one, children, and the model of the plain values."""

    owner: type
    port: tuple[str, tuple[type[Space], ...]] | None
    children: dict[str, Child]
    values: type[BaseModel]

    @property
    def keys(self) -> list[str]:
        return [*self.values.model_fields, *self.children]


def _spaces_of(annotation: Any) -> tuple[type[Space], ...] | None:
    options = get_args(annotation) if _is_union(annotation) else (annotation,)
    if options and all(isinstance(o, type) and issubclass(o, Space) for o in options):
        return tuple(options)
    return None


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (typing.Union, types.UnionType)


def _child_of(annotation: Any, default: Any) -> Child | None:
    if _is_union(annotation):
        options = [o for o in get_args(annotation) if o is not type(None)]
        inner = _child_of(options[0], default) if len(options) == 1 else None
        return inner and Child(inner.kind, inner.slot, inner.many, True, default)
    if get_origin(annotation) in (Sequence, list, tuple):
        inner = _child_of(get_args(annotation)[0], default)
        return inner and Child(inner.kind, inner.slot, True, inner.optional, default)
    if get_origin(annotation) is Slot:
        inner = _child_of(get_args(annotation)[0], default)
        return inner and Child(inner.kind, True, inner.many, inner.optional, default)
    if isinstance(annotation, type) and issubclass(annotation, Component):
        return Child(annotation, default=default)
    return None


def _constructor(owner: type) -> Callable[..., None]:
    """The constructor that a component class, or its nearest component base, defines; one without parameters otherwise."""
    for base in owner.__mro__:
        if issubclass(base, Component) and "__init__" in base.__dict__:
            return inspect.unwrap(base.__dict__["__init__"])
    return lambda self: None


@functools.cache
def signature_of(owner: type) -> Signature:
    """Read a class's constructor. Raises TypeError for one that cannot be a schema (no annotation, `*args`)."""
    init = _constructor(owner)
    hints = typing.get_type_hints(init, include_extras=True)
    port = None
    children: dict[str, Child] = {}
    fields: dict[str, Any] = {}
    for index, (name, parameter) in enumerate(list(inspect.signature(init).parameters.items())[1:]):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{owner.__qualname__}: a component takes no *{name}: every parameter has a name")
        if name == "use" or name.startswith("_"):
            raise TypeError(f"{owner.__qualname__}: a parameter cannot be called {name!r}: no recipe could set it")
        if name not in hints:
            raise TypeError(f"{owner.__qualname__}: parameter {name!r} has no annotation")
        annotation = hints[name]
        if index == 0 and (spaces := _spaces_of(annotation)):
            port = (name, spaces)
        elif child := _child_of(annotation, parameter.default):
            children[name] = child
        else:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[name] = (
                Annotated[annotation, BeforeValidator(_as_tuple)] if _has_tuple(annotation) else annotation,
                default,
            )
    with warnings.catch_warnings(action="ignore"):  # a parameter may be called `copy`, as a method of pydantic's is
        model = create_model(owner.__qualname__, __config__=STRICT, **fields)
    return Signature(owner, port, children, model)


def _has_tuple(annotation: Any) -> bool:
    if _is_union(annotation) or get_origin(annotation) is Annotated:
        return any(_has_tuple(part) for part in get_args(annotation))
    return (get_origin(annotation) or annotation) is tuple


def _as_tuple(value: Any) -> Any:
    """YAML has lists only."""
    return tuple(value) if isinstance(value, list) else value


def _checked(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap a constructor so that a call from Python is checked by the same model as a recipe's."""

    @functools.wraps(init)
    def __init__(self: Component, *args: Any, **kwargs: Any) -> None:
        if inspect.unwrap(type(self).__init__) is not init:  # called by a subclass, which was checked already
            return init(self, *args, **kwargs)
        signature = signature_of(type(self))  # type: ignore[arg-type]
        given = inspect.signature(init).bind(self, *args, **kwargs).arguments
        given.pop(next(iter(given)))
        if signature.port and not isinstance(given[signature.port[0]], signature.port[1]):
            wanted = " or ".join(kind.__name__ for kind in signature.port[1])
            raise TypeError(f"{type(self).__name__} works on {wanted}; it is given {given[signature.port[0]]!r:.80}")
        checked = dict(given)
        values = {k: v for k, v in given.items() if k in signature.values.model_fields}
        model = signature.values.model_validate(values)
        checked |= {name: getattr(model, name) for name in signature.values.model_fields}
        for name, child in signature.children.items():
            checked[name] = _checked_child(type(self), name, child, given.get(name, child.default))
        return init(self, **checked)

    return __init__


def _checked_child(owner: type, name: str, child: Child, value: Any) -> Any:
    if child.many:
        if isinstance(value, (Node, Component)) or callable(value):
            value = [value]
        return [_checked_one(owner, name, child, one) for one in value or ()]
    if value is None and child.optional:
        return None
    return _checked_one(owner, name, child, value)


def _checked_one(owner: type, name: str, child: Child, value: Any) -> Any:
    if isinstance(value, Node):
        return value.build(child)
    if child.slot and callable(value) and not isinstance(value, Component):
        return value
    if not child.slot and isinstance(value, child.kind):
        return value
    wanted = f"a callable space -> {child.kind.__name__}" if child.slot else f"a {child.kind.__name__}"
    raise TypeError(f"{owner.__name__}: {name} takes {wanted}, not {value!r:.80}")


_NAMES = {
    int: ("whole number", "whole numbers"),
    float: ("number", "numbers"),
    str: ("text", "texts"),
    bool: ("true or false", "true or false"),
    type(None): ("nothing", "nothing"),
}


def words(annotation: Any, *metadata: Any, many: bool = False) -> str:
    """A parameter's type as a person reads it: `whole number from 1 to 4096`, `number above 0, or "learned"`, `a transform`,
    `list of regularizers`. `metadata` are bounds that stand beside the annotation; `many` gives the plural."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return words(inside[0], *inside[1:], *metadata, many=many)
    if _is_union(annotation):
        options = [words(one, *(() if one is type(None) else metadata), many=many) for one in inside]
        return ", or ".join(dict.fromkeys(options))
    if origin is Literal:
        listed = ", ".join(json.dumps(one, ensure_ascii=False) for one in inside)
        return ("values, each " if many else "") + (f"one of {listed}" if len(inside) > 1 else listed)
    bounds = _bounds(metadata)
    if origin in (Sequence, list, tuple):
        exact = origin is tuple and inside[-1] is not Ellipsis
        count = f"{len(inside)} " if exact else f"at least {least} " if (least := bounds.get("min_length")) else ""
        kinds = dict.fromkeys(words(one, many=True) for one in inside if one is not Ellipsis)
        return f"{'lists' if many else 'list'} of {count}{' and '.join(kinds)}"
    if isinstance(annotation, type) and issubclass(annotation, Component):
        article = "an" if annotation.kind[:1] in ("a", "e", "i", "o", "u") else "a"
        return f"{annotation.kind}s" if many else f"{article} {annotation.kind}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"{'mappings' if many else 'mapping'} of {', '.join(annotation.model_fields)}"
    if annotation not in _NAMES:
        return inspect.formatannotation(annotation).replace("typing.", "")
    name = _NAMES[annotation][many]
    return f"{name}{_of_length(bounds)}" if annotation is str else f"{name}{_of_size(bounds)}"


def _bounds(metadata: Sequence[Any]) -> dict[str, Any]:
    """What `Field` bounds, by its own names."""
    names = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
    flat = [one for entry in metadata for one in (entry.metadata if isinstance(entry, FieldInfo) else [entry])]
    return {name: bound for one in flat for name in names if (bound := getattr(one, name, None)) is not None}


def _of_size(bounds: dict[str, Any]) -> str:
    if "ge" in bounds and "le" in bounds:
        return f" from {bounds['ge']} to {bounds['le']}"
    said = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    parts = [f"{word} {bounds[name]}" for name, word in said.items() if name in bounds]
    return f"{' of' * parts[0].startswith('at ')} {' and '.join(parts)}" if parts else ""


def _of_length(bounds: dict[str, Any]) -> str:
    said = {"min_length": "at least {} characters", "max_length": "at most {} characters", "pattern": "the form {}"}
    parts = [word.format(bounds[name]) for name, word in said.items() if bounds.get(name) not in (None, 1)]
    return f" of {' and '.join(parts)}" if parts else ""
