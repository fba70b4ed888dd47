"""What DWT and IDWT cost of a Wavelet-VAE's training step, against the number of levels.

    python benchmarks/wvae_transform_share.py [--size 64] [--batch 16] [--width 16] [--json FILE]

One step is forward and backward pass and update on one thread, of the bottleneck encoder with a spatial code of 4
channels; the transform's part is the DWT of the batch (which `encoder: litevae` and `domain: coefficients` need) and the
IDWT with its backward pass. Medians of CPU time, so that other processes count little.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from wavekit_haar import Haar
from wavekit_wvae import GaussianKL, WaveletVAE

from wavekit_core.kinds import Batch
from wavekit_core.spaces import ImageSpace


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """The median CPU time of one call."""
    work()
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return 1e3 * statistics.median(times)


def measure(size: int, levels: int, batch: int, width: int, repeats: int) -> dict[str, float]:
    """Milliseconds of a step, of the DWT, and of the IDWT with its gradient."""
    torch.manual_seed(0)
    space = ImageSpace(3, size, size)
    model = WaveletVAE(
        space, Haar(levels=levels), [GaussianKL], encoder="bottleneck", layout="spatial", code=4, width=width
    )
    (objective,) = model.objectives()
    optimizer = objective.optimizer(objective.parameters)
    images = torch.rand(batch, *space.shape)
    pyramid = model.transform(images)
    leaves = pyramid.map(lambda band: band.detach().clone().requires_grad_())

    def step() -> None:
        optimizer.zero_grad()
        objective.loss(Batch(images)).value.backward()
        optimizer.step()

    return {
        "step": milliseconds(step, repeats),
        "dwt": milliseconds(lambda: model.transform(images), 4 * repeats),
        "idwt": milliseconds(lambda: model.transform.inverse(leaves).sum().backward(), 4 * repeats),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for levels in range(1, options.size.bit_length() - 2):
        found = measure(options.size, levels, options.batch, options.width, options.repeats)
        share = (found["dwt"] + found["idwt"]) / (found["step"] + found["dwt"])
        print(f"L={levels}: " + ", ".join(f"{k} {v:.2f} ms" for k, v in found.items()) + f", share {share:.1%}")
        rows += [
            {"name": f"L={levels}/{name}", "value": value, "unit": "ms of CPU time", "count": options.repeats}
            for name, value in found.items()
        ]
        rows.append({"name": f"L={levels}/share", "value": share, "unit": "share of a step", "count": options.repeats})
    if options.json:
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
        options.json.write_text(
            json.dumps(
                {
                    "command": " ".join(["python", *sys.argv]),
                    "size": options.size,
                    "batch": options.batch,
                    "width": options.width,
                    "commit": commit.stdout.strip(),
                    "machine": f"{platform.machine()}, 1 thread, Python {platform.python_version()}, "
                    f"torch {torch.__version__}",
                    "figures": rows,
                },
                indent=1,
            )
            + "\n"
        )


if __name__ == "__main__":
    main()
