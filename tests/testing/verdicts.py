"""What the laws say of a component."""

from __future__ import annotations

from typing import Any

from wavekit_core.testing import NotApplicable, laws_of


def violated(
    component: type, *arguments: Any, without: tuple[str, ...] = ("imports",), **context: Any
) -> dict[str, str]:
    """Names of the laws that a component violates, with what is said of it. Those `without` are not asked."""
    found: dict[str, str] = {}
    for law in laws_of(component, *arguments, **context):
        if law.name in without:
            continue
        try:
            law.check()
        except NotApplicable:
            pass
        except AssertionError as error:
            found[law.name] = str(error)
    return found


def applicable(component: type, *arguments: Any, **context: Any) -> set[str]:
    """Names of the laws that have a meaning for a component, and of `imports`, which is not asked."""
    found = {"imports"}
    for law in laws_of(component, *arguments, **context):
        if law.name in found:
            continue
        try:
            law.check()
        except NotApplicable:
            continue
        except AssertionError:
            pass
        found.add(law.name)
    return found
