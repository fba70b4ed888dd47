"""Score and flow models, seen as what samplers need: a denoiser."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from torch import Tensor

from wavekit_core.kinds.generator import Generator

if TYPE_CHECKING:
    from wavekit_core.kinds.sampler import Sampler


class Denoiser(Generator):
    """A model of D(x; σ) = E[x₀ | x = x₀ + σ ε], ε ~ N(0, I), over normalised elements x₀ (B, *shape).

    Every score, noise, velocity or flow model is one, in other coordinates (`wavekit_core.diffusion.times`): the score of the
    density of x is (D(x; σ) − x) / σ². Normalised data have a mean of about 0 and a standard deviation of about 1;
    `finished` takes drawn elements back to the model's space.

    `sigmas` are the smallest and the largest σ that it was trained for. `classes` is how many classes it knows (0: none); a
    label of -1 asks for none. `sampler`, if not None, is the model's own, and draws instead of any other.
    """

    shape: tuple[int, ...]
    sigmas: tuple[float, float]
    classes: int = 0
    sampler: Sampler | None

    def __init__(self) -> None:
        super().__init__()
        self.sampler = None  # a class attribute would hide the module that a model puts there

    @abstractmethod
    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """D(x; σ) (B, *shape) of noisy elements x (B, *shape) at σ (B,), all above 0, and labels (B,), -1 for none."""

    @abstractmethod
    def finished(self, x: Tensor) -> Any:
        """Elements of the space from normalised ones (B, *shape), within the space's range."""

    def refuses(self, sampler: Sampler) -> str | None:
        if self.sampler is not None:
            return f"has a sampler of its own, {type(self.sampler).__name__}; leave one of them out"
        return sampler.refuses(self)

    def evaluations_with(self, sampler: Sampler | None) -> dict[str, int]:
        chosen = self.sampler or sampler
        known = None if chosen is None else chosen.evaluations
        return {} if known is None else {"network": known}

    @property
    def samples(self) -> bool:
        return self.sampler is not None

    def sample(self, count: int, labels: Tensor | None = None) -> Any:
        """`count` new elements, drawn by the model's own sampler."""
        if self.sampler is None:
            raise TypeError(f"{type(self).__name__} has no sampler of its own")
        return self.sampler.sample(self, count, labels)

    @property
    def conditional(self) -> bool:  # type: ignore[override]
        return self.classes > 0
