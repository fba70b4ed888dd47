"""The score model: of the coarse approximation in WMGM, of pixels in its baseline.

S4: Multi-scale Generative Modeling for Fast Sampling, arXiv 2411.09356, §3.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Batch, Denoiser, Loss, Objective, Sampler
from wavekit_core.nets import Preset, make_network
from wavekit_core.spaces import ImageSpace
from wavekit_wmgm_sgm.labels import require_labels
from wavekit_wmgm_sgm.normalise import Normalise, Whiten
from wavekit_wmgm_sgm.process import Parametrisation, Process, Times, without

PositiveFloat = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
SomeShare = Annotated[float, Field(gt=0, lt=1)]
MOST_NUMBERS = 4096
Horizon = Annotated[float, Field(ge=0.1, le=20)]  # at 20, σ is 5e8


class ScoreModel(Denoiser):
    """Denoising score matching by the Ornstein–Uhlenbeck process dX = -X dt + √2 dB (S4 Eq. 1, 12):
    X_t = e^{-t} X_0 + √(1 - e^{-2t}) ε.

    Args:
        space: images: pixels, or an approximation.
        network: see `wavekit_core.nets.make_network`; `auto` is an MLP up to 8×8, and a small U-Net above.
        width: of the network, if not the preset's.
        classes: that labels tell apart; 0 for a model without.
        label_drop: share of the labels that training leaves out: what is drawn without a class, and guidance, need it.
        parametrisation, times, horizon: see `wavekit_wmgm_sgm.process.Process`.
        scale: `whiten`: mean 0 and deviation 1 a channel over the training set; `decorrelate`: mean 0 and covariance 1 of all
            values of an image together, for up to 4,096 of them; `range`: from -1 to 1.
        dropout: of the network.
        lr: of Adam.
        sampler: one of its own, to be used instead of the recipe's.
    """

    space: ImageSpace

    def __init__(
        self,
        space: ImageSpace,
        network: Preset = "auto",
        width: PositiveInt | None = None,
        classes: Annotated[int, Field(ge=0)] = 0,
        label_drop: SomeShare = 0.1,
        parametrisation: Parametrisation = "velocity",
        times: Times = "quadratic",
        horizon: Horizon = 5.0,
        scale: Literal["whiten", "decorrelate", "range"] = "whiten",
        dropout: Share = 0.0,
        lr: PositiveFloat = 1e-3,
        sampler: Sampler | None = None,
    ):
        super().__init__()
        self.space, self.shape = space, space.shape
        self.classes, self.label_drop, self.scale, self.lr = classes, label_drop, scale, lr
        centre, half = (space.low + space.high) / 2, (space.high - space.low) / 2
        if scale == "decorrelate" and space.numbers > MOST_NUMBERS:
            raise SpaceError(
                self,
                f"{space} has {space.numbers:,} numbers, and decorrelate multiplies by a matrix of that size; up to "
                f"{MOST_NUMBERS:,} it does: take more levels, or scale: whiten",
            )
        self.normalise = Whiten(space.shape) if scale == "decorrelate" else Normalise(space.channels, centre, half)
        self.process = Process(parametrisation, times, horizon, 0.5 if scale == "range" else 1.0)
        self.sigmas = self.process.sigmas
        size = (space.height, space.width)
        self.network = make_network(network, space.channels, space.channels, size, classes, 0, width, dropout)
        if sampler is not None and (reason := sampler.refuses(self)):
            raise SpaceError(sampler, reason)
        self.sampler = sampler

    def fit(self, batches: Callable[[], Iterable[Batch]]) -> None:
        require_labels(self.classes, batches())
        if self.scale != "range":
            self.normalise.fit(batch.data for batch in batches())

    def loss(self, batch: Batch) -> Loss:
        """F's mean squared error."""
        labels = without(batch.labels, self.classes, self.label_drop)
        return Loss(self.process.error(self.network, self.normalise(batch.data), labels).mean())

    def objectives(self) -> Sequence[Objective]:
        optimizer = functools.partial(torch.optim.Adam, lr=self.lr, fused=True)
        return [Objective("score", [{"params": list(self.network.parameters())}], self.loss, optimizer)]

    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.process.denoised(self.network, x, sigma, labels)

    def finished(self, x: Tensor) -> Tensor:
        return self.normalise.inverse(x).clamp(self.space.low, self.space.high)
