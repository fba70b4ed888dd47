"""What every network of a denoiser is: the contract, and the refusal of inputs that it was not made for."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from wavekit_core.errors import WavekitError


class Network(nn.Module):
    """F(x, noise, labels, condition) for images x (B, `channels`, h, w), of (B, `out_channels`, h, w).

    `noise` (B,) is a smooth function of σ of the order of 1, as EDM's ln σ / 4. `labels` (B,) are integers, -1 for none, or
    None for none at all; a network knows `classes` of them. `condition` (B, `condition_channels`, h, w) is asked for if that is
    not 0. `size` is the (h, w) that the network is made for. A new network gives exactly 0.
    """

    def __init__(
        self, channels: int, out_channels: int, size: tuple[int, int], classes: int = 0, condition_channels: int = 0
    ):
        super().__init__()
        self.channels = channels
        self.out_channels = out_channels
        self.size = size
        self.classes = classes
        self.condition_channels = condition_channels

    @abstractmethod
    def forward(
        self, x: Tensor, noise: Tensor, labels: Tensor | None = None, condition: Tensor | None = None
    ) -> Tensor:
        """Raises `WavekitError` for an input that the network was not made for."""

    def joined(self, x: Tensor, noise: Tensor, condition: Tensor | None) -> Tensor:
        """`x` with the condition behind its channels, (B, channels + condition_channels, h, w), both of them checked."""
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise WavekitError(
                f"the input has the shape {tuple(x.shape)}; the network was made for {self.channels} channels; "
                f"give (B, {self.channels}, height, width)"
            )
        if noise.shape != (len(x),):
            raise WavekitError(
                f"the noise has the shape {tuple(noise.shape)} for {len(x)} images; there is one number an image; "
                f"give ({len(x)},)"
            )
        wanted = self.condition_channels
        if condition is None:
            if wanted:
                raise WavekitError(
                    f"there is no condition; the network was made for one of {wanted} channels; give `condition`"
                )
            return x
        if condition.shape != (len(x), wanted, *x.shape[2:]):
            made = f"was made for one of {wanted} channels and the input's size" if wanted else "was made without one"
            raise WavekitError(
                f"the condition has the shape {tuple(condition.shape)} beside an input {tuple(x.shape)}; the network {made}; "
                f"give {(len(x), wanted, *x.shape[2:]) if wanted else None}"
            )
        return torch.cat([x, condition.to(x.dtype)], 1)
