"""The operator baseline of S4's Table 2: details by a Fourier neural operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from wavekit_core.errors import PluginError
from wavekit_core.kinds import DetailSpace, Objective
from wavekit_msal_gan.regression import DetailRegression, Domain, Positive, Weight, Width
from wavekit_msal_gan.units import full_precision


class OL(DetailRegression):
    """x_H = T(x_L) by a Fourier neural operator (Li et al. 2021, arXiv 2010.08895): the operator learning of S4's Table 2.

    Deterministic, as `sl`. The layers are those of the package neuraloperator. At the paper's size (hidden 256, modes 16,
    layers 4) and three colours there are 75,896,073 parameters, a complex one counted as two: 75,497,472 in the spectral
    convolutions, as the paper's, and 256 fewer in all.

    Args:
        space: the details to model.
        hidden: channels of the operator's layers (256 in the paper).
        modes: frequencies kept along each axis (16 in the paper), at most as many as the finest details have; coarser
            ones use those that they have.
        layers: Fourier layers.
        fidelity: weight λ of the squared error.
        ssim: weight ν of 1 − SSIM.
        loss_domain: where both look: the finer approximation, or the details.
        lr: rate.
        weight_decay: of AdamW.

    Raises PluginError if neuraloperator is not installed.
    """

    def __init__(
        self,
        space: DetailSpace,
        hidden: Width = 32,
        modes: Annotated[int, Field(ge=1, le=1024)] = 16,
        layers: Annotated[int, Field(ge=1, le=64)] = 4,
        fidelity: Weight = 20.0,
        ssim: Weight = 0.0,
        loss_domain: Domain = "image",
        lr: Positive = 1e-3,
        weight_decay: Weight = 0.01,
    ):
        super().__init__(space, fidelity, ssim, loss_domain)
        self.rates = (lr, weight_decay)
        kept = tuple(min(modes, side) for side in self.largest)
        self.network = FourierOperator(space.channels, 3 * space.channels, hidden, kept, layers)

    def objectives(self) -> Sequence[Objective]:
        return [self.objective(*self.rates)]


class FourierOperator(nn.Module):
    """(B, inputs, h, w) to (B, outputs, h, w), for any size; every place is told where it is. Computed without autocast."""

    def __init__(self, inputs: int, outputs: int, hidden: int, modes: tuple[int, ...], layers: int):
        super().__init__()
        try:
            from neuralop.models import FNO  # slow to import, and an extra
        except ImportError as error:
            raise PluginError(
                f"ol needs the package neuraloperator ({error}); the Fourier layers are its; "
                "pip install 'wavekit-msal-gan[ol]'"
            ) from error
        # Its parts and not the model, which keeps settings among its tensors, and places of the device that it saw last.
        made = FNO(
            n_modes=modes,
            in_channels=inputs + len(modes),
            out_channels=outputs,
            hidden_channels=hidden,
            n_layers=layers,
            lifting_channel_ratio=1,
            projection_channel_ratio=1,
            positional_embedding=None,
            use_channel_mlp=False,
        )
        self.lifting, self.blocks, self.projection = made.lifting, made.fno_blocks, made.projection

    def forward(self, x: Tensor, scale: int = 0) -> Tensor:
        with full_precision(x):
            x = self.lifting(torch.cat([x.float(), _places(x)], 1))
            for layer in range(self.blocks.n_layers):
                x = self.blocks(x, layer)
            return self.projection(x)


def _places(x: Tensor) -> Tensor:
    """(B, 2, h, w): row and column of each pixel's upper left corner, as shares of the image."""
    count, _, height, width = x.shape
    rows, columns = (torch.arange(side, device=x.device) / side for side in (height, width))
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(count, 2, height, width)
