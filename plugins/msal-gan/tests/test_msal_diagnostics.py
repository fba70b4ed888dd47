"""Diagnostics against known distributions, and the report's section."""

import functools
from types import SimpleNamespace

import pytest
import torch
from wavekit_haar import Haar
from wavekit_msal_gan import MSAL, diversity, energies, kurtosis, parent_swap
from wavekit_msal_gan.report import report_section

from wavekit_core.cascade import Cascade
from wavekit_core.kinds import Batch, Generator
from wavekit_core.pipeline import Pipeline
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)


class Uniform(Generator):
    """Draws evenly from the range of its space."""

    def __init__(self, space: ImageSpace):
        super().__init__()
        self.space = space

    def sample(self, count, labels=None):
        return self.space.low + (self.space.high - self.space.low) * torch.rand(count, *self.space.shape)


def test_diversity_is_the_share_of_the_spread_that_noise_makes():
    torch.manual_seed(0)
    approx, details = torch.rand(64, 1, 8, 8), 2 * torch.randn(64, 1, 3, 8, 8)
    base = details / 2
    assert diversity(lambda a: base, approx, details) == 0
    assert abs(diversity(lambda a: base + 0.5 * torch.randn_like(base), approx, details) - 0.25) < 0.01


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 3.0), (1.0, 6.0)])
def test_kurtosis_is_that_of_known_distributions(rate, expected):
    torch.manual_seed(0)
    normal = torch.randn(200, 1, 3, 40, 40)
    scale = torch.distributions.Exponential(1.0).sample(normal.shape).sqrt() if rate else 1.0  # a Laplace distribution
    found = kurtosis(7 + normal * scale)
    assert found.shape == (3,)
    assert (found - expected).abs().max() < 0.15


def test_kurtosis_of_a_band_without_variance_is_zero():
    assert kurtosis(torch.zeros(2, 1, 3, 4, 4)).tolist() == [0, 0, 0]


def test_energies_are_mean_squares_by_band():
    details = torch.tensor([1.0, 2.0, 3.0])[:, None, None].expand(2, 4, 3, 5, 6)
    assert energies(details).tolist() == [1, 4, 9]


def test_swapped_parents_cost_what_the_model_takes_from_them():
    torch.manual_seed(0)
    approx = torch.randn(256, 1, 4, 4)
    details = approx[:, :, None].expand(-1, -1, 3, -1, -1) + torch.randn(256, 1, 3, 4, 4)
    assert abs(parent_swap(lambda a: a[:, :, None].expand_as(details), approx, details) - 3) < 0.3  # (1 + 1 + 1) / 1
    assert parent_swap(lambda a: torch.zeros_like(details), approx, details) == 1


def view_of(pipeline: Pipeline, images: torch.Tensor) -> SimpleNamespace:
    session = SimpleNamespace(pipeline=pipeline, device="cpu", held_out=lambda limit: Batch(images[:limit], None))
    return SimpleNamespace(session=session, step=3)


def test_the_report_has_a_row_a_level_and_pictures_of_the_scales():
    torch.manual_seed(0)
    space, images = ImageSpace(1, 16, 16), torch.rand(8, 1, 16, 16)
    detail = functools.partial(MSAL, width=4, depth=1)
    pipeline = Pipeline(space, functools.partial(Cascade, coarse=Uniform, detail=detail), [Haar(levels=2)]).eval()
    state = torch.get_rng_state()
    first, second = report_section(view_of(pipeline, images)), report_section(view_of(pipeline, images))
    assert first == second
    assert torch.equal(state, torch.get_rng_state())
    assert "<td>2</td>" in first.body
    assert "<td>1</td>" in first.body
    assert first.body.count("<img") == 1
    assert report_section(view_of(pipeline, images[:1])) is None
    assert report_section(view_of(Pipeline(space, Uniform), images)) is None
