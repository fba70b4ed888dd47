"""A law: one sentence that holds for every component of a kind, and the function that checks it for one of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavekit_core.component import Component
from wavekit_core.engine.shards import seeded
from wavekit_core.testing.cases import Case

Check = Callable[[Any], str | None]  # takes a case; its docstring begins with the law


class NotApplicable(Exception):
    """The law has no meaning for this component; the message says why."""


@dataclass(frozen=True)
class Law:
    """`name` in kebab-case; `statement`, the law itself in one sentence; `case`, the arguments and the space that it is checked
    for (empty where it does not depend on them).

    `check()` gives a short figure ("off by 4.4e-16") or None. It raises AssertionError with a sentence that says what was found
    and what was expected, for which arguments and space; `NotApplicable` where the law has no meaning for the component.
    """

    name: str
    statement: str
    check: Callable[[], str | None]
    case: str = ""


def law(check: Check, case: Case) -> Law:
    """The law that `check` states in its docstring and is named for, for one case."""
    name = check.__name__.replace("_", "-")
    statement = " ".join(inspect.cleandoc(check.__doc__ or "").split("\n\n")[0].split())
    return Law(name, statement, functools.partial(_seeded, check, case, name), case.words)


def _seeded(check: Check, case: Case, name: str) -> str | None:
    """Run a check with random numbers of its own; whatever the component raises in it becomes a sentence."""
    with seeded("wavekit_core.testing", name):
        try:
            return check(case)
        except NotApplicable:
            raise
        except AssertionError as error:
            raise AssertionError(f"{case}: {error}") from error.__cause__
        except Exception as error:
            raise AssertionError(f"{case}: {described(error)}, where {name} is checked") from error


def described(error: BaseException) -> str:
    """An exception as part of a sentence."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__} is raised: {lines[0][:300]}" if lines[0] else f"{type(error).__name__} is raised"


def first_paragraph(error: BaseException) -> str:
    """What an exception says before it explains, in one line."""
    return " ".join(str(error).split("\n\n")[0].split())[:200]


def laws_of(component: type[Component], *arguments: Mapping[str, Any], **context: Any) -> Sequence[Law]:
    """Every law for a component, by its kind and by the space that it gives, for each of the `arguments` (mappings as in a
    recipe; one without any, if none are given).

    `context` are the keywords of the kind's suite: `sources` and `imports` of `transform_suite`, for example. Laws whose case is
    not the same stand one by one, under the same name. Raises RecipeError if the component needs arguments or a space that
    the kit cannot guess.
    """
    from wavekit_core.testing import components, generators, regularizers, samplers, transforms

    of_kind: dict[str, Callable[..., Iterable[Law]]] = {
        "transform": transforms.laws,
        "regularizer": regularizers.laws,
        "generator": generators.laws,
        "sampler": samplers.laws,
    }
    return list(_once(of_kind.get(component.kind, components.laws)(component, arguments or ({},), **context)))


def _once(laws: Iterable[Law]) -> Iterator[Law]:
    """Laws that do not depend on the case come once."""
    seen = set()
    for one in laws:
        if (one.name, one.case) not in seen:
            seen.add((one.name, one.case))
            yield one
