"""Closed forms, and what the command line expects of every metric. Metrics have no suite: what one measures is its own."""

import numpy as np
import pytest
import torch
from wavekit_core.data.arrays import ArraySplit
from wavekit_core.kinds import Dataset, Evidence
from wavekit_core.spaces import ImageSpace

from wavekit_my_part import MyPart, wasserstein


class Noise(Dataset):
    """Forty images of noise, eight of them held out."""

    def __init__(self) -> None:
        self.space = ImageSpace(1, 8, 8)
        images = np.random.default_rng(0).integers(0, 200, (40, 1, 8, 8), np.uint8)
        self.train, self.held_out = ArraySplit(images[8:], None), ArraySplit(images[:8], None)

    def digest(self) -> str:
        return "noise"


def evidence(shift: float) -> Evidence:
    """The held-out images, brighter by `shift`, as samples."""
    originals = Noise().held_out.batch(range(8)).data
    return Evidence(Noise(), originals, None, originals + shift, None)


def test_a_shift_is_as_far_as_it_shifts():
    x = torch.rand(4, 1, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert wasserstein(x, x.flip(0)) == 0
    assert wasserstein(x, x + 0.25) == pytest.approx(0.25)


@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_brighter_samples_are_as_far_as_they_are_brighter(shift):
    (figure,) = MyPart().measure(evidence(shift))
    assert figure.value == pytest.approx(shift, abs=1e-6)
    assert figure.count == 8
    assert 0 < figure.floor < 0.1


def test_the_same_evidence_gives_the_same_figure():
    assert MyPart().measure(evidence(0.1)) == MyPart().measure(evidence(0.1))


def test_without_samples_there_is_no_figure():
    assert MyPart().measure(Evidence(Noise(), torch.zeros(8, 1, 8, 8), None, None, None)) == []
