"""Networks by name: the one way in which generators make theirs."""

from __future__ import annotations

from typing import Literal, get_args

from wavekit_core.errors import RecipeError
from wavekit_core.nets.mlp import MLP
from wavekit_core.nets.network import Network
from wavekit_core.nets.unet import UNet

Preset = Literal["auto", "tiny", "small", "paper", "mlp"]
MLP_SIDE = 8  # up to this size an MLP learns more a second on a CPU than a U-Net


def make_network(
    preset: Preset,
    channels: int,
    out_channels: int,
    size: tuple[int, int],
    classes: int = 0,
    condition_channels: int = 0,
    width: int | None = None,
    dropout: float = 0.0,
) -> Network:
    """A network for images (channels, *size), giving out_channels; `width` replaces the preset's own.

    mlp     residual MLP, width 256, 4 blocks
    tiny    U-Net, width 32 up to 16 pixels and 16 above, a block a level, attention at 8: for minutes on one CPU core
    small   U-Net, width 64, a block a level, attention at 8 and 16: for many cores or a GPU
    paper   U-Net, width 128, 3 blocks a level, attention at 8 and 16: that of Improved DDPM (arXiv 2102.09672) for CIFAR
    auto    mlp for images of 8×8 and below, else tiny

    The multipliers of a U-Net's levels are cut where a level would be under 4 pixels high or wide, and the last is repeated until
    the coarsest is of at most 8. Raises `RecipeError` for a name that is none of these.
    """
    if preset not in get_args(Preset):
        raise RecipeError(
            f"there is no network {preset!r}; the networks are {', '.join(get_args(Preset))}; name one of them"
        )
    if preset == "auto":
        preset = "mlp" if max(size) <= MLP_SIDE else "tiny"
    if preset == "mlp":
        return MLP(channels, out_channels, size, width or 256, 4, classes, condition_channels, dropout)
    if preset == "tiny":
        return UNet(
            channels,
            out_channels,
            size,
            width=width or (32 if max(size) <= 16 else 16),  # a step costs the same at 16 and 32 pixels
            multipliers=levels(size, (1, 2, 2)),
            blocks=1,
            attention=(8,),
            classes=classes,
            condition_channels=condition_channels,
            head_width=32,
            dropout=dropout,
            resample="pool",
        )
    paper = preset == "paper"
    return UNet(
        channels,
        out_channels,
        size,
        width=width or (128 if paper else 64),
        multipliers=levels(size, _paper(size) if paper else (1, 2, 2)),
        blocks=3 if paper else 1,
        attention=(8, 16),
        classes=classes,
        condition_channels=condition_channels,
        dropout=dropout,
    )


def _paper(size: tuple[int, int]) -> tuple[int, ...]:
    """Improved DDPM's multipliers for 32 and 64 pixels, and the WMGM paper's baseline for 128."""
    side = max(size)
    return (1, 2, 2, 2) if side <= 32 else (1, 2, 3, 4) if side <= 64 else (1, 2, 2, 4, 4)


def levels(size: tuple[int, int], multipliers: tuple[int, ...]) -> tuple[int, ...]:
    """The multipliers for a size: those of levels under 4 pixels left out, the last repeated while a level is above 8."""
    fitting = [m for level, m in enumerate(multipliers) if level == 0 or -(-min(size) // 2**level) >= 4]
    while -(-min(size) // 2 ** (len(fitting) - 1)) > 8:
        fitting.append(multipliers[-1])
    return tuple(fitting)
