"""What must be true of the published objective: its closed-form optimum, the fate of s, and locality."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from wavekit_bior import Bior
from wavekit_haar import Haar
from wavekit_wvae import DetailL1, GaussianKL, LaplaceKL, OracleShrinkage, WaveletVAE, edit, heatmap
from wavekit_wvae.interpret import leakage, pixels_of

from wavekit_core.data.digits import Digits
from wavekit_core.errors import RecipeError, SpaceError
from wavekit_core.kinds import PosteriorState
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)
SPACE = ImageSpace(1, 16, 16)
SIGMA = math.sqrt(0.5)


def blocks(count: int) -> torch.Tensor:
    """Images with edges and texture."""
    torch.manual_seed(0)
    coarse = torch.rand(count, 1, 4, 4).repeat_interleave(4, -1).repeat_interleave(4, -2)
    return (coarse + 0.1 * torch.randn(count, 1, 16, 16)).clamp(0, 1)


def state_of(model: WaveletVAE, means: dict, noise: bool = True) -> PosteriorState:
    scale = model.noise()
    sample = {n: c + scale[n] * torch.randn_like(c) if noise else c for n, c in means.items()}
    return PosteriorState(means, scale, sample, model.latent)


@pytest.mark.parametrize("rule", ["one", "gain"])
def test_the_published_objective_is_wavelet_shrinkage(rule):
    images, weight = blocks(8), 0.2
    penalty = partial(DetailL1, weight=weight, level_weight=rule)
    model = WaveletVAE(SPACE, Haar(levels=2), [penalty], width=4, sigma=SIGMA)
    oracle = OracleShrinkage(SPACE, Haar(levels=2), weight=weight, sigma=SIGMA, level_weight=rule)
    constant = 0.5 * math.log(2 * math.pi * SIGMA**2)

    def objective(means):
        return model.loss_of(images, state_of(model, means, noise=False)).value - constant

    best = objective(oracle.shrink(images).bands()).item()
    means = {n: torch.zeros_like(c).requires_grad_() for n, c in oracle.shrink(images).bands().items()}
    optimizer = torch.optim.Adam(means.values(), lr=0.3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.975)
    for _ in range(300):
        optimizer.zero_grad()
        objective(means).backward()
        optimizer.step()
        schedule.step()
    reached = objective(means).item()
    assert best - 1e-6 <= reached <= 1.01 * best


@pytest.mark.parametrize("weight", [0.05, 0.2])
def test_a_linear_encoder_reaches_the_oracle_and_never_beats_it(weight):
    """32 real digits are fewer than the 256 coefficients, so one matrix can send each to its own optimum."""
    images = Digits(size=16).train.batch(range(32)).data.double()
    model = WaveletVAE(SPACE, Haar(levels=2), [partial(DetailL1, weight=weight)], width=4, sigma=SIGMA)
    oracle = OracleShrinkage(SPACE, Haar(levels=2), weight=weight, sigma=SIGMA)
    constant = 0.5 * math.log(2 * math.pi * SIGMA**2)
    coefficients = model.pyramid_space.flatten(Haar(levels=2)(images))
    encoder = torch.eye(SPACE.numbers, dtype=torch.float64).requires_grad_()

    def objective(means):
        return model.loss_of(images, state_of(model, means, noise=False)).value - constant

    best = objective(oracle.shrink(images).bands()).item()
    optimizer = torch.optim.Adam([encoder], lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    for _ in range(300):
        optimizer.zero_grad()
        loss = objective(model.pyramid_space.unflatten(coefficients @ encoder.T).bands())
        assert loss.item() >= best - 1e-9
        loss.backward()
        optimizer.step()
        schedule.step()
    assert loss.item() <= 1.01 * best


@pytest.mark.parametrize(
    ("space", "norm"), [(SPACE, "mean"), (SPACE, "whiten"), (ImageSpace(1, 10, 16), "ortho")], ids=str
)
def test_oracle_refuses_what_is_not_orthonormal(space, norm):
    with pytest.raises(SpaceError, match="not orthonormal") as error:
        OracleShrinkage(space, Haar(levels=2, norm=norm))
    assert error.value.at == "transform"


def test_oracle_with_weight_zero_is_the_identity():
    images = blocks(3)
    torch.testing.assert_close(OracleShrinkage(SPACE, Haar(levels=2), weight=0.0).reconstruct(images), images)


def signed_state(model: WaveletVAE, means: dict) -> PosteriorState:
    """Noise of sign alone, ε = ±1: its square is 1 exactly, and so are means of squared errors."""
    scale = model.noise()
    sample = {n: c + scale[n] * (2.0 * torch.randint(0, 2, c.shape) - 1) for n, c in means.items()}
    return PosteriorState(means, scale, sample, model.latent)


@pytest.mark.parametrize("form", ["softplus", "log"])
@pytest.mark.parametrize("s", [0.02, 0.1, 0.5])
def test_paper_objective_pushes_every_s_down(s, form):
    """d/ds of ‖x − IDWT(c̃)‖² is 2Ns, here per number; nothing else depends on s."""
    images = blocks(16)
    model = WaveletVAE(
        SPACE, Haar(levels=2), [DetailL1], width=4, sigma=SIGMA, noise="global", noise_init=s, noise_form=form
    )
    means = model.transform(images).bands()
    model.loss_of(images, signed_state(model, means)).value.backward()
    slope = s if form == "log" else 1 - math.exp(-(s - 1e-4))  # ds/drho
    assert model.noise.scale.rho.grad.item() == pytest.approx(2 * s * slope, rel=1e-3)


def test_a_learned_s_falls_without_end_under_the_paper_objective():
    """From 0.1, at a rate of 1e-2 on ρ: 0.0106 after 1,000 steps of Adam on the expected loss s², and still falling."""
    model = WaveletVAE(SPACE, Haar(levels=2), width=4, sigma=SIGMA, noise="global", noise_init=0.1)
    optimizer = torch.optim.Adam([model.noise.scale.rho], lr=1e-2)
    reached = []
    for _ in range(2):
        for _ in range(1_000):
            optimizer.zero_grad()
            model.noise.scale().square().sum().backward()
            optimizer.step()
        reached.append(model.noise.scale().item())
    assert reached[0] == pytest.approx(0.0106, rel=0.03)
    assert reached[1] < 0.6 * reached[0]


@pytest.mark.parametrize("s", [0.01, 0.1])
def test_a_fixed_s_adds_its_square_to_the_squared_error_of_a_pure_inverse(s):
    torch.manual_seed(0)
    images = blocks(400)
    model = WaveletVAE(SPACE, Haar(levels=2), width=4, noise="global", noise_init=s, noise_fixed=True)
    with torch.no_grad():
        noisy = state_of(model, model.transform(images).bands()).sample
        error = (model.decode(noisy) - images).square().mean().item()
    assert error == pytest.approx(s**2, rel=0.01)


@pytest.mark.parametrize("form", ["softplus", "log"])
@pytest.mark.parametrize(("level", "expected"), [(0.0, None), (20.0, 0.3)])
def test_the_evidence_bound_gives_s_an_equilibrium(level, expected, form):
    """At σ where |c| ≫ s; at μ = 0 where the derivative of s²/2σ² + KL(N(0, s²) ‖ Laplace(0, b)) is 0."""
    sigma, b = 0.3, 0.2
    if expected is None:
        a = math.sqrt(2 / math.pi) / b
        expected = sigma**2 / 2 * (math.sqrt(a**2 + 4 / sigma**2) - a)
    prior = partial(LaplaceKL, scale_init=b)
    model = WaveletVAE(
        SPACE, Haar(levels=1), [prior, GaussianKL], width=4, sigma=sigma, noise="approx+detail", noise_form=form
    )
    torch.manual_seed(0)
    means = {band.name: torch.full((4, *band.shape), level) for band in model.latent.bands}
    with torch.no_grad():
        images = model.render(model.pyramid(means))
    optimizer = torch.optim.Adam([model.noise.scale.rho], lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.97)
    for _ in range(200):
        optimizer.zero_grad()
        model.loss_of(images, signed_state(model, means)).value.backward()
        optimizer.step()
        schedule.step()
    assert model.noise()["cH1"].item() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("domain", ["pixels", "coefficients"])
def test_errors_of_pixels_and_of_coefficients_are_the_same_loss(domain):
    images = blocks(8)
    model = WaveletVAE(SPACE, Haar(levels=2), [DetailL1, GaussianKL], width=4, domain=domain)
    state = state_of(model, {n: 0.8 * c for n, c in model.transform(images).bands().items()})
    loss = model.loss_of(images, state)
    expected = (model.decode(state.sample) - images).square().mean()
    torch.testing.assert_close(loss.terms["mse"], expected.detach())
    sigma = model.likelihood.sigma.item()
    nll = expected.item() / (2 * sigma**2) + math.log(sigma) + 0.5 * math.log(2 * math.pi)
    assert loss.terms["nll"].item() == pytest.approx(nll, rel=1e-4)


def test_coefficients_are_compared_only_where_parseval_holds():
    for transform, space in [
        (Haar(levels=2, norm="mean"), SPACE),
        (Haar(levels=2), ImageSpace(1, 10, 16)),
        (Bior(wavelet="bior4.4", levels=1), SPACE),
    ]:
        with pytest.raises(SpaceError, match="not orthonormal") as error:
            WaveletVAE(space, transform, domain="coefficients")
        assert error.value.at == "domain"
    for options in ({"decoder": "idwt+refine"}, {"decoder": "conv"}, {"likelihood": "bernoulli"}):
        with pytest.raises(RecipeError, match="set domain to pixels"):
            WaveletVAE(SPACE, Haar(levels=2), domain="coefficients", **options)


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("orientation", "HVD")
def test_an_edit_stays_in_its_block(level, orientation):
    model = WaveletVAE(SPACE, Haar(levels=3), width=4)
    pyramid = model.transform(blocks(2))
    band, box = f"c{orientation}{level}", (1, 0, 2, 1)
    before, after = model.render(pyramid), model.render(edit(pyramid, band, box, "set", value=3.0))
    changed = (after - before).abs() > 1e-6
    top, left, bottom, right = pixels_of(band, box)
    assert (bottom - top, right - left) == (2**level, 2**level)
    assert changed[..., top:bottom, left:right].all()
    assert changed.sum() == 2 * 4**level
    assert leakage(before, after, (top, left, bottom, right)) == pytest.approx(0, abs=1e-6)


def test_edit_operations_and_refusals():
    pyramid = Haar(levels=2)(blocks(2))
    other = pyramid.map(torch.neg)
    box = (0, 0, 4, 4)
    original = pyramid.bands()["cV2"]
    assert torch.equal(edit(pyramid, "cV2", box, "gain", 2.0).bands()["cV2"], 2 * original)
    assert not edit(pyramid, "cV2", box, "zero").bands()["cV2"].any()
    assert torch.equal(edit(pyramid, "cV2", box, "swap", other=other).bands()["cV2"], -original)
    thresholded = edit(pyramid, "cV2", box, "threshold", 0.1).bands()["cV2"]
    torch.testing.assert_close(thresholded, original.sign() * (original.abs() - 0.1).clamp(min=0))
    assert torch.equal(pyramid.bands()["cV2"], original)
    for arguments in [("cX9", box, "zero"), ("cV2", (0, 0, 5, 4), "zero"), ("cV2", box, "gain"), ("cV2", box, "swap")]:
        with pytest.raises(ValueError, match=r"band|box|needs"):
            edit(pyramid, *arguments)


@pytest.mark.parametrize("layout", ["mallat", "overlay"])
@pytest.mark.parametrize("transform", ["log", "abs", "signed"])
def test_heatmap(layout, transform):
    picture = heatmap(Haar(levels=2)(blocks(2)), index=1, layout=layout, transform=transform)
    assert picture.shape == (16, 16)
    assert np.isfinite(picture).all()
    if layout == "mallat":
        assert np.abs(picture).max() <= 1
