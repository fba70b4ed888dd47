"""A small classifier, trained in seconds on a data set's own classes, as a judge of samples."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from wavekit_core.engine.order import indices
from wavekit_core.kinds.dataset import Dataset, Split
from wavekit_core.metrics.real_images import Remembered, batches, for_judges, subset

SIDE_LIMIT = 32
FEATURES = 64
TRAINED_ON = 10_000
STEPS = 300
STEPS_OF_MANY, MANY = 800, 5_000
BATCH = 64
DISTORTION = 0.1


class ClassCnn(nn.Module):
    """Images (B, C, h, w) in [-1, 1] to logits (B, classes); three convolutions and 64 features before the last layer."""

    def __init__(self, channels: int, side: int, classes: int):
        super().__init__()
        stride = 2 if side > 16 else 1
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 2 * stride + 1, stride, padding=stride),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2) if side > 8 else nn.Identity(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(64 * 16, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class Judge:
    """A `ClassCnn` trained on four fifths of the training images of `dataset`, at most 10,000, in batches of 64 with small
    distortions: 300 steps, or 800 if there are 5,000 images or more. The other fifth is for floors (`real_images.for_floors`).

    A function of data set and seed, at a given number of threads; torch's global generators are left as they were. Images
    whose longer side is above 32 pixels are averaged down to it first. Right on held-out images: digits of 8, 16 and 32
    pixels .990 to 1 over seeds, MNIST .988 (16 pixels) and .990 (32), Fashion-MNIST .863 and .875.
    """

    def __init__(self, dataset: Dataset, seed: int):
        self._space = dataset.space
        with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
            allowed = for_judges(len(dataset.train))
            images, labels = self.prepared(dataset.train, allowed[subset(len(allowed), TRAINED_ON, seed)])
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs
            side = max(images.shape[-2:])
            self._net = ClassCnn(dataset.space.channels, side, len(dataset.classes))
            _train(self._net, images, labels, seed)
        self._net.eval()

    def prepared(self, split: Split, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """The images of a split as the network takes them, (N, C, h, w), and their labels (N,)."""
        images, labels = [], []
        for batch in batches(split, chosen, self._space):
            assert batch.labels is not None, "a data set with classes gives labels"
            images.append(self.shrunk(batch.data))
            labels.append(batch.labels)
        return torch.cat(images), torch.cat(labels)

    def shrunk(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in the data's range to (N, C, h, w) in [-1, 1], no side above 32."""
        longer = max(images.shape[-2:])
        if longer > SIDE_LIMIT:
            size = [max(1, round(side * SIDE_LIMIT / longer)) for side in images.shape[-2:]]
            images = F.interpolate(images, size=size, mode="area")
        return (images - self._space.low) * (2 / (self._space.high - self._space.low)) - 1

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Prepared images (N, C, h, w) to (N, 64)."""
        return torch.cat([self._net.body(chunk) for chunk in images.split(512)])

    @torch.no_grad()
    def classes(self, features: Tensor) -> Tensor:
        """Features (N, 64) to the most likely class (N,)."""
        return self._net.head(features).argmax(1)

    @torch.no_grad()
    def probabilities(self, features: Tensor) -> Tensor:
        """Features (N, 64) to the probabilities of the classes (N, classes), in float64."""
        return self._net.head(features).double().softmax(1)


_judges = Remembered()


def judge_of(dataset: Dataset, seed: int) -> Judge:
    """The judge of a data set and a seed, trained once for all subjects and metrics of an evaluation."""
    return _judges.get(dataset, seed, lambda: Judge(dataset, seed))


def _train(net: ClassCnn, images: Tensor, labels: Tensor, seed: int) -> None:
    steps = STEPS if len(images) < MANY else STEPS_OF_MANY
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        chosen = torch.from_numpy(indices(len(images), BATCH, step, seed))
        loss = F.cross_entropy(net(_distorted(images[chosen], generator)), labels[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _distorted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image (B, C, h, w) turned, sheared, scaled and shifted a little: about 6 degrees, a tenth, 3 % of its side."""
    angle, shear, scale_x, scale_y, shift_x, shift_y = (
        (torch.rand(6, len(images), generator=generator) * 2 - 1) * DISTORTION
    ).unbind(0)
    rows = [
        torch.stack([(1 + scale_x) * angle.cos(), shear - angle.sin(), 0.7 * shift_x], dim=1),
        torch.stack([angle.sin(), (1 + scale_y) * angle.cos(), 0.7 * shift_y], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
