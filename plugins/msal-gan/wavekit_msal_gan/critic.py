"""The critic's network: strided residual blocks, the mean over all places, two linear layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavekit_msal_gan.norm import Norm
from wavekit_msal_gan.units import full_precision

SLOPE = 0.1
ITERATIONS = 10


class Critic(nn.Module):
    """(B, channels, h, w) to scores (B,), for any size.

    As in the published code of S4, with group normalisation in place of batch statistics, by which images would see each
    other: channels start at `width` and double with each of `depth` halvings. `spectral`: instead of normalising features,
    the spectral norm of every weight is 1 (Miyato et al. 2018, arXiv 1802.05957). `offset`: whether a constant is added to
    the scores, which is nothing to a Wasserstein critic.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        depth: int,
        spectral: bool = False,
        dropout: float = 0.0,
        offset: bool = True,
    ):
        super().__init__()

        def norm(features: int) -> nn.Module:
            return nn.Identity() if spectral else Norm(features)

        convolution = SpectralConv2d if spectral else nn.Conv2d
        linear = SpectralLinear if spectral else nn.Linear
        self.stem = nn.Sequential(convolution(channels, width, 3, padding=1), norm(width), nn.LeakyReLU(SLOPE))
        self.inner = nn.ModuleList()
        self.shortcuts = nn.ModuleList()
        for level in range(depth):
            c = width * 2**level
            self.inner.append(
                nn.Sequential(
                    *(convolution(c, c, 3, padding=1), norm(c), nn.LeakyReLU(SLOPE)),
                    *(convolution(c, 2 * c, 3, stride=2, padding=1), norm(2 * c)),
                )
            )
            self.shortcuts.append(nn.Sequential(convolution(c, 2 * c, 1, bias=False), norm(2 * c)))
        last = width * 2**depth
        middle = max(1, last // 2)
        self.score = nn.Sequential(
            *(linear(last, middle), nn.LeakyReLU(SLOPE), nn.Dropout(dropout)), linear(middle, 1, bias=offset)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        for inner, shortcut in zip(self.inner, self.shortcuts, strict=True):
            # every second place and then a 1×1 convolution: one with a stride of 2 writes past its memory in the backward pass on
            # the CPU, https://github.com/uxlfoundation/oneDNN/issues/6035
            x = F.leaky_relu(inner(x) + shortcut(x[..., ::2, ::2]), SLOPE)
        return self.score(x.mean((-2, -1))).squeeze(-1).float()


class SpectralConv2d(nn.Conv2d):
    """A convolution whose weight, as a matrix of a row an output channel, has the spectral norm 1."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0, bias: bool = True):
        super().__init__(inputs, outputs, size, stride=stride, padding=padding, bias=bias)
        self.register_buffer("start", torch.randn(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight / spectral_norm(self.weight, self.start), self.bias)  # type: ignore[arg-type]


class SpectralLinear(nn.Linear):
    """A linear layer whose weight has the spectral norm 1."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        super().__init__(inputs, outputs, bias=bias)
        self.register_buffer("start", torch.randn(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight / spectral_norm(self.weight, self.start), self.bias)  # type: ignore[arg-type]


def spectral_norm(weight: Tensor, start: Tensor) -> Tensor:
    """The largest singular value of `weight` as a matrix (outputs, …), from below: 10 power iterations from the vector `start`
    (outputs,). Nothing is remembered between calls, so shards and processes do not matter."""
    with full_precision(weight):
        matrix = weight.flatten(1)
        with torch.no_grad():
            left = start
            for _ in range(ITERATIONS):
                right = F.normalize(matrix.T @ left, dim=0)
                left = F.normalize(matrix @ right, dim=0)
        return left @ (matrix @ right)
