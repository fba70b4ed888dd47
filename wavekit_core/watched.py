"""Samplers whose steps are told to whoever waits for the images."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from wavekit_core.errors import RecipeError
from wavekit_core.kinds import Autoregressive, Generator, Sampler
from wavekit_core.pipeline import Pipeline
from wavekit_core.tokens import TokenSampler

Callback = Callable[..., None]
Tell = Callable[[str, Tensor | None], None]


class Watched(Sampler):
    """The sampler `inner`, whose steps are told to a callback. Raises RecipeError if it takes none."""

    draws_from = Generator

    def __init__(self, inner: Sampler | None, callback: Callback):
        super().__init__()
        if inner is None or "callback" not in inspect.signature(inner.sample).parameters:
            who = "the model draws without a sampler of the recipe" if inner is None else type(inner).__name__
            raise RecipeError(
                f"{who}: takes no callback; leave it out, or draw with a sampler of score and flow models, or of tokens"
            )
        self.inner, self.callback, self.conditional = inner, callback, inner.conditional

    def refuses(self, model: Generator) -> str | None:
        return self.inner.refuses(model)

    def sample(self, model: Generator, count: int, labels: Tensor | None = None) -> Any:
        return self.inner.sample(model, count, labels, callback=self.callback)  # type: ignore[call-arg]

    @property
    def samples(self) -> bool:
        return self.inner.samples


def watched(model: Pipeline, tell: Tell, callback: Callback | None = None) -> Pipeline:
    """`model`, which tells while it draws. A sampler of tokens does so after each: `tell(note, tokens)`, with a note of where the
    batch is and, when all of it has finished one more stage, all that is written (B, L) on the CPU, else None. `callback` is told
    of every step of any sampler. Raises RecipeError if it takes none."""
    if not _writes(model):
        return model if callback is None else _watched(model, callback)
    names, before = _stages(model), 0
    if isinstance(model.sampler, TokenSampler) and model.sampler.until is not None:
        names = names[: list(names).index(model.sampler.until) + 1]

    def told(step: int, finished: int, tokens: Tensor) -> None:
        nonlocal before
        more, before = finished > (before if step else 0), finished
        stage = f"stage {names[min(finished, len(names) - 1)]}, " if names else ""
        tell(f"{stage}token {step + 1}", tokens if more else None)
        if callback is not None:
            callback(step, finished, tokens)

    return _watched(model, told)


def require_stages(model: Pipeline) -> None:
    """Raises RecipeError for a model whose images are not written stage by stage."""
    if not _stages(model):
        who = type(model.generator).__name__ if model.sampler is None else type(model.sampler).__name__
        raise RecipeError(
            f"{who}: does not draw in stages, and previews are of what is whole after each, as embedded tokens are; leave "
            "previews out, or draw with a sampler of tokens"
        )


def _stages(model: Pipeline) -> Sequence[str]:
    return model.generator.space.grammar.stages if _writes(model) else ()  # type: ignore[attr-defined]


def _writes(model: Pipeline) -> bool:
    return isinstance(model.sampler, TokenSampler) and isinstance(model.generator, Autoregressive)


def _watched(model: Pipeline, callback: Callback) -> Pipeline:
    sampler = Watched(model.sampler, callback)
    return Pipeline(model.space, lambda space: model.generator, list(model.transforms), sampler).eval()  # type: ignore[arg-type]
