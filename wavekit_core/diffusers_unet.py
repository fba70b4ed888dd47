"""A trained U-Net as the `UNet2DModel` of the library diffusers, where the two compute the same.

The correspondence, with the same weights on both sides:

==================================  ============================================================================
`wavekit_core.nets.unet`            `diffusers.UNet2DModel`
==================================  ============================================================================
noise n, waves of 0.5 to 64         timestep 64 n, `positional` with a `freq_shift` that gives the same waves, in
                                    descending order
label y, -1 for none                class label y + 1
modulation of all blocks at once    `time_emb_proj` of each block, `scale_shift`
query, key and value at once        `to_q`, `to_k`, `to_v`
averages of 2×2 pixels              a strided convolution with weights of ¼
nearest neighbours alone            the same with an identity for its convolution
==================================  ============================================================================

A UNet2DModel has one number of groups for all its group norms, and one width for all its heads.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from wavekit_core.cascade import Cascade
from wavekit_core.kinds import Denoiser, Generator
from wavekit_core.nets.embedding import FASTEST, SLOWEST
from wavekit_core.nets.network import Network
from wavekit_core.nets.unet import Attention, Down, Norm, Stage, UNet, Up
from wavekit_core.pipeline import Pipeline

PERIOD = 10_000  # the range of frequencies that is fixed in diffusers
NOT_SUCH = "no stage of this model is a score model with a network of its own"


@dataclass(frozen=True)
class _Level:
    """One size of a U-Net: its stages on the way down and up, and what changes the size behind them."""

    down: list[Stage]
    shrink: Down | None
    up: list[Stage]
    grow: Up | None

    @property
    def stages(self) -> list[Stage]:
        return [*self.down, *self.up]

    @property
    def attends(self) -> bool:
        return isinstance(self.down[0].attention, Attention)


def network_of(model: Generator) -> Network | None:
    """The network of a score model: of the whole, or of a cascade's coarse stage."""
    while isinstance(model, Pipeline | Cascade):
        model = model.generator if isinstance(model, Pipeline) else model.coarse
    network = getattr(model, "network", None)
    return network if isinstance(model, Denoiser) and isinstance(network, Network) else None


def obstacles(network: Network | None) -> list[str]:
    """Why a network is no UNet2DModel, a reason each; empty if it is one."""
    if network is None:
        return [NOT_SUCH]
    if not isinstance(network, UNet):
        return [
            f"the network is an {type(network).__name__}, and a UNet2DModel has convolutions; train with network: paper"
        ]
    levels, found = _levels(network), []
    if network.condition_channels:
        found.append("the network sees a condition beside the image, and a UNet2DModel does not")
    norms = {one.num_groups: one.num_channels for one in network.modules() if isinstance(one, Norm)}
    if len(norms) > 1:
        groups = ", ".join(f"{count} at {channels} channels" for count, channels in sorted(norms.items()))
        found.append(
            f"its group norms have {groups}, and a UNet2DModel has one number of groups; with a width that 128 divides it is 32"
        )
    heads = {_head(one) for one in network.modules() if isinstance(one, Attention)}
    if len(heads) > 1:
        found.append(
            f"its heads are {', '.join(map(str, sorted(heads)))} channels wide, and a UNet2DModel has one width"
        )
    width = network.first.out_channels
    if levels[0].down[0].block.first.out_channels != width:
        found.append("the first level is wider than the first convolution, and a UNet2DModel has one width for both")
    if width % 2:
        found.append(f"its width {width} is odd, and a UNet2DModel has as many sines as cosines")
    if any(side % 2 ** (len(levels) - 1) for side in network.size):
        h, w = network.size
        found.append(
            f"{h}×{w} cannot be halved {len(levels) - 1} times, and a UNet2DModel only doubles sizes on its way up"
        )
    return found


def files_of(network: UNet) -> dict[str, bytes]:
    """The files of a folder that `UNet2DModel.from_pretrained` reads, of a network without `obstacles`."""
    return {
        "diffusion_pytorch_model.safetensors": save(_weights(network), {"format": "pt"}),
        "config.json": json.dumps(_config(network), indent=2).encode() + b"\n",
    }


def difference(network: UNet, folder: str) -> float:
    """The largest difference of what the network and the UNet2DModel in a folder give for the same random input, as a share of
    the largest value. Raises ImportError without diffusers."""
    from diffusers import UNet2DModel

    other = UNet2DModel.from_pretrained(folder, use_safetensors=True).eval()
    network = network.eval()
    device = next(network.parameters()).device
    generator = torch.Generator().manual_seed(0)
    count = 4
    x = torch.randn(count, network.channels, *network.size, generator=generator)
    noise = torch.linspace(-1.2, 1.2, count)
    labels = torch.arange(count) % (network.classes + 1) - 1 if network.classes else None
    with torch.no_grad():
        ours = network(x.to(device), noise.to(device), None if labels is None else labels.to(device)).cpu()
        theirs = other(x, noise * FASTEST, None if labels is None else labels + 1).sample
    return float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1e-30))


def _levels(network: UNet) -> list[_Level]:
    down: list[tuple[list[Stage], Down | None]] = [([], None)]
    for layer in network.down:
        if isinstance(layer, Stage):
            down[-1][0].append(layer)
        else:
            assert isinstance(layer, Down)
            down[-1] = (down[-1][0], layer)
            down.append(([], None))
    up: list[tuple[list[Stage], Up | None]] = [([], None)]
    for layer in network.up:
        if isinstance(layer, Stage):
            up[-1][0].append(layer)
        else:
            assert isinstance(layer, Up)
            up[-1] = (up[-1][0], layer)
            up.append(([], None))
    return [_Level(*one, *other) for one, other in zip(down, reversed(up), strict=True)]


def _head(attention: Attention) -> int:
    return attention.qkv.in_features // attention.heads


def _config(network: UNet) -> dict[str, Any]:
    levels = _levels(network)
    half = network.first.out_channels // 2
    attentions = [one for one in network.modules() if isinstance(one, Attention)]
    # neighbouring waves differ by the factor 10000^(1 / (half - freq_shift)) there, by (FASTEST / SLOWEST)^(1 / (half - 1)) here
    shift = half - max(half - 1, 1) * math.log(PERIOD) / math.log(FASTEST / SLOWEST)
    return {
        "_class_name": "UNet2DModel",
        "sample_size": network.size[0] if len(set(network.size)) == 1 else list(network.size),
        "in_channels": network.channels,
        "out_channels": network.out_channels,
        "time_embedding_type": "positional",
        "freq_shift": shift,
        "flip_sin_to_cos": True,
        "down_block_types": ["AttnDownBlock2D" if one.attends else "DownBlock2D" for one in levels],
        "up_block_types": ["AttnUpBlock2D" if one.attends else "UpBlock2D" for one in reversed(levels)],
        "block_out_channels": [one.down[0].block.first.out_channels for one in levels],
        "layers_per_block": len(levels[0].down),
        "downsample_padding": 1,
        "downsample_type": "conv",
        "upsample_type": "conv",
        "dropout": levels[0].down[0].block.dropout,
        "act_fn": "silu",
        "attention_head_dim": _head(attentions[0]) if attentions else None,
        "norm_num_groups": network.norm.num_groups,
        "attn_norm_num_groups": network.norm.num_groups,
        "norm_eps": network.norm.eps,
        "resnet_time_scale_shift": "scale_shift",
        "add_attention": isinstance(_middle(network)[0].attention, Attention),
        "num_class_embeds": network.classes + 1 if network.classes else None,
    }


def _middle(network: UNet) -> list[Stage]:
    return [layer for layer in network.middle if isinstance(layer, Stage)]


def _weights(network: UNet) -> dict[str, Tensor]:
    """Every tensor under its name there."""
    given: dict[str, Tensor] = {}

    def put(name: str, layer: nn.Module) -> None:
        given.update({f"{name}.{key}": tensor for key, tensor in layer.state_dict().items()})

    layers = (*network.down, *network.middle, *network.up)
    stages = [layer for layer in layers if isinstance(layer, Stage)]
    parts = [network.modulate.weight.split(network.modulations), network.modulate.bias.split(network.modulations)]
    modulation = dict(zip(map(id, stages), zip(*parts, strict=True), strict=True))

    def put_stages(name: str, stages: list[Stage]) -> None:
        attended = 0
        for index, stage in enumerate(stages):
            place = f"{name}.resnets.{index}"
            for key, layer in (
                ("norm1", stage.block.norm),
                ("conv1", stage.block.first),
                ("norm2", stage.block.modulated),
                ("conv2", stage.block.second),
                ("conv_shortcut", stage.block.skip),
            ):
                put(f"{place}.{key}", layer)
            weight, bias = modulation[id(stage)]
            given.update({f"{place}.time_emb_proj.weight": weight, f"{place}.time_emb_proj.bias": bias})
            if isinstance(stage.attention, Attention):
                _put_attention(f"{name}.attentions.{attended}", stage.attention, given)
                attended += 1

    embed = network.embed
    half = embed.features // 2
    put("conv_in", network.first)
    put("time_embedding.linear_1", embed.first)
    order = torch.cat([torch.arange(half).flip(0), half + torch.arange(half).flip(0)])
    given["time_embedding.linear_1.weight"] = embed.first.weight[:, order.to(embed.first.weight.device)]
    put("time_embedding.linear_2", embed.second)
    if embed.vectors is not None:
        put("class_embedding", embed.vectors)
    levels = _levels(network)
    for index, level in enumerate(levels):
        above = len(levels) - 1 - index
        put_stages(f"down_blocks.{index}", level.down)
        put_stages(f"up_blocks.{above}", level.up)
        channels = level.down[0].block.first.out_channels
        if level.shrink is not None:
            _put_conv(f"down_blocks.{index}.downsamplers.0.conv", level.shrink.conv, _averages(channels), given)
        if level.grow is not None:
            conv = level.grow.conv if isinstance(level.grow.conv, nn.Conv2d) else None
            _put_conv(f"up_blocks.{above}.upsamplers.0.conv", conv, _identity(channels), given)
    put_stages("mid_block", _middle(network))
    put("conv_norm_out", network.norm)
    put("conv_out", network.last)
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in given.items()}


def _put_attention(name: str, attention: Attention, given: dict[str, Tensor]) -> None:
    for key, tensor in attention.norm.state_dict().items():
        given[f"{name}.group_norm.{key}"] = tensor
    for key, tensor in attention.last.state_dict().items():
        given[f"{name}.to_out.0.{key}"] = tensor
    for key, tensor in attention.qkv.state_dict().items():
        for part, one in zip("qkv", tensor.chunk(3), strict=True):
            given[f"{name}.to_{part}.{key}"] = one


def _put_conv(name: str, conv: nn.Conv2d | None, otherwise: Tensor, given: dict[str, Tensor]) -> None:
    given[f"{name}.weight"] = otherwise if conv is None else conv.weight
    bias = None if conv is None else conv.bias
    given[f"{name}.bias"] = torch.zeros(len(otherwise)) if bias is None else bias


def _identity(channels: int) -> Tensor:
    """The 3×3 convolution that gives its input."""
    kernel = torch.zeros(channels, channels, 3, 3)
    kernel[:, :, 1, 1] = torch.eye(channels)
    return kernel


def _averages(channels: int) -> Tensor:
    """The 3×3 convolution of stride 2 and padding 1 that gives the means of 2×2 pixels."""
    kernel = torch.zeros(channels, channels, 3, 3)
    kernel[:, :, 1:, 1:] = torch.eye(channels)[:, :, None, None] / 4
    return kernel
