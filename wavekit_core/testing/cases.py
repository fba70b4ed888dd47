"""A case: a component with arguments and the space that it is checked on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from wavekit_core.component import signature_of
from wavekit_core.engine.shards import seeded
from wavekit_core.errors import RecipeError
from wavekit_core.registry import node
from wavekit_core.spaces import Space


@dataclass(frozen=True)
class Case:
    """`arguments` as in a recipe: plain values, components as `{"use": name, …}`. `space` is the component's port, or the
    source of a transform."""

    component: type[Any]
    arguments: Mapping[str, Any]
    space: Any = None  # a Space, or None
    imports: tuple[str, ...] = field(default=())  # packages that its module may import beside the usual ones

    def build(self, space: Space | None = None, seed: int = 0, **changed: Any) -> Any:
        """A new component, with the same weights for the same `seed`; on another `space` or with `changed` arguments."""
        arguments = {name: _built(value) for name, value in {**self.arguments, **changed}.items()}
        port = [space or self.space] if signature_of(self.component).port else []  # type: ignore[arg-type]
        with seeded("wavekit_core.testing", "build", seed):
            return self.component(*port, **arguments)

    def prepare(self, instance: Any) -> None:
        """What the parent does with a new component: a transform's `target` is asked for, for example."""

    def fit(self, instance: Any) -> None:
        """Hand the component its training data, and leave it as it is used after training."""

    def ready(self, instance: Any = None) -> Any:
        """A new component (or the given one), prepared and fitted."""
        instance = self.build() if instance is None else instance
        self.prepare(instance)
        self.fit(instance)
        return instance

    def observe(self, instance: Any) -> list[Tensor]:
        """What a fitted component gives on fixed input: equal for components that do the same."""
        return []

    @property
    def words(self) -> str:
        """Arguments and space, for a table or a test's name."""
        parts = [", ".join(f"{name}={_short(value)}" for name, value in self.arguments.items())]
        return " on ".join([part for part in parts if part] + ([str(self.space)] if self.space else []))

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={_short(value)}" for name, value in self.arguments.items())
        return f"{self.component.__name__}({arguments})" + (f" on {self.space}" if self.space else "")


def require_arguments(component: type[Any], arguments: Mapping[str, Any]) -> None:
    """Raise RecipeError if the constructor needs more than `arguments`."""
    signature = signature_of(component)  # type: ignore[arg-type]
    needed = [name for name, one in signature.values.model_fields.items() if one.is_required()]
    needed += [name for name, child in signature.children.items() if child.required]
    if missing := [name for name in needed if name not in arguments]:
        raise RecipeError(
            f"{component.__name__} needs {', '.join(missing)}; a check does not guess them; give them as arguments: "
            f"{{{', '.join(f'{name!r}: …' for name in missing)}}}"
        )


def _built(value: Any) -> Any:
    """What a constructor called from Python takes for a recipe's value: mappings with `use` become nodes."""
    if isinstance(value, Mapping) and "use" in value:
        return node(**{key: _built(one) for key, one in value.items()})
    if isinstance(value, (list, tuple)):
        return type(value)(_built(one) for one in value)
    return value


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and "use" in value:
        inside = "".join(f", {key}={_short(one)}" for key, one in value.items() if key != "use")
        return f"{value['use']}{inside and f'({inside[2:]})'}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_short, value))}]"
    return value if isinstance(value, str) else getattr(value, "__name__", repr(value))
