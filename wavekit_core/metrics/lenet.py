"""Two small fixed classifiers whose features distances are measured in, and the command that trained them.

    python -m wavekit_core.metrics.lenet mnist --data-root DIR -o lenet-mnist.safetensors

writes the weights and, beside them, a JSON file with the command, the accuracies and the SHA-256 of the weights. The files in
`weights/` were made so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from wavekit_core.data.idx import FashionMnist, Mnist
from wavekit_core.engine.order import indices
from wavekit_core.kinds.dataset import Split
from wavekit_core.metrics.real_images import batches, for_judges
from wavekit_core.spaces import ImageSpace

SIDE, FEATURES, CLASSES = 32, 64, 10
SETS: dict[str, type[Mnist] | type[FashionMnist]] = {"mnist": Mnist, "fashion-mnist": FashionMnist}
SIZES = (32, 28, 16)  # the sizes in which these data sets come
SEED, STEPS, BATCH = 0, 4_500, 128


class LeNet(nn.Module):
    """Grey images (B, 1, 32, 32) in [0, 1] to logits (B, 10); three convolutions, 64 features before the last layer.

    After LeCun et al. 1998, "Gradient-based learning applied to document recognition", with batch normalisation, rectifiers
    and maxima; 90 thousand parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for source, target, kernel in ((1, 16, 5), (16, 32, 3), (32, 64, 3)):
            convolution = nn.Conv2d(source, target, kernel, padding=kernel // 2)
            layers += [convolution, nn.BatchNorm2d(target), nn.ReLU(), nn.MaxPool2d(2)]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (SIDE // 8) ** 2, FEATURES), nn.ReLU())
        self.head = nn.Linear(FEATURES, CLASSES)

    def features(self, images: Tensor) -> Tensor:
        """(B, 1, 32, 32) to (B, 64)."""
        return self.body(images - 0.5)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


def seen_at(padded: Tensor, size: int) -> Tensor:
    """8-bit images (B, 1, 32, 32) of a data set to what the network sees of the same images at `size` 32, 28 or 16: floats in
    [0, 1], (B, 1, 32, 32). See `Idx`: 32 is 28 with two rows of zeros on every side, 16 the average of 2 × 2 of those."""
    images = padded.float() / 255
    if size == 28:
        images = images[..., 2:-2, 2:-2]
    if size == 16:
        images = (F.avg_pool2d(images, 2) * 255).round() / 255
    return F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", antialias=True)


def train(padded: Tensor, labels: Tensor, steps: int, seed: int) -> LeNet:
    """A network trained on 8-bit images (N, 1, 32, 32) and labels (N,), a step at each of the three sizes in turn; AdamW,
    batches of 128. A function of its arguments; torch's global generators are left as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        net = LeNet().train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=5e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    for step in range(steps):
        chosen = torch.from_numpy(indices(len(padded), BATCH, step, seed))
        loss = F.cross_entropy(net(seen_at(padded[chosen], SIZES[step % 3])), labels[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def accuracy(net: LeNet, padded: Tensor, labels: Tensor, size: int) -> float:
    """The share of 8-bit images (N, 1, 32, 32), shown at `size`, whose class the network tells."""
    right = [net(seen_at(part, size)).argmax(1) == wanted for part, wanted in _chunks(padded, labels)]
    return float(torch.cat(right).double().mean())


def pixels(split: Split, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """The images at `chosen` of a split of 32 pixels, uint8 (N, 1, 32, 32), and their labels (N,)."""
    images, labels = [], []
    for batch in batches(split, chosen, ImageSpace(1, SIDE, SIDE)):
        assert batch.labels is not None, "these data sets have labels"
        images.append((batch.data * 255).round().to(torch.uint8))
        labels.append(batch.labels)
    return torch.cat(images), torch.cat(labels)


def main(argv: Sequence[str] | None = None) -> None:
    from wavekit_core.runs.facts import machine

    parser = argparse.ArgumentParser(prog="python -m wavekit_core.metrics.lenet", description=__doc__)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--data-root", help="the folder of the data sets (or WAVEKIT_DATA_ROOT)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the safetensors file to write")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    dataset = SETS[given.set](given.data_root and str(Path(given.data_root) / given.set), 32)
    net = train(*pixels(dataset.train, for_judges(len(dataset.train))), STEPS, SEED)
    held_out = pixels(dataset.held_out, np.arange(len(dataset.held_out)))
    rows = [
        {
            "name": f"accuracy, {size} pixels",
            "value": accuracy(net, *held_out, size),
            "unit": "share of 10,000 test images",
        }
        for size in SIZES
    ]
    first = accuracy(net, held_out[0][:2000], held_out[1][:2000], 32)
    rows.append({"name": "accuracy of the first, 32 pixels", "value": first, "unit": "share of 2,000 test images"})
    given.output.write_bytes(save(net.state_dict()))
    record = {
        "title": f"The classifier {given.output.stem}",
        "command": f"python -m wavekit_core.metrics.lenet {given.set} --data-root DIR -o {given.output.name}",
        "machine": machine(),
        "commit": None,  # the weights come before the commit that holds them
        "note": f"{STEPS:,} steps of {BATCH} of the training images that serve no floors.",
        "seed": SEED,
        "sha256": hashlib.sha256(given.output.read_bytes()).hexdigest(),
        "rows": rows,
    }
    given.output.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print(*(f"{row['name']}: {row['value']:.4f}" for row in rows), sep="\n")


def _chunks(padded: Tensor, labels: Tensor) -> zip[tuple[Tensor, Tensor]]:
    return zip(padded.split(512), labels.split(512), strict=True)


if __name__ == "__main__":
    main()
