"""The generator's network: an attention-gated U-Net with five levels, or as many as small details allow.

S4 names it and no more; the layers are those of its published code, whose parameters its Table 2 counts (36 M).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavekit_msal_gan.norm import Norm, NormKind

SLOPE = 0.1


class Block(nn.Module):
    """Two 3×3 convolutions from `inputs` over the mean of both to `outputs` channels, beside a 1×1 shortcut.

    With `noise`, one map of normal numbers is added behind the second, with a learned strength a channel that starts at 0.
    """

    def __init__(self, inputs: int, outputs: int, kind: NormKind, scales: int, noise: bool):
        super().__init__()
        middle = (inputs + outputs) // 2
        self.first = nn.Conv2d(inputs, middle, 3, padding=1)
        self.first_norm = Norm(middle, kind, scales)
        self.second = nn.Conv2d(middle, outputs, 3, padding=1)
        self.second_norm = Norm(outputs, kind, scales)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.strength = nn.Parameter(torch.zeros(outputs)) if noise else None

    def forward(self, x: Tensor, scale: int) -> Tensor:
        inner = F.leaky_relu(self.first_norm(self.first(x), scale), SLOPE)
        inner = self.second_norm(self.second(inner), scale)
        if self.strength is not None:
            inner = inner + self.strength[:, None, None] * torch.randn_like(inner[:, :1])
        return F.leaky_relu(inner + self.shortcut(x), SLOPE)


class Gate(nn.Module):
    """A skip connection, weighted place by place with what the decoder knows (Oktay et al. 2018, arXiv 1804.03999, Eq. 1)."""

    def __init__(self, channels: int, kind: NormKind, scales: int):
        super().__init__()
        inner = max(1, channels // 2)
        self.skip = nn.Conv2d(channels, inner, 1)
        self.skip_norm = Norm(inner, kind, scales)
        self.decoder = nn.Conv2d(channels, inner, 1)
        self.decoder_norm = Norm(inner, kind, scales)
        self.weight = nn.Conv2d(inner, 1, 1)
        self.weight_norm = Norm(1, kind, scales)

    def forward(self, skip: Tensor, decoder: Tensor, scale: int) -> Tensor:
        both = self.skip_norm(self.skip(skip), scale) + self.decoder_norm(self.decoder(decoder), scale)
        return skip * torch.sigmoid(self.weight_norm(self.weight(F.relu(both)), scale))


class AttentionUNet(nn.Module):
    """(B, inputs, h, w) to (B, outputs, h, w) in [-1, 1], for any size.

    Channels start at `width` and double with each of `depth` poolings, which round odd sizes up; the decoder goes back by
    bilinear interpolation. `scales` counts the scales that it serves; `forward` is told which one it is. At the start it gives 0.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        depth: int,
        kind: NormKind = "group",
        scales: int = 1,
        noise: bool = False,
    ):
        super().__init__()

        def block(before: int, after: int) -> Block:
            return Block(before, after, kind, scales, noise)

        widths = [width * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList(block(a, b) for a, b in zip([inputs, *widths], widths, strict=False))
        self.decoder = nn.ModuleList()
        self.gates = nn.ModuleList()
        channels = widths[-1]
        for level in range(depth - 1, -1, -1):
            self.decoder.append(block(channels, widths[level]))
            self.gates.append(Gate(widths[level], kind, scales))
            channels = 2 * widths[level]
        self.head = block(channels, max(1, width // 2))
        self.out = nn.Conv2d(max(1, width // 2), outputs, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, scale: int = 0) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)  # a fifth less time on a CPU
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(F.max_pool2d(x, 2, ceil_mode=True) if level else x, scale)
            skips.append(x)
        skips.pop()
        for block, gate in zip(self.decoder, self.gates, strict=True):
            skip = skips.pop()
            x = block(F.interpolate(x, skip.shape[-2:], mode="bilinear"), scale)
            x = torch.cat([gate(skip, x, scale), x], 1)
        return torch.tanh(self.out(self.head(x, scale)))
