"""The laws as pytest test functions, one test a law, arguments and space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wavekit_core.component import Component
from wavekit_core.kinds import Generator, Regularizer, Sampler, Transform
from wavekit_core.spaces import LatentSpace, Space
from wavekit_core.testing.laws import Law, NotApplicable, laws_of

Arguments = Mapping[str, Any]
Test = Callable[[Law], None]


def transform_suite(
    component: type[Transform],
    *arguments: Arguments,
    sources: Sequence[Space] | None = None,
    imports: Sequence[str] = (),
) -> Test:
    """The laws of a transform, or of a tokenizer if it gives tokens, on each of `sources` (images of an even and of an odd size,
    if none are given). `imports` are packages that its module may import beside the usual ones."""
    return _test(component, "transform", arguments, sources=sources, imports=imports)


def tokenizer_suite(
    component: type[Transform],
    *arguments: Arguments,
    sources: Sequence[Space] | None = None,
    imports: Sequence[str] = (),
) -> Test:
    """The laws of a transform to a `TokenSpace`; that it gives one is a law too."""
    return _test(component, "transform", arguments, sources=sources, imports=imports, tokens=True)


def regularizer_suite(
    component: type[Regularizer],
    *arguments: Arguments,
    latents: Sequence[LatentSpace] | None = None,
    imports: Sequence[str] = (),
) -> Test:
    """The laws of a regularizer of a `PosteriorState`, on each of `latents` (a pyramid, a code, a code with a pyramid behind it,
    as far as it takes them, if none are given)."""
    return _test(component, "regularizer", arguments, latents=latents, imports=imports)


def generator_suite(
    component: type[Generator],
    *arguments: Arguments,
    spaces: Sequence[Space] | None = None,
    steps: int = 100,
    imports: Sequence[str] = (),
) -> Test:
    """The laws of a generator, on each of `spaces` (the smallest of the kit's that it takes, if none are given). In `steps` steps
    the loss of one batch has to fall."""
    return _test(component, "generator", arguments, spaces=spaces, steps=steps, imports=imports)


def sampler_suite(
    component: type[Sampler], *arguments: Arguments, model: Any = None, imports: Sequence[str] = ()
) -> Test:
    """The laws of a sampler with a `KnownModel`: if none is given, `linear_gaussian()`, an exact autoencoder of Gaussian data, or
    for samplers of denoisers `gaussian_denoiser()`. A sampler that fits to n of the images alone needs one of n images,
    `linear_gaussian(n)`."""
    return _test(component, "sampler", arguments, model=model, imports=imports)


def _test(component: type[Component], kind: str, arguments: Sequence[Arguments], **context: Any) -> Test:
    import pytest

    if component.kind != kind:
        raise TypeError(f"{component.__name__} is a {component.kind or 'component of no kind'}, and no {kind}")
    laws = laws_of(component, *arguments, **context)

    @pytest.mark.parametrize("law", laws, ids=[_id(one) for one in laws])
    def test(law: Law) -> None:
        __tracebackhide__ = True
        try:
            law.check()
        except NotApplicable as reason:
            pytest.skip(str(reason))

    return test


def _id(one: Law) -> str:
    case = one.case.replace("×", "x").replace(", ", ",").replace(" ", "_")
    return f"{one.name}-{case}" if case else one.name
