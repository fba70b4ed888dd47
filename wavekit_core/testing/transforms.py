"""The laws of a transform, or of a tokenizer, on the spaces that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wavekit_core.errors import RecipeError, SpaceError
from wavekit_core.spaces import ImageSpace, Space, TokenSpace
from wavekit_core.testing import components, linear, maps, tokenizers
from wavekit_core.testing.cases import require_arguments
from wavekit_core.testing.elements import pyramid_space
from wavekit_core.testing.laws import Law
from wavekit_core.testing.transform_case import TransformCase

SOURCES = (ImageSpace(3, 16, 16), ImageSpace(1, 13, 10, low=-1.0))
OTHERS = (ImageSpace(1, 32, 32), ImageSpace(1, 128, 128), pyramid_space(ImageSpace(1, 8, 8)), TokenSpace(16, 12))
NUMBERS = (*linear.LAWS, *maps.NUMBERS)


def laws(
    component: type[Any],
    arguments: Sequence[Mapping[str, Any]],
    sources: Sequence[Space] | None = None,
    imports: Sequence[str] = (),
    tokens: bool = False,
    **_: Any,
) -> Iterator[Law]:
    """On `sources`, or on those of the kit's that the transform takes."""
    for one in arguments:
        require_arguments(component, one)
        for source in sources or _taken(component, one):
            case = TransformCase(component, one, source, tuple(imports))
            gives_tokens = tokens or _gives_tokens(case)
            yield from components.common(
                case, *maps.LAWS, *(tokenizers.LAWS if gives_tokens else NUMBERS), *components.LAWS
            )


def _taken(component: type[Any], arguments: Mapping[str, Any]) -> list[Space]:
    refusals: list[str] = []
    for choices in (SOURCES, OTHERS):
        found: list[Space] = []
        for source in choices:
            case = TransformCase(component, arguments, source)
            try:
                case.build().target(source)
            except SpaceError as error:
                refusals.append(str(error))
                continue
            except Exception:
                pass  # the laws say what is wrong
            found.append(source)
        if found:
            return found
    raise RecipeError(
        f"{TransformCase(component, arguments)} takes none of the spaces of a check ({refusals[0]}); give sources of its own"
    )


def _gives_tokens(case: TransformCase) -> bool:
    try:
        return isinstance(case.target(), TokenSpace)
    except Exception:
        return False
