"""One pass over the images: statistics of the image, of every approximation and of every band."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from wavekit_core.bands.accumulators import Blocks, Histogram, Moments, Neighbours, Spectrum
from wavekit_core.bands.formulas import condition, crossing, kl_of_standard, kl_to_standard, negentropy
from wavekit_core.bands.subject import Subject
from wavekit_core.errors import DataError, RecipeError
from wavekit_core.pyramid import ORIENTATIONS, PyramidSpace
from wavekit_core.watch import Watcher
from wavekit_core.wavelets import analysis

THRESHOLD = 0.02  # τ of the finest level, as a share of the image's range: five grey steps of 8 bits
OCTAVES = range(-4, 9)  # thresholds τ · 2^octave
GREYS = 255
BLOCK = 4  # places of a side, of the blocks whose covariance has a condition number
CROPS = (16, 8, 4, 2)  # sides of crops for the distance to white noise: the largest of which there are enough
ENOUGH = 20  # crops for each of a crop's side² numbers: with fewer, the inverse covariance is more than a twentieth too large


@dataclass(frozen=True)
class Crops:
    """The Gaussian with mean and covariance of disjoint crops of side × side places, of an approximation that is shifted and
    scaled to mean 0 and variance 1 (S4 Eq. 74–78).

    `kl` is KL(N(0, I) ‖ crops) and `kl_reverse` KL(crops ‖ N(0, I)), in nats a dimension; both are infinite where the
    covariance is singular, as it always is without `count` > side². Estimates from few crops are too large: for Gaussian data
    the inverse covariance by count / (count - side² - 1). `count` is of places: colours there are no further evidence."""

    side: int
    count: int
    kl: float
    kl_reverse: float

    @property
    def enough(self) -> bool:
        return self.count >= ENOUGH * self.side**2


@dataclass(frozen=True)
class Field:
    """The image (`name` "image", level 0), an approximation (`cA…`) or a detail band of `shape` (C, h, w), in the filters' own
    units. `below` are shares of |c| ≤ τ · 2^octave, τ = THRESHOLD · range. `spectrum` (h, w) are the variances along the
    directions of the discrete Fourier basis."""

    name: str
    level: int
    shape: tuple[int, int, int]
    mean: float
    variance: float
    kurtosis: float
    negentropy: float
    below: tuple[float, ...]
    lag: float | None
    spectrum: Tensor
    block_condition: float | None
    crops: Crops | None

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)

    @property
    def condition(self) -> float:
        """Of the spectrum; at most that of the covariance, and equal to it if the covariance is that of a torus."""
        return condition(self.spectrum)

    def sparsity(self, scaled: bool) -> float:
        """The share of |c| ≤ τ, or of |c| ≤ τ · 2^(level - 1)."""
        return self.below[OCTAVES.index(self.level - 1 if scaled and self.level else 0)]


@dataclass(frozen=True)
class Survey:
    """Everything that one pass found. `approximations` are by level, level 0 the image; `bands` are those of the pyramid,
    coarse to fine: the last approximation and all details."""

    space: PyramidSpace
    images: int
    approximations: tuple[Field, ...]
    details: tuple[Field, ...]

    @property
    def bands(self) -> tuple[Field, ...]:
        return self.approximations[-1], *self.details

    @property
    def energy(self) -> float:
        """The variance of all coefficients of an image together."""
        return sum(band.numbers * band.variance for band in self.bands)

    def share(self, band: Field) -> float:
        """Of the energy."""
        return band.numbers * band.variance / self.energy if self.energy else 0.0

    @property
    def within(self) -> float:
        """The share of the pixels' variance that lies within images: all but that of their means."""
        image = self.approximations[0]
        places = image.shape[1] * image.shape[2]
        return 1 - float(image.spectrum[0, 0]) / (places * image.variance) if image.variance else 0.0

    def crossing(self, field: Field) -> float:
        """The Ornstein–Uhlenbeck time at which the band's signal equals the noise, for images in [-1, 1]."""
        image = self.space.image
        return crossing(field.variance * (2 / (image.high - image.low)) ** 2)

    def at(self, level: int) -> tuple[Field, ...]:
        """The three details of a level."""
        return tuple(band for band in self.details if band.level == level)


class _Accumulated:
    """All accumulators of one field."""

    def __init__(self, name: str, level: int, shape: tuple[int, int, int], step: float, crop: int):
        thresholds = THRESHOLD * GREYS * step * torch.tensor([2.0**octave for octave in OCTAVES], dtype=torch.float64)
        self.name, self.level, self.shape = name, level, shape
        self.moments, self.spectrum, self.neighbours = Moments(shape[0]), Spectrum(), Neighbours()
        self.histogram = Histogram(step, level, thresholds)
        self.blocks = Blocks(BLOCK) if min(shape[1:]) >= BLOCK else None
        self.crops = Blocks(crop) if _is_approximation(name) and min(shape[1:]) >= crop else None

    def add(self, field: Tensor) -> None:
        for part in (self.moments, self.spectrum, self.neighbours, self.histogram, self.blocks, self.crops):
            if part is not None:
                part.add(field)

    def field(self) -> Field:
        moments, variance = self.moments, self.moments.variance
        blocks = (
            None if self.blocks is None else condition(torch.linalg.eigvalsh(self.blocks.moments()[1]).clamp(min=0))
        )
        return Field(
            self.name,
            self.level,
            self.shape,
            float(moments.mean.mean()),
            variance,
            moments.kurtosis,
            negentropy(self.histogram.counts),
            tuple(self.histogram.shares),
            self.neighbours.correlation,
            self.spectrum.variances,
            blocks,
            None if self.crops is None or not variance else _distances(self.crops, variance, self.shape[0]),
        )


def _is_approximation(name: str) -> bool:
    return name == "image" or name.startswith("cA")


def _distances(crops: Blocks, variance: float, channels: int) -> Crops:
    mean, covariance = crops.moments()
    mean, covariance, numbers = mean / math.sqrt(variance), covariance / variance, crops.side**2
    count = crops.count // channels
    if count <= numbers:
        return Crops(crops.side, count, math.inf, math.inf)
    distances = (kl(mean, covariance) / numbers for kl in (kl_of_standard, kl_to_standard))
    return Crops(crops.side, count, *distances)


@torch.no_grad()
def survey(
    subject: Subject, images: int | None = None, crop: int | None = None, watcher: Watcher | None = None
) -> Survey:
    """Statistics over `images` training images of the subject, all by default, in float64. Crops have the side `crop`, by
    default the largest of CROPS of which every level has enough. Raises DataError if there are no images,
    RecipeError if a crop is larger than an image."""
    total = min(len(subject.dataset.train), images or len(subject.dataset.train))
    if not total:
        raise DataError("the data set has no training images to look at; give it images")
    space = subject.space
    side, image = crop or default_crop(space, total), space.image
    if side > min(image.height, image.width):
        raise RecipeError(
            f"crops of {side}×{side} do not fit into images of {image.height}×{image.width}; take smaller ones"
        )
    step = (image.high - image.low) / GREYS
    shapes = {name: (image.channels, *size) for name, _, size in _fields(space)}
    parts = {name: _Accumulated(name, level, shapes[name], step, side) for name, level, _ in _fields(space)}
    done = 0
    with (watcher or Watcher()).phase("looking at the bands", total, unit="images") as advance:
        for batch in subject.batches(total):
            for name, field in split(subject.represent(batch).double(), space):
                parts[name].add(field)
            done += len(batch)
            advance(done, "")
    fields = [part.field() for part in parts.values()]
    return Survey(
        space,
        total,
        tuple(field for field in fields if _is_approximation(field.name)),
        tuple(field for field in reversed(fields) if not _is_approximation(field.name)),
    )


def default_crop(space: PyramidSpace, images: int) -> int:
    """The largest side in CROPS of which every level has ENOUGH crops; the smallest if none has."""
    sizes = [size for name, _, size in _fields(space) if _is_approximation(name)]
    for side in CROPS:
        counts = [images * (height // side) * (width // side) for height, width in sizes]
        if min(counts) >= ENOUGH * side**2:
            return side
    return CROPS[-1]


def _fields(space: PyramidSpace) -> list[tuple[str, int, tuple[int, int]]]:
    """(name, level, size) of the image and of every approximation and detail, fine to coarse."""
    found = [("image", 0, (space.image.height, space.image.width))]
    for level in range(1, space.levels + 1):
        at = space.levels - level
        ends = zip(reversed(ORIENTATIONS), reversed(space.detail_shapes()[at]), strict=True)
        found += [(f"c{o}{level}", level, size) for o, size in ends]
        found.append((f"cA{level}", level, space.sizes[at]))
    return found


def split(images: Tensor, space: PyramidSpace) -> Iterator[tuple[str, Tensor]]:
    """Images (B, C, H, W) as fields by name, fine to coarse: "image", cD1, cV1, cH1, cA1, cD2, …, in the filters' own units."""
    assert space.bank is not None
    approx = images
    yield "image", approx
    for level in range(1, space.levels + 1):
        approx, (details,) = analysis(approx, space.bank, space.mode)  # type: ignore[arg-type]
        ends = space.detail_shapes()[space.levels - level]
        for index in (2, 1, 0):
            height, width = ends[index]
            yield f"c{ORIENTATIONS[index]}{level}", details[..., index, :height, :width]
        yield f"cA{level}", approx
