"""The encoders and decoders beside the U-Net: what they read, what they leave out, what they cost nothing for."""

import pytest
import torch
from wavekit_haar import Haar
from wavekit_wvae import VAE, DetailL1, GaussianKL, LaplaceKL, PosteriorFit, Prior, WaveletVAE
from wavekit_wvae.coefficients import CoefficientEncoder, stacked
from wavekit_wvae.networks import CodeDecoder, ImageHead

from wavekit_core.errors import RecipeError, SpaceError
from wavekit_core.kinds import Batch
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)
SPACE = ImageSpace(3, 16, 16)


@pytest.mark.parametrize("norm", ["ortho", "mean"])
def test_stacked_levels_are_at_the_scale_of_pixels(norm):
    """A constant image has its value in the approximation's channel and 0 elsewhere, whatever the norm."""
    levels = stacked(Haar(levels=3, norm=norm)(torch.full((2, 3, 16, 16), 0.7)))
    assert [tuple(x.shape) for x in levels] == [(2, 12, 2, 2), (2, 9, 4, 4), (2, 9, 8, 8)]
    torch.testing.assert_close(levels[0][:, :3], torch.full((2, 3, 2, 2), 0.7))
    assert all(x.abs().max() < 1e-6 for x in (levels[0][:, 3:], levels[1], levels[2]))


def test_the_litevae_encoder_never_resamples_a_level_before_pooling():
    torch.manual_seed(0)
    transform = Haar(levels=2)
    encoder = CoefficientEncoder(transform.target(SPACE), 8, (5,))
    seen = []
    for net in encoder.levels:
        for part in net.modules():
            part.register_forward_hook(lambda _module, _inputs, output: seen.append(tuple(output.shape[-2:])))
    mean, raw = encoder(transform(torch.rand(3, 3, 16, 16)))
    assert mean.shape == raw.shape == (3, 5)
    assert set(seen) == {(4, 4), (8, 8)}


def test_the_litevae_encoder_sees_every_coefficient():
    torch.manual_seed(0)
    transform = Haar(levels=2)
    encoder = CoefficientEncoder(transform.target(SPACE), 8, (5,))
    images = torch.rand(1, 3, 16, 16).requires_grad_()
    (gradient,) = torch.autograd.grad(encoder(transform(images))[0].sum(), images)
    assert (transform(gradient).approx != 0).all()
    assert all((details != 0).all() for details in transform(gradient).details)


@pytest.mark.parametrize("encoder", ["bottleneck", "litevae"])
def test_a_spatial_code_is_maps_of_the_coarsest_level(encoder):
    model = WaveletVAE(SPACE, Haar(levels=3), [GaussianKL], encoder=encoder, code=4, layout="spatial", width=8)
    assert model.latent.names(drawn=True) == ["z"]
    assert model.encode(torch.rand(2, 3, 16, 16)).sample["z"].shape == (2, 4, 2, 2)
    torch.manual_seed(0)
    assert Prior().sample(model, 3).shape == (3, 3, 16, 16)
    plain = VAE(SPACE, code=4, layout="spatial", levels=3, width=8)
    assert plain.latent.bands[0] == model.latent.bands[0]
    torch.manual_seed(0)
    sampler = PosteriorFit(components=1)
    sampler.fit(plain, lambda: iter([Batch(torch.rand(20, 3, 16, 16))]))
    assert sampler.sample(plain, 3).shape == (3, 3, 16, 16)


@pytest.mark.parametrize("encoder", ["bottleneck", "litevae"])
def test_convolutions_behind_a_code_leave_no_pyramid_and_no_noise(encoder):
    model = WaveletVAE(SPACE, Haar(levels=2), [GaussianKL], encoder=encoder, decoder="conv", code=4, width=8)
    assert [band.name for band in model.latent.bands] == ["z"]
    assert not any(name.startswith(("noise.", "heads.")) for name in model.state_dict())
    assert "noise" not in " ".join(model.loss(Batch(torch.rand(2, 3, 16, 16))).terms)
    with pytest.raises(TypeError, match="makes no pyramid"):
        model.pyramid({"z": torch.zeros(1, 4)})
    for regularizer in (DetailL1, LaplaceKL):
        with pytest.raises(SpaceError, match="no detail bands"):
            WaveletVAE(SPACE, Haar(levels=2), [regularizer], encoder=encoder, decoder="conv", width=8)


def test_bottleneck_with_convolutions_is_the_plain_vae():
    model = WaveletVAE(SPACE, Haar(levels=2), [GaussianKL], encoder="bottleneck", decoder="conv", code=4, width=8)
    plain = VAE(SPACE, [GaussianKL], code=4, levels=2, width=8)
    shapes = [sorted(tuple(p.shape) for p in one.parameters()) for one in (model, plain)]
    assert shapes[0] == shapes[1]


def test_convolutions_read_every_band_of_a_pyramid():
    torch.manual_seed(0)
    model = WaveletVAE(SPACE, Haar(levels=2), decoder="conv", width=8)
    latent = {band.name: torch.randn(1, *band.shape).requires_grad_() for band in model.latent.bands}
    image = model.decode(latent)
    assert image.shape == (1, 3, 16, 16)
    gradients = torch.autograd.grad(image.square().sum(), list(latent.values()))
    assert all((gradient != 0).all() for gradient in gradients)


def test_images_of_odd_size_come_out_whole():
    assert ImageHead(8, (3, 9, 7))(torch.rand(2, 8, 5, 4)).shape == (2, 3, 9, 7)
    features = CodeDecoder((4, 3, 2), [(3, 2), (5, 4)], 8)(torch.rand(2, 4, 3, 2))
    assert [tuple(x.shape[-2:]) for x in features] == [(3, 2), (5, 4)]
    for encoder in ("unet", "litevae"):
        model = WaveletVAE(ImageSpace(1, 9, 13), Haar(levels=2), encoder=encoder, decoder="conv", width=8)
        assert model.reconstruct(torch.rand(2, 1, 9, 13)).shape == (2, 1, 9, 13)


@pytest.mark.parametrize("decoder", ["idwt", "idwt+refine", "conv"])
def test_a_bernoulli_output_is_the_logit_behind_the_decoder(decoder):
    """The sigmoid comes after the inverse transform, and the loss is that of probabilities on [0, 1]."""
    torch.manual_seed(0)
    space = ImageSpace(1, 8, 8, low=-1.0)
    model = WaveletVAE(space, Haar(levels=2), decoder=decoder, likelihood="bernoulli", width=8)
    images = 2 * torch.rand(5, 1, 8, 8) - 1
    state = model.encode(images)
    shown = (model.decode(state.sample).double() + 1) / 2
    expected = torch.nn.functional.binary_cross_entropy(shown, (images.double() + 1) / 2)
    assert model.loss_of(images, state).terms["nll"].item() == pytest.approx(expected.item(), rel=1e-5)
    if decoder == "idwt":
        logits = model.transform.inverse(model.pyramid(state.sample))
        torch.testing.assert_close(shown.float(), torch.sigmoid(logits))


def test_amortised_noise_cannot_be_fixed():
    with pytest.raises(RecipeError, match="leave one of them out"):
        WaveletVAE(SPACE, Haar(levels=2), noise="amortised", noise_fixed=True)
