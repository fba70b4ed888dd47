"""Samplers and the mixture control: fits, refusals, and state that survives."""

from functools import partial

import pytest
import torch
from safetensors.torch import load, save
from wavekit_haar import Haar
from wavekit_wvae import VAE, GaussianKL, GaussianMixture, LaplaceKL, OracleShrinkage, PosteriorFit, Prior, WaveletVAE
from wavekit_wvae.mixture import ClassMixture
from wavekit_wvae.scale_tree import ScaleTree

from wavekit_core.errors import DataError
from wavekit_core.kinds import Batch
from wavekit_core.spaces import Band, ImageSpace

torch.set_num_threads(1)
SPACE = ImageSpace(1, 8, 8)
ELBO = (LaplaceKL, GaussianKL)


def batches(labelled: bool = True, count: int = 96):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    images = (labels.reshape(-1, 1, 1, 1) / 3 + 0.1 * torch.rand(count, 1, 8, 8, generator=generator)).clamp(0, 1)
    pieces = zip(images.split(40), labels.split(40), strict=True)
    made = [Batch(x, y if labelled else None) for x, y in pieces]
    return lambda: iter(made)


def model_of(encoder: str, regularizers=ELBO) -> WaveletVAE:
    torch.manual_seed(0)
    return WaveletVAE(SPACE, Haar(levels=2), regularizers, encoder=encoder, width=8, code=4)


def draw(sampler, *arguments):
    torch.manual_seed(5)
    return sampler.sample(*arguments)


@pytest.mark.parametrize("encoder", ["unet", "bottleneck"])
@pytest.mark.parametrize("labelled", [True, False])
def test_posterior_fit_samples_and_survives_a_state_dict(encoder, labelled):
    model, sampler = model_of(encoder), PosteriorFit(components=2)
    assert sampler.refuses(model) is None
    torch.manual_seed(1)
    sampler.fit(model, batches(labelled))
    labels = torch.arange(7) % 3
    images = draw(sampler, model, 7, labels)
    assert images.shape == (7, 1, 8, 8)
    assert 0 <= images.min() <= images.max() <= 1
    assert draw(sampler, model, 3).shape == (3, 1, 8, 8)
    stored = load(save({name: t.contiguous() for name, t in sampler.state_dict().items()}))
    again = PosteriorFit(components=2)
    again.load_state_dict(stored)
    assert torch.equal(draw(again, model, 7, labels), images)
    with torch.device("meta"):
        assigned = PosteriorFit(components=2)
    assigned.load_state_dict(stored, assign=True)
    assert torch.equal(draw(assigned, model, 7, labels), images)


def test_posterior_fit_follows_the_classes():
    model = model_of("unet")
    with torch.no_grad():
        model.noise.scale.rho.fill_(-6)
    exact = WaveletVAE(SPACE, Haar(levels=2), residual_dwt=True, width=8, noise_init=1e-3)
    sampler = PosteriorFit(components=1)
    sampler.fit(exact, batches())
    labels = torch.tensor([0, 1, 2]).repeat_interleave(50)
    means = draw(sampler, exact, 150, labels).mean((1, 2, 3)).reshape(3, 50).mean(1)  # (150,) to (3, 50)
    torch.testing.assert_close(means, torch.tensor([0.05, 1 / 3 + 0.05, 2 / 3 + 0.05]), atol=0.01, rtol=0)


def test_posterior_fit_refusals():
    sampler = PosteriorFit()
    assert "draws from Autoencoders" in sampler.refuses(OracleShrinkage(SPACE, Haar(levels=2)))
    with torch.device("meta"):
        wide = WaveletVAE(ImageSpace(3, 64, 64), Haar(levels=1), width=4)
    assert "use more levels" in sampler.refuses(wide)
    with pytest.raises(DataError, match="at least two"):
        sampler.fit(model_of("bottleneck"), batches(count=1))
    with pytest.raises(RuntimeError, match="not fitted"):
        PosteriorFit().sample(model_of("bottleneck"), 2)


def test_prior_refuses_uncovered_bands_and_names_the_remedy():
    assert Prior().refuses(model_of("unet")) is None
    reason = Prior().refuses(model_of("unet", [GaussianKL]))
    assert "cH2" in reason
    assert "cA2" not in reason
    assert "laplace-kl" in reason
    assert Prior().refuses(model_of("bottleneck", [GaussianKL])) is None
    assert "z" in Prior().refuses(model_of("bottleneck", [LaplaceKL]))
    assert "draws from Autoencoders" in Prior().refuses(OracleShrinkage(SPACE, Haar(levels=2)))


@pytest.mark.parametrize("encoder", ["unet", "bottleneck"])
def test_prior_samples(encoder):
    images = draw(Prior(), model_of(encoder), 5)
    assert images.shape == (5, 1, 8, 8)
    assert 0 <= images.min() <= images.max() <= 1


def test_prior_samples_a_plain_vae():
    model = VAE(SPACE, [partial(GaussianKL, learn_prior=True)], code=4, width=8)
    assert draw(Prior(), model, 5).shape == (5, 1, 8, 8)


def test_mixture_recovers_moments():
    torch.manual_seed(0)
    which = torch.arange(6_000) % 2
    mix = torch.tensor([[2.0, 0.0], [0.5, 1.0]])
    points = torch.randn(6_000, 2) @ mix.T + 6 * (torch.rand(6_000, 1) < 0.3) - 4 * which[:, None]
    mixture = ClassMixture()
    mixture.fit(points, which, components=2)
    for k in (0, 1):
        drawn = mixture.draw(20_000, torch.full((20_000,), k))
        torch.testing.assert_close(drawn.mean(0), points[which == k].mean(0), atol=0.15, rtol=0)
        torch.testing.assert_close(drawn.T.cov(), points[which == k].T.cov(), atol=0.3, rtol=0.05)
    assert mixture.weights.sort(1).values[0, 0].item() == pytest.approx(0.3, abs=0.03)
    with pytest.raises(ValueError, match="labels from 0 to 2"):
        mixture.draw(3, torch.arange(3))


def test_mixture_adds_variances_and_survives_tiny_classes():
    torch.manual_seed(0)
    mixture = ClassMixture()
    points = torch.randn(3_000, 2)
    mixture.fit(points, None, 1, ridge=0.0, variances=torch.full_like(points, 3.0))
    torch.testing.assert_close(mixture.draw(20_000).var(0), torch.full((2,), 4.0), atol=0.2, rtol=0)
    mixture.fit(points[:5], torch.tensor([0, 0, 0, 2, 3]), components=4)
    assert torch.isfinite(mixture.draw(8, torch.tensor([0, 2, 3, 0, 2, 3, 0, 0]))).all()


@pytest.mark.parametrize("space", [SPACE, Haar(levels=2).target(SPACE)], ids=["images", "pyramids"])
def test_gmm_recovers_a_known_mixture(space):
    torch.manual_seed(0)
    transform = Haar(levels=2)
    labels = torch.arange(600) % 2
    directions = torch.randn(3, 64) / 40
    images = 0.4 + 0.2 * labels[:, None] + torch.randn(600, 3) @ directions
    data = images.reshape(600, 1, 8, 8)  # (600, 64) to images
    made = Batch(data if space is SPACE else transform(data), labels)
    model = GaussianMixture(space, principal=8, components=2)
    model.fit(lambda: iter([made]))
    for k in (0, 1):
        drawn = draw(model, 4_000, torch.full((4_000,), k))
        vectors = (drawn if space is SPACE else transform.inverse(drawn)).flatten(1)
        torch.testing.assert_close(vectors.mean(0), images[labels == k].mean(0), atol=0.02, rtol=0)
        torch.testing.assert_close(vectors.T.cov(), images[labels == k].T.cov(), atol=5e-4, rtol=0.2)
    flat = space.flatten(model.reconstruct(made.data))
    torch.testing.assert_close(flat, space.flatten(made.data), atol=1e-4, rtol=0)
    again = GaussianMixture(space, principal=8, components=2)
    again.load_state_dict(model.state_dict())
    labels = torch.tensor([0, 1, 1])
    assert torch.equal(space.flatten(draw(again, 3, labels)), space.flatten(draw(model, 3, labels)))


def test_gmm_without_labels_and_without_data():
    model = GaussianMixture(SPACE, principal=4, components=2)
    model.fit(batches(labelled=False))
    assert draw(model, 4).shape == (4, 1, 8, 8)
    with pytest.raises(DataError, match="at least two"):
        model.fit(lambda: iter([]))


def test_details_follow_their_parents():
    torch.manual_seed(0)
    parent = torch.rand(400, 1, 4, 4) * 4
    scale = parent.repeat_interleave(2, -1).repeat_interleave(2, -2)
    child = torch.distributions.Laplace(torch.zeros_like(scale), scale + 1e-3).sample()
    tree = ScaleTree(bins=8)
    tree.fit({"cH2": parent, "cH1": child}, ["cH1"])
    torch.testing.assert_close(tree.scales[0], torch.arange(8) / 2 + 0.25, atol=0.1, rtol=0.1)
    drawn = tree.draw({"cH2": parent}, [Band("cH1", (1, 8, 8), "detail")])["cH1"]
    assert drawn.shape == (400, 1, 8, 8)
    assert drawn[scale < 1].abs().mean().item() == pytest.approx(0.5, rel=0.1)
    assert drawn[scale > 3].abs().mean().item() == pytest.approx(3.5, rel=0.1)


def test_prior_refuses_a_band_that_is_covered_twice():
    model = WaveletVAE(SPACE, Haar(levels=1), [LaplaceKL, partial(GaussianKL, bands="all")], width=4)
    assert "more than one regularizer has a prior for cD1, cH1, cV1" in str(Prior().refuses(model))
