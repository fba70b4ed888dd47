"""The Wavelet-VAE and the plain VAE: shapes, every combination, training."""

import itertools
from functools import partial

import pytest
import torch
from wavekit_haar import Haar
from wavekit_wvae import VAE, DetailL1, GaussianKL, LaplaceKL, WaveletVAE

from wavekit_core.errors import RecipeError, SpaceError
from wavekit_core.kinds import Batch, Transform
from wavekit_core.registry import node
from wavekit_core.spaces import ImageSpace, Space

torch.set_num_threads(1)
GREY = ImageSpace(1, 8, 8)
ELBO = (LaplaceKL, GaussianKL)


def step(model, batch):
    objective = model.objectives()[0]
    optimizer = objective.optimizer(objective.parameters)
    loss = objective.loss(batch)
    optimizer.zero_grad()
    loss.value.backward()
    optimizer.step()
    return loss


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("size", "levels", "approx"),
    [(32, 1, 16), (32, 2, 8), (32, 3, 4), (64, 1, 32), (64, 2, 16), (64, 3, 8), (64, 4, 4), (128, 4, 8), (256, 5, 8)],
)
def test_shapes_table(size, levels, approx):
    space = ImageSpace(3, size, size)
    with torch.device("meta"):
        latent = WaveletVAE(space, Haar(levels=levels), width=4).latent
    shapes = {band.name: band.shape for band in latent.bands}
    assert shapes.pop(f"cA{levels}") == (3, approx, approx)
    assert shapes == {f"c{o}{j}": (3, size >> j, size >> j) for j in range(levels, 0, -1) for o in "HVD"}
    assert latent.numbers == 3 * size * size
    assert latent.names("approx") == [f"cA{levels}"]


NOISES = {"global": 1, "approx+detail": 2, "per-level": 3, "per-band": 7, "per-coefficient": 64, "amortised": None}
COMBINATIONS = [
    (encoder, decoder, noise, likelihood, form)
    for i, (encoder, decoder) in enumerate(
        itertools.product(["unet", "bottleneck", "litevae"], ["idwt", "idwt+refine", "conv"])
    )
    for noise, likelihood, form in [
        (list(NOISES)[(2 * i) % 6], "gaussian", ["softplus", "log"][i % 2]),
        (list(NOISES)[(2 * i + 1) % 6], "bernoulli", ["log", "softplus"][i % 2]),
    ]
]


@pytest.mark.parametrize(("encoder", "decoder", "noise", "likelihood", "form"), COMBINATIONS)
def test_every_combination_builds_and_steps(encoder, decoder, noise, likelihood, form):
    direct = encoder != "unet" and decoder == "conv"  # no pyramid between the code and the image

    def make():
        return WaveletVAE(
            GREY,
            Haar(levels=2),
            regularizers=(GaussianKL,) if direct else ELBO,
            encoder=encoder,
            decoder=decoder,
            noise=noise,
            noise_form=form,
            likelihood=likelihood,
            width=8,
            code=4,
        )

    with torch.device("meta"):
        assert all(tensor.is_meta for tensor in make().state_dict().values())
    torch.manual_seed(0)
    model = make()
    images = torch.rand(4, 1, 8, 8)
    before = {name: p.clone() for name, p in model.named_parameters()}
    loss = step(model, Batch(images))
    assert torch.isfinite(loss.value)
    assert {"nll", "mse", "gaussian-kl"} <= set(loss.terms)
    after = dict(model.named_parameters())
    still = [name for name, p in after.items() if p.requires_grad and torch.equal(before[name], p)]
    if decoder == "idwt+refine":  # behind a head that starts at 0 nothing moves in the first step
        still = [name for name in still if not name.startswith("refine.")]
    if noise == "amortised":
        still = [name for name in still if not name.startswith("noise.heads")]
    assert still == []
    assert all(torch.isfinite(p).all() for p in after.values())
    assert any(name.startswith("noise/") for name in loss.terms) != direct
    if not direct and NOISES[noise]:
        assert len(model.noise.scale.rho) == NOISES[noise]
    rebuilt = model.reconstruct(images)
    assert rebuilt.shape == images.shape
    if likelihood == "bernoulli":
        assert 0 <= rebuilt.min() <= rebuilt.max() <= 1


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_vae_steps(likelihood):
    space = ImageSpace(3, 12, 10, low=-1.0)
    with torch.device("meta"):
        VAE(space, [GaussianKL], likelihood=likelihood)
    model = VAE(space, [GaussianKL], likelihood=likelihood, width=8, code=4)
    images = torch.rand(4, 3, 12, 10) * 2 - 1
    assert torch.isfinite(step(model, Batch(images)).value)
    assert model.reconstruct(images).shape == images.shape


@pytest.mark.parametrize("encoder", ["unet", "bottleneck"])
def test_overfits_one_batch(encoder):
    torch.manual_seed(0)
    images = torch.rand(4, 1, 4, 4).repeat_interleave(2, -1).repeat_interleave(2, -2)
    model = WaveletVAE(GREY, Haar(levels=2), [partial(GaussianKL, weight=1e-3)], encoder=encoder, width=16, lr=3e-3)
    objective = model.objectives()[0]
    optimizer = objective.optimizer(objective.parameters)
    for _ in range(200):
        optimizer.zero_grad()
        objective.loss(Batch(images)).value.backward()
        optimizer.step()
    error = (model.reconstruct(images) - images).square().mean()
    assert error < 0.1 * images.var()


def test_loss_does_not_depend_on_batch_size_or_resolution():
    torch.manual_seed(0)
    images = torch.rand(2, 1, 8, 8)
    model = WaveletVAE(GREY, Haar(levels=1), [DetailL1], width=8, noise_init=2e-4, noise_fixed=True, sigma=0.5)
    one = model.loss(Batch(images)).value
    torch.testing.assert_close(model.loss(Batch(images.repeat(3, 1, 1, 1))).value, one, atol=1e-3, rtol=1e-3)


def test_scales_have_a_group_without_decay():
    model = WaveletVAE(GREY, Haar(levels=2), ELBO, width=8, weight_decay=0.1, lr=1e-3, noise_lr=2e-2)
    networks, noise, scales = model.objectives()[0].parameters
    assert noise["params"] == [model.noise.scale.rho]
    assert (noise["lr"], noise["weight_decay"]) == (2e-2, 0.0)
    assert any(p is model.regularizers[0].log_b for p in scales["params"])
    assert networks["weight_decay"] == 0.1
    groups = [id(p) for group in model.objectives()[0].parameters for p in group["params"]]
    assert sorted(groups) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    fixed = WaveletVAE(GREY, Haar(levels=2), noise_fixed=True, sigma=0.5, width=8)
    assert len(fixed.objectives()[0].parameters) == 1
    scales = {name: s.item() for name, s in fixed.noise().items()}
    assert scales == pytest.approx(dict.fromkeys(fixed.latent.names(), 0.1), rel=1e-3)


def test_residual_dwt_starts_at_the_identity():
    images = torch.rand(3, 1, 8, 8)
    model = WaveletVAE(GREY, Haar(levels=2), residual_dwt=True, decoder="idwt+refine", width=8)
    torch.testing.assert_close(model.reconstruct(images), images, atol=1e-5, rtol=0)
    with pytest.raises(RecipeError, match="residual_dwt"):
        WaveletVAE(GREY, Haar(levels=2), residual_dwt=True, encoder="bottleneck")


def test_bottleneck_latent_draws_the_code_alone():
    model = WaveletVAE(GREY, Haar(levels=2), encoder="bottleneck", code=5, width=8)
    assert model.latent.names(drawn=True) == ["z"]
    assert model.latent.numbers == 5
    state = model.encode(torch.rand(2, 1, 8, 8))
    assert set(state.mean) == set(state.scale) == set(state.sample) == set(model.latent.names())
    assert model.decode({"z": torch.zeros(3, 5)}).shape == (3, 1, 8, 8)


@pytest.mark.parametrize("layout", ["flat", "spatial"])
@pytest.mark.parametrize(
    ("channels", "size", "levels", "code"),
    [(1, 16, 2, 16), (1, 28, 2, 32), (1, 32, 3, 64), (3, 32, 2, 64), (3, 64, 3, 256), (3, 128, 4, 512)],
)
def test_vae_has_as_many_parameters_and_numbers_as_the_bottleneck_wvae(channels, size, levels, code, layout):
    space = ImageSpace(channels, size, size)
    code = code if layout == "flat" else 4
    with torch.device("meta"):
        wavelet = WaveletVAE(
            space, Haar(levels=levels), [GaussianKL], encoder="bottleneck", code=code, layout=layout, width=24
        )
        plain = VAE(space, [GaussianKL], code=code, levels=levels, layout=layout, width=24)
    assert parameters(plain) == pytest.approx(parameters(wavelet), rel=0.05)
    assert plain.latent.numbers == wavelet.latent.numbers == (code if layout == "flat" else 4 * (size >> levels) ** 2)


def test_a_pyramid_is_needed():
    class Flat(Transform):
        def __init__(self):
            super().__init__()

        def target(self, source: Space) -> Space:
            return source

        def forward(self, x):
            return x

        def inverse(self, y):
            return y

    with pytest.raises(SpaceError, match="makes no pyramid") as error:
        WaveletVAE(GREY, Flat())
    assert error.value.at == "transform"


def test_defaults_are_built_by_name():
    model = WaveletVAE(GREY, regularizers=[node("laplace-kl"), node("gaussian-kl", learn_prior=True)], width=4)
    assert isinstance(model.transform, Haar)
    assert [type(r) for r in model.regularizers] == [LaplaceKL, GaussianKL]
    assert [type(r) for r in VAE(GREY, width=4).regularizers] == [GaussianKL]


@pytest.mark.parametrize("norm", ["ortho", "mean", "unit-range", "whiten"])
@pytest.mark.parametrize("encoder", ["unet", "bottleneck"])
def test_odd_sizes_and_norms(norm, encoder):
    torch.manual_seed(0)
    images = torch.rand(6, 3, 10, 13)
    model = WaveletVAE(ImageSpace(3, 10, 13), Haar(levels=2, norm=norm), ELBO, encoder=encoder, width=8)
    model.fit(lambda: iter([Batch(images)]))
    assert torch.isfinite(step(model, Batch(images)).value)
    assert model.reconstruct(images).shape == images.shape
