"""Elements of a space, made from a seed: what components are checked on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wavekit_core.kinds import Batch, Transform
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.spaces import Band, ImageSpace, LatentSpace, Space, TokenSpace
from wavekit_core.testing.laws import NotApplicable
from wavekit_core.wavelets import FilterBank, WaveletTransform

CLASSES = 2


def elements(space: Space, count: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Any:
    """`count` elements of `space`: images of noise over half of a smooth shade, of 8 bits as data sets give them; tokens at
    random; normal numbers for other spaces. The same for the same seed."""
    made = torch.Generator().manual_seed(seed)
    if isinstance(space, TokenSpace):
        return torch.randint(space.vocabulary, (count, space.length), generator=made)
    if isinstance(space, ImageSpace):
        noise = torch.rand(count, *space.shape, dtype=torch.float64, generator=made)
        ends = torch.rand(2, count, space.channels, 1, 1, dtype=torch.float64, generator=made)
        shade = torch.lerp(ends[0], ends[1], torch.linspace(0, 1, space.height, dtype=torch.float64)[:, None])
        levels = ((noise + shade) / 2 * 255).round() / 255
        return (space.low + (space.high - space.low) * levels).to(dtype)
    return space.unflatten(torch.randn(count, numbers(space), dtype=torch.float64, generator=made).to(dtype))


def numbers(space: Space) -> int:
    """As `space.numbers`. Raises NotApplicable for a space whose elements are no vectors."""
    if isinstance(space, TokenSpace) or type(space).flatten is Space.flatten:
        raise NotApplicable(f"elements of {space} are no vectors")
    return space.numbers


def vectors(space: Space, data: Any) -> Tensor:
    """Elements as (B, numbers); tokens as they are. Raises NotApplicable for a space whose elements are no vectors."""
    if isinstance(space, TokenSpace):
        return data
    numbers(space)
    return space.flatten(data)


def tensors(data: Any) -> list[Tensor]:
    """The tensors that an element of any space consists of."""
    if isinstance(data, Tensor):
        return [data]
    if hasattr(data, "bands"):
        return list(data.bands().values())
    values = data.values() if isinstance(data, dict) else vars(data).values() if hasattr(data, "__dict__") else ()
    return [value for value in values if isinstance(value, Tensor)]


def off_by(found: Any, expected: Any) -> float:
    """The largest difference as a share of the largest value."""
    worst = 0.0
    for a, b in zip(tensors(found), tensors(expected), strict=True):
        if not b.numel():
            continue
        if a.shape != b.shape or not bool(torch.isfinite(a.double()).all()):
            return float("inf")
        scale = max(float(b.double().abs().max()), 1e-300)
        worst = max(worst, float((a.double() - b.double()).abs().max()) / scale)
    return worst


def row_of(data: Any, index: int) -> Any:
    """The element at `index` as a batch of one."""
    if isinstance(data, Tensor):
        return data[index : index + 1]
    if hasattr(data, "map"):
        return data.map(lambda tensor: tensor[index : index + 1])
    raise NotApplicable(f"a batch of {type(data).__name__} cannot be taken apart")


def moved_to(data: Any, where: str) -> Any:
    return data.to(where) if isinstance(data, Tensor) else data.map(lambda tensor: tensor.to(where))


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def form_of(data: Any) -> str:
    found = tensors(data)
    return ", ".join(f"{name_of(t.dtype)} {tuple(t.shape)}" for t in found) if found else type(data).__name__


def pyramid_space(image: ImageSpace) -> PyramidSpace:
    """The pyramids of one level of the Haar transform."""
    return WaveletTransform(FilterBank.from_pywt("haar")).target(image)


DETAILS = tuple(Band(f"c{o}1", (2, 2, 2), "detail") for o in "HVD")
LATENTS = (
    LatentSpace((Band("cA1", (2, 2, 2), "approx"), *DETAILS)),
    LatentSpace((Band("z", (5,), "code"),)),
    LatentSpace((Band("z", (5,), "code"), *(Band(b.name, b.shape, b.role, drawn=False) for b in DETAILS))),
)
STRANGE = (  # what hardly any component takes: the answer has to be a SpaceError
    Space(),
    TokenSpace(16, 8),
    LatentSpace(()),
    LATENTS[0],
    ImageSpace(1, 1, 1),
    ImageSpace(1, 1, 9),
    ImageSpace(3, 2, 2),
    ImageSpace(2, 5, 3, low=-2.0, high=5.0),
    pyramid_space(ImageSpace(1, 4, 6)),
)


class Examples:
    """A split of `count` elements with labels of two classes; the elements are handed out as vectors where `space` is no image
    space, for `FromVectors` to put together."""

    def __init__(self, space: Space, count: int, seed: int = 0):
        data = elements(space, count, seed=seed)
        self.data = data if isinstance(space, ImageSpace) else vectors(space, data).float()[:, None, None]
        self.labels = torch.arange(count) % CLASSES

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, indices: Any, words: Any = None, /) -> Batch:
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        return Batch(self.data[chosen], self.labels[chosen])


class FromVectors(Transform):
    """Images 1×1×n, the numbers of an element, to the element."""

    def __init__(self) -> None:
        super().__init__()
        self.space: Space = Space()

    def target(self, source: Space) -> Space:
        return self.space

    def forward(self, x: Tensor) -> Any:
        flat = x.flatten(1)
        return flat.round().long() if isinstance(self.space, TokenSpace) else self.space.unflatten(flat)

    def inverse(self, y: Any) -> Tensor:
        return vectors(self.space, y).float()[:, None, None]
