"""The divergences and penalties against Monte Carlo, torch.distributions and finite differences."""

import math
from functools import partial

import pytest
import torch
from torch.distributions import Laplace, Normal, kl_divergence
from wavekit_wvae.laplace import laplace_kl
from wavekit_wvae.regularizers import DetailL1, GaussianKL, LaplaceKL, gaussian_kl

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import PosteriorState
from wavekit_core.spaces import Band, LatentSpace

DETAILS = tuple(Band(f"c{o}{j}", (3, 8 >> j, 8 >> j), "detail") for j in (2, 1) for o in "HVD")
PYRAMID = LatentSpace((Band("cA2", (3, 2, 2), "approx"), *DETAILS))
CODE = LatentSpace((Band("z", (5,), "code"),))


def state_of(space: LatentSpace, count: int = 4) -> PosteriorState:
    mean = {band.name: torch.randn(count, *band.shape) for band in space.bands}
    scale = {name: torch.full((1,) * m.ndim, 0.3) for name, m in mean.items()}
    sample = {name: m + scale[name] * torch.randn_like(m) for name, m in mean.items()}
    return PosteriorState(mean, scale, sample, space)


@pytest.mark.parametrize(("mean", "s", "b"), [(0.0, 0.3, 0.5), (1.5, 0.2, 0.4), (-0.4, 1.0, 2.0), (0.05, 0.5, 0.1)])
def test_laplace_kl_agrees_with_monte_carlo(mean, s, b):
    torch.manual_seed(0)
    q = Normal(torch.tensor(mean, dtype=torch.float64), s)
    c = q.sample((1_000_000,))
    estimate = (q.log_prob(c) - Laplace(torch.zeros((), dtype=torch.float64), b).log_prob(c)).mean()
    exact = laplace_kl(*(torch.tensor(v, dtype=torch.float64) for v in (mean, s, b)))
    assert exact.item() == pytest.approx(estimate.item(), abs=1e-2)


def test_laplace_kl_gradients():
    torch.manual_seed(0)
    mean = torch.randn(6, dtype=torch.float64, requires_grad=True)
    s = (torch.rand(6, dtype=torch.float64) + 0.2).requires_grad_()
    b = (torch.rand(6, dtype=torch.float64) + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(laplace_kl, (mean, s, b))


def test_laplace_kl_stays_finite_where_s_is_tiny():
    s = torch.tensor([1e-4, 1e-4, 50.0], requires_grad=True)
    value = laplace_kl(torch.tensor([0.0, 30.0, 1.0]), s, torch.tensor([0.1, 1e-3, 10.0])).sum()
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(s.grad).all()


def test_gaussian_kl_is_that_of_torch():
    torch.manual_seed(0)
    mean, prior_mean = torch.randn(2, 10)
    s, prior_s = torch.rand(2, 10) + 0.1
    expected = kl_divergence(Normal(mean, s), Normal(prior_mean, prior_s))
    torch.testing.assert_close(gaussian_kl(mean, s, prior_mean, prior_s), expected)


def test_detail_l1_leaves_the_approximation_free_and_weighs_levels():
    state = state_of(PYRAMID)
    sums = {band.name: state.mean[band.name].abs().flatten(1).sum(1) for band in DETAILS}
    torch.testing.assert_close(DetailL1(PYRAMID, weight=0.2).penalty(state), sum(sums.values()))
    expected = sum(total / (2 if name.endswith("2") else 1) for name, total in sums.items())
    torch.testing.assert_close(DetailL1(PYRAMID, weight=1.0, level_weight="gain").penalty(state), expected)


@pytest.mark.parametrize("make", [DetailL1, LaplaceKL, GaussianKL, partial(GaussianKL, bands="all", learn_prior=True)])
def test_penalties_are_one_number_an_image(make):
    assert make(PYRAMID).penalty(state_of(PYRAMID, 4)).shape == (4,)


def test_coarse_and_all_bands():
    assert GaussianKL(PYRAMID).prior_bands() == ("cA2",)
    assert GaussianKL(PYRAMID, bands="all").prior_bands() == tuple(PYRAMID.names())
    assert LaplaceKL(PYRAMID).prior_bands() == tuple(PYRAMID.names("detail"))
    following = LatentSpace((*CODE.bands, *(Band(b.name, b.shape, b.role, drawn=False) for b in DETAILS)))
    assert LaplaceKL(following).prior_bands() == ()
    assert GaussianKL(following, bands="all").prior_bands() == ("z",)


def test_draws_have_the_priors_moments():
    torch.manual_seed(0)
    laplace = LaplaceKL(PYRAMID, scale_init=0.7)
    drawn = laplace.draw(5_000)
    assert drawn["cH1"].shape == (5_000, 3, 4, 4)
    assert drawn["cH1"].abs().mean().item() == pytest.approx(0.7, rel=0.02)
    assert drawn["cH1"].std().item() == pytest.approx(0.7 * math.sqrt(2), rel=0.02)
    gaussian = GaussianKL(PYRAMID, learn_prior=True)
    with torch.no_grad():
        gaussian.mu0["cA2"].fill_(2.0)
        gaussian.log_sigma0["cA2"].fill_(math.log(3.0))
    drawn = gaussian.draw(20_000)["cA2"]
    assert drawn.mean().item() == pytest.approx(2, abs=0.05)
    assert drawn.std().item() == pytest.approx(3, rel=0.02)


@pytest.mark.parametrize("make", [DetailL1, LaplaceKL])
def test_details_are_needed(make):
    with pytest.raises(SpaceError, match="no detail bands"):
        make(CODE)


def test_gaussian_kl_needs_a_coarse_band():
    with pytest.raises(SpaceError, match="set bands to all"):
        GaussianKL(LatentSpace(DETAILS))
