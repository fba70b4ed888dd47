"""How fast the U-Net trains and samples beside another: `python benchmarks/diffusion.py [--device cuda] [--json FILE]`.

The other is the U-Net of denoising-diffusion-pytorch with its defaults, of equal width and multipliers. Both run in this
process, in turns of one round each, with the same arithmetic around them: a training step is the squared error of predicted
noise, its gradients and Adam; sampling is four Euler steps without gradients. Medians over the rounds; the ratios are medians
of the rounds' ratios. The two differ in what they compute: FLOPs (of multiplications and additions in convolutions and matrix
products, as torch.utils.flop_counter counts them) stand beside, and the ratio that counts is that of FLOPs a second.

With `--recipes`, the share that the loop adds to a training step of these recipes is measured as benchmarks/loop.py does.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from loop import Clock
from loop import measured as loop_measured
from results import publish
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from wavekit_core.nets import UNet

PEER = "denoising-diffusion-pytorch"
CASES = [(1, 16), (3, 32)]  # channels and side of the images
WIDTH, MULTIPLIERS, BLOCKS = 32, (1, 2, 2), 2
BATCH, EVALUATIONS = 32, 4


def ours(channels: int, side: int) -> nn.Module:
    """Two blocks a level as the peer's, and as there attention at the coarsest size."""
    coarsest = side // 2 ** (len(MULTIPLIERS) - 1)
    return UNet(channels, channels, (side, side), WIDTH, MULTIPLIERS, BLOCKS, attention=(coarsest,), head_width=32)


def theirs(channels: int, side: int) -> nn.Module:
    return _peer().Unet(WIDTH, channels=channels, dim_mults=MULTIPLIERS)


@functools.cache
def _peer() -> Any:
    """The peer's module. Its trainer reads images through torchvision: without that, an empty module stands in, and the networks
    are the same."""
    missing = not importlib.util.find_spec("torchvision")
    if missing:
        stand_in = types.ModuleType("torchvision")
        stand_in.transforms = stand_in.utils = None  # type: ignore[attr-defined]
        sys.modules["torchvision"] = stand_in
    try:
        return importlib.import_module("denoising_diffusion_pytorch.denoising_diffusion_pytorch")
    except ImportError as error:
        sys.exit(f"{PEER} cannot be imported: {error}; it is what the U-Net is measured beside; pip install {PEER}")
    finally:
        if missing:
            del sys.modules["torchvision"]


def training(network: nn.Module, x: Tensor, noise: Tensor) -> Callable[[], None]:
    """A step of ε-prediction with Adam."""
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)
    target = torch.randn_like(x)

    def step() -> None:
        optimizer.zero_grad()
        F.mse_loss(network(x, noise), target).backward()
        optimizer.step()

    return step


def sampling(network: nn.Module, x: Tensor, noise: Tensor) -> Callable[[], None]:
    """Four Euler steps."""

    @torch.no_grad()
    def draw() -> None:
        y = x
        for _ in range(EVALUATIONS):
            y = y - 0.1 * network(y, noise)

    return draw


def seconds(function: Callable[[], None], device: torch.device, repeats: int) -> float:
    """Of one call, the mean over `repeats` of them in a row."""
    begun = time.perf_counter()
    for _ in range(repeats):
        function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - begun) / repeats


def measured(channels: int, side: int, device: torch.device, rounds: int) -> list[dict[str, Any]]:
    """Rows of training and of sampling at one size."""
    x, noise = torch.randn(BATCH, channels, side, side, device=device), torch.rand(BATCH, device=device)
    networks = [make(channels, side).to(device) for make in (ours, theirs)]
    sizes = [sum(p.numel() for p in network.parameters()) for network in networks]
    repeats = 20 if device.type == "cuda" else 1
    rows = []
    for what, make, images in (("training", training, BATCH), ("sampling", sampling, BATCH)):
        calls = [make(network, x, noise) for network in networks]
        flops = [counted(call) for call in calls]
        times: list[list[float]] = [[], []]
        for turn in range(rounds + 2):  # the first two warm up
            for call, found in zip(calls, times, strict=True):
                taken = seconds(call, device, repeats)
                if turn > 1:
                    found.append(taken)
        ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
        own, other = (statistics.median(found) for found in times)
        rows.append(
            {
                "name": f"{what}, {channels}×{side}×{side}",
                "value": images / own,
                "unit": "images a second",
                "peer": images / other,
                "times as fast": ratio,
                "times as fast per FLOP": ratio * flops[0] / flops[1],
                "asked": "at least 1 per FLOP",
                "MFLOPs an image": flops[0] / images / 1e6,
                "the peer's MFLOPs": flops[1] / images / 1e6,
                "parameters": sizes[0],
                "the peer's parameters": sizes[1],
            }
        )
        print(
            f"{rows[-1]['name']}: {images / own:.4g} images a second, the peer {images / other:.4g}: {ratio:.2f} times as fast, "
            f"per FLOP {rows[-1]['times as fast per FLOP']:.2f}; MFLOPs an image {flops[0] / images / 1e6:.1f} and "
            f"{flops[1] / images / 1e6:.1f}; parameters {sizes[0]:,} and {sizes[1]:,}",
            flush=True,
        )
    return rows


def counted(call: Callable[[], None]) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def loop_shares(recipes: list[str], rounds: int) -> list[dict[str, Any]]:
    """Rows of what the loop adds to a training step of these recipes."""
    clock = Clock()
    plain = torch.Tensor.backward
    torch.Tensor.backward = clock.around(plain)  # type: ignore[method-assign]
    try:
        rows = [row for name in recipes for row in loop_measured(name, [], rounds, clock)]
    finally:
        torch.Tensor.backward = plain  # type: ignore[method-assign]
    for row in rows:
        print(f"{row['name']}: {row['value']:.4g} {row['unit']}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--recipes", nargs="*", default=[], help="whose training the loop's share is measured of")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    _peer()  # or say what is missing before anything is measured
    if given.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device; measure on the CPU, or on a machine that has one")

    torch.manual_seed(0)
    torch.set_num_threads(given.threads)
    device = torch.device(given.device)
    rows = [row for channels, side in CASES for row in measured(channels, side, device, given.rounds)]
    rows += loop_shares(given.recipes, given.rounds)
    words = "".join(f" --{key} {getattr(given, key)}" for key in ("device",) if getattr(given, key) != "cpu")
    words += f" --recipes {' '.join(given.recipes)}" if given.recipes else ""
    publish(
        given.json, "U-Net beside that of denoising-diffusion-pytorch", f"python benchmarks/diffusion.py{words}", rows
    )


if __name__ == "__main__":
    main()
