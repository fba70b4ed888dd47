import math

import pytest
import torch

from tests.metrics.sets import Part, dataset_of, measured, random_images
from wavekit_core.errors import DivergedError
from wavekit_core.metrics.bits import BitsPerDimension


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_a_uniform_density_needs_eight_bits(low, high):
    part = Part(random_images(3, 3, 4, 4) * (high - low) + low)
    nats = torch.full((3,), 48 * math.log(high - low), dtype=torch.float64)
    (figure,) = measured(BitsPerDimension(), dataset_of(part, part, low=low, high=high), nats=nats).values()
    assert figure.value == pytest.approx(8)
    assert (figure.name, figure.better, figure.count) == ("bits-per-dim", "lower", 3)


def test_a_density_of_steps_gives_the_entropy_of_the_steps():
    """Pixels that are 0 with probability 3/4 and 255 otherwise, known exactly: 0.811 bits."""
    black = torch.rand(400, 1, 4, 4, generator=torch.Generator().manual_seed(0)) < 0.75
    probability = torch.where(black, 0.75, 0.25).double()
    nats = -(probability * 256).log().sum(dim=(1, 2, 3))  # a step of [0, 1] is 1/256 wide
    part = Part((~black).float())
    (figure,) = measured(BitsPerDimension(), dataset_of(part, part), nats=nats).values()
    entropy = -0.75 * math.log2(0.75) - 0.25 * math.log2(0.25)
    assert figure.value == pytest.approx(entropy, abs=0.02)


def test_without_a_likelihood_there_is_no_figure_and_a_bound_is_finite():
    part = Part(random_images(2, 1, 2, 2))
    assert measured(BitsPerDimension(), dataset_of(part, part)) == {}
    with pytest.raises(DivergedError, match="not finite"):
        measured(BitsPerDimension(), dataset_of(part, part), nats=torch.tensor([1.0, math.inf]))
