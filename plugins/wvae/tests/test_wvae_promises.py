"""What the documentation promises in numbers: noise, weights, learned priors, floors, fitted densities."""

import math

import pytest
import torch
from wavekit_haar import Haar
from wavekit_wvae import VAE, DetailL1, GaussianKL, GaussianMixture, LaplaceKL, PosteriorFit, WaveletVAE
from wavekit_wvae.coefficients import CoefficientHeads
from wavekit_wvae.likelihood import Likelihood, negative_elbo

from wavekit_core.kinds import Autoencoder, Batch, PosteriorState
from wavekit_core.spaces import Band, ImageSpace, LatentSpace

torch.set_num_threads(1)
SPACE = ImageSpace(1, 8, 8)
CODE = LatentSpace((Band("z", (3,), "code"),))
WAVELET = LatentSpace(
    (Band("cA1", (1, 2, 2), "approx"), *(Band(f"c{orientation}1", (1, 2, 2), "detail") for orientation in "HVD"))
)


class Plain(Autoencoder):
    """The latent's numbers are the pixels. Posterior means are the pixels (0 for details); the noise is 0.2 + |mean|, or
    0.5 for details."""

    def __init__(self, latent: LatentSpace):
        super().__init__()
        self.latent = latent
        self.space = ImageSpace(1, 1, latent.numbers, -1e6, 1e6)
        self.regularizers = torch.nn.ModuleList()

    def encode(self, data):
        pieces = data.flatten(1).split([band.numbers for band in self.latent.bands], dim=1)
        mean, scale = {}, {}
        for band, piece in zip(self.latent.bands, pieces, strict=True):
            kept = piece.reshape(-1, *band.shape)
            detail = band.role == "detail"
            mean[band.name] = torch.zeros_like(kept) if detail else kept
            scale[band.name] = torch.full_like(kept, 0.5) if detail else 0.2 + kept.abs()
        sample = {name: m + scale[name] * torch.randn_like(m) for name, m in mean.items()}
        return PosteriorState(mean, scale, sample, self.latent)

    def decode(self, latent):
        pieces = [latent[band.name].flatten(1) for band in self.latent.bands]
        return torch.cat(pieces, 1)[:, None, None, :]  # (B, numbers) to (B, 1, 1, numbers)


def one_pass(images, labels=None):
    return lambda: iter([Batch(images, labels)])


def seeded(sampler, *arguments):
    torch.manual_seed(3)
    return sampler.sample(*arguments)


@pytest.mark.parametrize("kind", ["vae", "bottleneck", "unet"])
def test_samples_of_one_image_vary_by_the_scale(kind):
    torch.manual_seed(0)
    if kind == "vae":
        model = VAE(SPACE, code=4, width=8)
    else:
        model = WaveletVAE(SPACE, Haar(levels=2), encoder=kind, code=4, width=8)
    with torch.no_grad():
        state = model.encode(torch.rand(1, 1, 8, 8).expand(3_000, -1, -1, -1))
    for name in ["z"] if kind != "unet" else state.mean:
        mean, scale, sample = state.mean[name], state.scale[name].expand_as(state.mean[name]), state.sample[name]
        torch.testing.assert_close(mean, mean[:1].expand_as(mean), atol=1e-4, rtol=0)
        torch.testing.assert_close(sample.var(0), scale[0].square(), atol=0, rtol=0.15)
        torch.testing.assert_close(sample.mean(0), mean[0], atol=0.1 * float(scale.max()), rtol=0)


def test_bands_synthesised_from_a_code_carry_their_own_noise():
    torch.manual_seed(0)
    model = WaveletVAE(SPACE, Haar(levels=2), encoder="bottleneck", code=4, width=8)
    with torch.no_grad():
        state = model.encode(torch.rand(500, 1, 8, 8))
    for name in model.pyramid_space.band_shapes:
        noise = (state.sample[name] - state.mean[name]) / state.scale[name]
        assert noise.var().item() == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize("regularizer", [GaussianKL, LaplaceKL, DetailL1])
def test_the_weight_counts_in_the_loss_and_not_in_the_penalty(regularizer):
    torch.manual_seed(0)
    mean = {band.name: torch.randn(5, *band.shape) for band in WAVELET.bands}
    state = PosteriorState(mean, {name: torch.full((1, 1, 1, 1), 0.3) for name in mean}, mean, WAVELET)
    ones = [regularizer(WAVELET, weight=weight) for weight in (0.0, 1.0, 2.5)]
    penalty = ones[1].penalty(state)
    assert (penalty > 0).all()
    images = torch.rand(5, 1, 4, 4)
    likelihood = Likelihood(ImageSpace(1, 4, 4), "gaussian", 0.5)
    losses = [negative_elbo(images, images, state, likelihood, [one]) for one in ones]
    torch.testing.assert_close(losses[1].value - losses[0].value, penalty.mean() / 16)
    torch.testing.assert_close(losses[2].value - losses[0].value, 2.5 * penalty.mean() / 16)
    for one, loss in zip(ones, losses, strict=True):
        torch.testing.assert_close(one.penalty(state), penalty)
        assert penalty.mean().item() / 16 in [pytest.approx(term.item()) for term in loss.terms.values()]


@pytest.mark.parametrize("shape", [(3,), (3, 2, 2)], ids=["code", "approximation"])
def test_a_learned_prior_converges_to_the_moments_of_the_posteriors(shape):
    """The best Gaussian for fixed posteriors has their mean, and the variance of their means plus their mean variance."""
    torch.manual_seed(0)
    space = LatentSpace((Band("z", shape, "code"),))
    mean = 2 * torch.randn(40, *shape) - 1.5
    scale = torch.rand(40, *shape) + 0.1
    state = PosteriorState({"z": mean}, {"z": scale}, {"z": mean}, space)
    regularizer = GaussianKL(space, learn_prior=True)
    optimizer = torch.optim.LBFGS([p for p in regularizer.parameters() if p.requires_grad], max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = regularizer.penalty(state).mean()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    rest = tuple(axis for axis in range(mean.ndim) if axis != 1)  # one prior a channel
    learned_mean, learned_sigma = (part.detach().flatten() for part in regularizer.prior("z"))
    torch.testing.assert_close(learned_mean, mean.mean(rest), atol=2e-3, rtol=0)
    variance = mean.var(rest, correction=0) + scale.square().mean(rest)
    torch.testing.assert_close(learned_sigma.square(), variance, atol=0, rtol=5e-3)


@pytest.mark.parametrize("learn", [True, False])
def test_the_objective_trains_a_prior_only_if_asked(learn):
    """At the rate of the scales, by which Adam's first step moves every number."""
    torch.manual_seed(0)
    model = VAE(SPACE, [lambda space: GaussianKL(space, learn_prior=learn)], code=3, width=8, scale_lr=0.05)
    (objective,) = model.objectives()
    optimizer = objective.optimizer(objective.parameters)
    objective.loss(Batch(torch.rand(4, 1, 8, 8))).value.backward()
    optimizer.step()
    for part in (model.regularizers[0].mu0["z"], model.regularizers[0].log_sigma0["z"]):
        torch.testing.assert_close(part.detach().abs(), torch.full((3,), 0.05 if learn else 0.0), atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", ["vae", "wavelet"])
def test_the_logged_terms_times_the_weights_sum_to_the_loss(kind):
    torch.manual_seed(0)
    if kind == "vae":
        model = VAE(SPACE, [GaussianKL, lambda space: GaussianKL(space, weight=0.3)], code=4, width=8)
        weights = {"nll": 1, "gaussian-kl": 1, "gaussian-kl-2": 0.3}
    else:
        model = WaveletVAE(SPACE, Haar(levels=2), [LaplaceKL, GaussianKL, DetailL1], width=8, noise="per-level")
        weights = {"nll": 1, "laplace-kl": 1, "gaussian-kl": 1, "detail-l1": 0.03}
    loss = model.loss(Batch(torch.rand(6, 1, 8, 8)))
    beside = {"mse", "sigma", "noise/approx", "noise/level-2", "noise/level-1"}
    assert [name for name in loss.terms if name not in beside] == list(weights)
    torch.testing.assert_close(sum(w * loss.terms[name] for name, w in weights.items()), loss.value.detach())


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_a_learned_sigma_never_falls_below_half_a_step_of_8_bits(low, high):
    likelihood = Likelihood(ImageSpace(1, 4, 4, low, high), "gaussian", "learned")
    assert likelihood.sigma.item() == pytest.approx((high - low) / 4, rel=1e-4)
    with torch.no_grad():
        likelihood.scale.rho.fill_(-1e3)
    assert likelihood.sigma.item() == pytest.approx((high - low) / 512)


def test_a_fixed_sigma_has_no_floor():
    assert Likelihood(SPACE, "gaussian", 1e-3).sigma.item() == pytest.approx(1e-3, rel=1e-3)


def test_posterior_fit_adds_the_posteriors_mean_variance():
    torch.manual_seed(0)
    model = Plain(CODE)
    points = torch.randn(500, 3) @ torch.tensor([[0.5, 0.0, 0.0], [0.3, 0.2, 0.0], [-0.2, 0.1, 0.4]]) + 1.0
    sampler = PosteriorFit(components=1, ridge=0.0)
    sampler.fit(model, one_pass(points[:, None, None, :]))  # (n, 3) to (n, 1, 1, 3)
    drawn = seeded(sampler, model, 40_000).flatten(1)
    expected = points.T.cov(correction=0) + (0.2 + points.abs()).square().mean(0).diag()
    torch.testing.assert_close(drawn.mean(0), points.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), expected, atol=0.05, rtol=0.03)


def test_posterior_fit_takes_detail_scales_from_samples():
    """Where the means are 0 and the noise is s, b is E|s·ε| = s √(2/π); the means alone would give 0."""
    torch.manual_seed(0)
    model = Plain(WAVELET)
    sampler = PosteriorFit(components=1, bins=3)
    sampler.fit(model, one_pass(torch.randn(2_000, 1, 1, 16)))
    expected = 0.5 * math.sqrt(2 / math.pi)
    torch.testing.assert_close(sampler.details.scales, torch.full((3, 3), expected), atol=0, rtol=0.08)
    details = seeded(sampler, model, 2_000)[..., 4:]  # behind the approximation's four numbers
    assert details.abs().mean().item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("kind", ["gmm", "posterior-fit"])
def test_draws_without_labels_follow_the_classes_shares(kind):
    torch.manual_seed(0)
    labels = (torch.arange(1_000) % 10 == 0).long()  # class 1 is a tenth
    values = 0.2 + 0.6 * labels[:, None] + 0.01 * torch.randn(1_000, 3)
    images = values[:, None, None, :]  # (n, 3) to (n, 1, 1, 3)
    if kind == "gmm":
        model = GaussianMixture(ImageSpace(1, 1, 3), principal=2, components=1)
        model.fit(one_pass(images, labels))
        drawn = seeded(model, 10_000)
    else:
        model, sampler = Plain(CODE), PosteriorFit(components=1)
        model.encode = lambda data: PosteriorState(
            {"z": data.flatten(1)}, {"z": torch.full((1, 1), 0.01)}, {"z": data.flatten(1)}, CODE
        )
        sampler.fit(model, one_pass(images, labels))
        drawn = seeded(sampler, model, 10_000)
    assert (drawn.mean((1, 2, 3)) > 0.5).double().mean().item() == pytest.approx(0.1, abs=0.015)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.25, 0.75)])
def test_gmm_samples_stay_in_the_range_of_the_images(low, high):
    torch.manual_seed(0)
    images = low + (high - low) * (torch.rand(200, 1, 2, 2) < 0.5).float()
    model = GaussianMixture(ImageSpace(1, 2, 2, low, high), principal=4, components=1)
    model.fit(one_pass(images))
    drawn = seeded(model, 500)
    assert (drawn.min().item(), drawn.max().item()) == (low, high)


@pytest.mark.parametrize(("norm", "growth"), [("ortho", 2), ("mean", 1)])
def test_heads_grow_with_the_filters(norm, growth):
    """Heads that give 1 everywhere give the coefficients that a filter makes of ones: twice as much a level."""
    space = Haar(levels=3, norm=norm).target(SPACE)
    heads = CoefficientHeads(space, [4, 4, 4], zero=True)
    with torch.no_grad():
        for head in heads.heads:
            head[-1].bias.fill_(1.0)
    bands = heads([torch.randn(2, 4, *size) for size in space.sizes])
    expected = {name: growth ** (int(name[2:]) - (name[1] != "A")) for name in space.band_shapes}
    assert {name: band.unique().tolist() for name, band in bands.items()} == {k: [v] for k, v in expected.items()}
    if norm == "ortho":
        approx = Haar(levels=3)(torch.ones(2, 1, 8, 8)).approx
        torch.testing.assert_close(bands["cA3"].detach(), approx)
