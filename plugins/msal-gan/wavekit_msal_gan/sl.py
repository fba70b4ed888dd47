"""The regression baseline of S4's Table 2: details by a U-Net, without noise and without a critic."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavekit_core.kinds import DetailSpace, Objective
from wavekit_msal_gan.norm import Norm, NormKind, halvings
from wavekit_msal_gan.regression import Depth, DetailRegression, Domain, Positive, Weight, Width

POOLINGS = 4  # of the published network


class SL(DetailRegression):
    """x_H = T(x_L) by a U-Net (Ronneberger et al. 2015, arXiv 1505.04597): the supervised learning of S4's Table 2.

    It is deterministic: without noise it gives one answer, near the mean of what is possible, whatever is drawn.

    Args:
        space: the details to model.
        width: channels at the finest level, doubled with each pooling (64 in the paper: 36 M parameters).
        depth: poolings; by default 4, or as many as leave 2 pixels of the finest details.
        norm: group normalisation, or batch normalisation with statistics for each scale.
        fidelity: weight λ of the squared error, by 20 of which msal-gan's losses compare with these.
        ssim: weight ν of 1 − SSIM; 0.5 is msal-gan without its adversarial term.
        loss_domain: where both look: the finer approximation, or the details.
        lr: rate.
        weight_decay: of AdamW.
    """

    def __init__(
        self,
        space: DetailSpace,
        width: Width = 8,
        depth: Depth | None = None,
        norm: NormKind = "group",
        fidelity: Weight = 20.0,
        ssim: Weight = 0.0,
        loss_domain: Domain = "image",
        lr: Positive = 1e-3,
        weight_decay: Weight = 0.01,
    ):
        super().__init__(space, fidelity, ssim, loss_domain)
        self.rates = (lr, weight_decay)
        poolings = halvings(*self.largest, POOLINGS) if depth is None else depth
        self.network = UNet(space.channels, 3 * space.channels, width, poolings, norm, len(space.levels))

    def objectives(self) -> Sequence[Objective]:
        return [self.objective(*self.rates)]


class Double(nn.Module):
    """A 2×2 and a 4×4 convolution, each with one pixel of padding, which together keep the size."""

    def __init__(self, inputs: int, outputs: int, kind: NormKind, scales: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 2, padding=1)
        self.first_norm = Norm(outputs, kind, scales)
        self.second = nn.Conv2d(outputs, outputs, 4, padding=1)
        self.second_norm = Norm(outputs, kind, scales)

    def forward(self, x: Tensor, scale: int) -> Tensor:
        x = F.relu(self.first_norm(self.first(x), scale))
        return F.relu(self.second_norm(self.second(x), scale))


class UNet(nn.Module):
    """(B, inputs, h, w) to (B, outputs, h, w), for any size. Poolings round odd sizes up. At the start it gives 0."""

    def __init__(self, inputs: int, outputs: int, width: int, depth: int, kind: NormKind = "group", scales: int = 1):
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList(
            Double(a, b, kind, scales) for a, b in zip([inputs, *widths], widths, strict=False)
        )
        down = list(itertools.pairwise(widths))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in down)
        self.decoder = nn.ModuleList(Double(2 * a, a, kind, scales) for a, _ in down)
        self.out = nn.Conv2d(width, outputs, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, scale: int = 0) -> Tensor:
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(F.max_pool2d(x, 2, ceil_mode=True) if level else x, scale)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            skip = skips.pop()
            height, width = skip.shape[-2:]
            x = block(torch.cat([skip, up(x)[..., :height, :width]], 1), scale)
        return self.out(x)
