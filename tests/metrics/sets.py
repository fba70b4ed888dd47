"""Data sets in memory, and the figures of a metric on them by name."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from wavekit_core.kinds import Batch
from wavekit_core.kinds.metric import Evidence
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)


class Part:
    """Images and labels in memory."""

    def __init__(self, images, labels=None):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def batch(self, indices, words=None):
        return Batch(self.images[indices], None if self.labels is None else self.labels[indices])


def dataset_of(train, held_out, classes=(), low=0.0, high=1.0):
    space = ImageSpace(*train.images.shape[1:], low, high)
    return SimpleNamespace(space=space, classes=classes, train=train, held_out=held_out)


def measured(metric, dataset, samples=None, labels=None, originals=None, reconstructions=None, nats=None):
    """Figures by name; without `originals` they are the first held-out image."""
    if originals is None:
        originals = dataset.held_out.batch([0]).data
    evidence = Evidence(dataset, originals, reconstructions, samples, labels, nats)
    return {figure.name: figure for figure in metric.measure(evidence)}


def random_images(count, *shape, seed=0):
    """In 8-bit steps from 0 to 1."""
    return torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(seed)) / 255


def data_root():
    """The folder of real data; the test is skipped without it."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    root = os.environ.get("WAVEKIT_DATA_ROOT") or (str(beside) if beside.is_dir() else None)
    if root is None:
        pytest.skip("no real data: WAVEKIT_DATA_ROOT is not set and there is no ../shared/data")
    return Path(root)
