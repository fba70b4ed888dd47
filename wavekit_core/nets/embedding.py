"""What a network is told beside the image: how noisy it is, and which class it shows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavekit_core.errors import WavekitError

SLOWEST, FASTEST = 0.5, 64.0  # radians a unit of `noise`: as ln σ / 4, the fastest wave repeats every 0.4 of ln σ


def fourier(noise: Tensor, features: int) -> Tensor:
    """Cosines and sines (B, features) of `noise` (B,), whose frequencies grow geometrically from SLOWEST to FASTEST."""
    count = features // 2
    exponents = torch.arange(count, device=noise.device, dtype=noise.dtype) / max(count - 1, 1)
    angles = noise[:, None] * (SLOWEST * (FASTEST / SLOWEST) ** exponents)
    return torch.cat([angles.cos(), angles.sin()], 1)


class Embedding(nn.Module):
    """Noise (B,) and labels (B,) to activated features (B, width), by which every block of a network is modulated.

    `labels` are of any integer type; -1 stands for no class and has a vector of its own, which None means for the whole batch.
    Labels on the CPU are checked, and one outside -1 … classes - 1 raises `WavekitError`. Labels on a device are not, since
    reading them would stop the queue at every call: there the kernel of `torch.nn.Embedding` asserts the same bounds and ends
    the process. A network of 0 classes has no vectors, and on a device ignores labels.
    """

    def __init__(self, features: int, width: int, classes: int = 0):
        super().__init__()
        self.features = features + features % 2
        self.classes = classes
        self.first = nn.Linear(self.features, width)
        self.second = nn.Linear(width, width)
        self.vectors = nn.Embedding(classes + 1, width) if classes else None  # the first for no class

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is not None:
            self._check(labels, noise)
        x = self.second(F.silu(self.first(fourier(noise.to(self.first.weight.dtype), self.features))))
        if self.vectors is not None:
            x = x + (self.vectors.weight[:1] if labels is None else self.vectors(labels.long() + 1))
        return F.silu(x)

    def _check(self, labels: Tensor, noise: Tensor) -> None:
        if labels.shape != noise.shape or labels.is_floating_point():
            raise WavekitError(
                f"labels are {labels.dtype} of shape {tuple(labels.shape)} for {len(noise)} images; a network takes one "
                "integer an image; give labels (B,) of dtype int64"
            )
        if labels.device.type != "cpu" or not len(labels) or torch.compiler.is_compiling():
            return
        low, high = int(labels.min()), int(labels.max())
        if low < -1 or high >= self.classes:
            known = (
                f"classes 0 to {self.classes - 1}, and -1 for none" if self.classes else "no classes, only -1 for none"
            )
            raise WavekitError(
                f"there is a label {low if low < -1 else high}; the network knows {known}; give one of those"
            )
