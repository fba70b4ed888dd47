"""Grids fall from the largest σ to 0, each in equal steps of its own coordinate."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from wavekit_core.diffusion import grids
from wavekit_core.diffusion.times import flow_time, ou_time

SMALL, LARGE = 0.002, 80.0
COORDINATE = {  # in which the steps are equal, and how many of the values
    "uniform": (ou_time, None),
    "quadratic": (lambda s: ou_time(s).sqrt(), None),
    "karras": (lambda s: s ** (1 / 7), -1),
    "log-snr": (torch.log, -1),
    "flow": (flow_time, None),
}


@pytest.mark.parametrize("steps", [1, 2, 3, 18, 1000])
@pytest.mark.parametrize("name", list(grids.GRIDS))
def test_a_grid_falls_from_the_largest_sigma_to_zero(name, steps):
    sigmas = grids.GRIDS[name](steps, SMALL, LARGE)
    assert len(sigmas) == steps + 1
    assert sigmas[0] == pytest.approx(LARGE, rel=1e-12)
    assert sigmas[-1] == 0
    assert all(a > b for a, b in pairwise(sigmas))
    if name in ("karras", "log-snr") and steps > 1:
        assert sigmas[-2] == pytest.approx(SMALL, rel=1e-12)


@pytest.mark.parametrize("name", list(grids.GRIDS))
def test_the_steps_of_a_grid_are_equal_in_its_coordinate(name):
    coordinate, upto = COORDINATE[name]
    values = coordinate(torch.tensor(grids.GRIDS[name](12, SMALL, LARGE), dtype=torch.float64)[:upto])
    steps = values.diff()
    torch.testing.assert_close(steps, steps.mean().expand_as(steps), rtol=1e-8, atol=0)


def test_the_grid_of_edm_is_that_of_its_paper():
    """Karras et al. 2022, Eq. 5, written out for 18 steps."""
    expected = [(80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(18)]
    assert grids.karras(18, SMALL, LARGE) == pytest.approx([*expected, 0.0], rel=1e-12)


def test_grids_do_not_follow_a_default_device():
    with torch.device("meta"):
        assert grids.quadratic(3, SMALL, LARGE)[-1] == 0
