"""The networks: the published sizes, any image size, and no scale that sees another."""

import pytest
import torch
from torch import nn
from wavekit_msal_gan.attention_unet import AttentionUNet
from wavekit_msal_gan.critic import Critic, spectral_norm
from wavekit_msal_gan.norm import Norm, halvings
from wavekit_msal_gan.sl import UNet

from wavekit_core.errors import RecipeError

torch.set_num_threads(1)


def parameters(network: nn.Module) -> int:
    """Real numbers: a complex parameter counts as two."""
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in network.parameters())


def stirred(network: nn.Module) -> nn.Module:
    """The network with other weights, since a new one gives 0."""
    torch.manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return network


@pytest.mark.parametrize(("width", "count"), [(64, 36_471_600), (32, 9_124_728), (16, 2_284_668)])
def test_the_generator_has_the_published_number_of_parameters(width, count):
    with torch.device("meta"):
        assert parameters(AttentionUNet(6, 9, width, 4)) == count


def test_the_critic_and_the_regression_have_the_published_number_of_parameters():
    with torch.device("meta"):
        assert parameters(Critic(3, 64, 5)) == 42_632_257
        assert parameters(UNet(3, 9, 64, 4)) == 36_294_153


def test_the_operator_has_the_published_number_of_spectral_parameters():
    pytest.importorskip("neuralop")
    from wavekit_msal_gan.ol import FourierOperator

    with torch.device("meta"):
        network = FourierOperator(3, 9, 256, (16, 16), 4)
    spectral = sum(2 * p.numel() for p in network.parameters() if p.is_complex())
    assert spectral == 4 * 2 * 256**2 * 16 * 9 == 75_497_472
    assert parameters(network) == 75_896_329 - 256


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 7), (8, 8), (3, 12)])
def test_every_size_keeps_its_size(size):
    torch.manual_seed(0)
    x = torch.randn(2, 2, *size)
    for network in (AttentionUNet(2, 6, 4, 2, noise=True), UNet(2, 6, 4, 2)):
        out = stirred(network)(x)
        assert out.shape == (2, 6, *size)
        assert torch.isfinite(out).all()
    assert stirred(Critic(2, 4, 2))(x).shape == (2,)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 8), (12, 12)])
def test_the_operator_takes_every_size_and_knows_places(size):
    pytest.importorskip("neuralop")
    from wavekit_msal_gan.ol import FourierOperator

    torch.manual_seed(0)
    network = FourierOperator(2, 6, 4, (4, 4), 2)
    with torch.no_grad():
        out = network(torch.zeros(2, 2, *size))
    assert out.shape == (2, 6, *size)
    flat = out.flatten(2)
    assert size == (1, 1) or float((flat - flat[..., :1]).abs().max()) > 1e-4


def test_new_networks_give_no_details():
    x = torch.randn(2, 2, 8, 8)
    for network in (AttentionUNet(2, 6, 4, 2), UNet(2, 6, 4, 2)):
        assert not network(x).any()


@pytest.mark.parametrize(
    ("size", "most", "count"), [(1, 4, 0), (2, 4, 0), (3, 4, 1), (8, 4, 2), (64, 4, 4), (64, 5, 5)]
)
def test_halving_stops_at_two_pixels(size, most, count):
    assert halvings(size, size + 3, most) == count


@pytest.mark.parametrize("network", [AttentionUNet(2, 6, 8, 2), UNet(2, 6, 8, 2), Critic(2, 8, 2)])
def test_with_group_normalisation_images_do_not_see_each_other(network):
    torch.manual_seed(1)
    x = torch.randn(4, 2, 8, 8)
    x[1:] *= 100
    network = stirred(network).train()
    torch.testing.assert_close(network(x)[:1], network(x[:1]), rtol=1e-4, atol=1e-5)


def test_batch_statistics_are_those_of_their_own_scale():
    torch.manual_seed(0)
    norm = Norm(4, "batch-per-scale", scales=2)
    for _ in range(200):
        norm(3 + 5 * torch.randn(64, 4, 4, 4), 0)
        norm(-7 + 0.5 * torch.randn(64, 4, 4, 4), 1)
    norm.eval()
    for scale, (mean, std) in enumerate(((3, 5), (-7, 0.5))):
        out = norm(mean + std * torch.randn(256, 4, 8, 8), scale).detach()
        assert abs(float(out.mean())) < 0.05
        assert abs(float(out.std()) - 1) < 0.05


def test_batch_statistics_of_one_number_are_refused():
    with pytest.raises(RecipeError, match="one number has no variance"):
        Norm(4, "batch-per-scale")(torch.randn(1, 4, 1, 1))


def test_group_normalisation_is_that_of_torch():
    norm, x = Norm(32), torch.randn(3, 32, 5, 5)
    torch.testing.assert_close(norm(x), nn.GroupNorm(8, 32)(x))
    assert Norm(11).groups == 1


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (1, 16), (32, 8)])
def test_the_spectral_norm_is_the_largest_singular_value(shape):
    torch.manual_seed(0)
    weight = torch.randn(shape, requires_grad=True)
    found = spectral_norm(weight, torch.randn(shape[0]))
    expected = torch.linalg.matrix_norm(weight.flatten(1), 2)
    assert 0.95 < float((found / expected).detach()) <= 1 + 1e-5
    settled = spectral_norm(weight, torch.linalg.svd(weight.detach().flatten(1))[0][:, 0])
    torch.testing.assert_close(settled, expected)
    torch.testing.assert_close(
        torch.autograd.grad(settled, weight)[0], torch.autograd.grad(expected, weight)[0], rtol=1e-4, atol=1e-5
    )


def test_noise_in_blocks_is_used_once_its_strength_has_grown():
    torch.manual_seed(0)
    x, network = torch.randn(2, 2, 8, 8), stirred(AttentionUNet(2, 6, 4, 1, noise=True))
    assert not torch.equal(network(x), network(x))
    silent = stirred(AttentionUNet(2, 6, 4, 1))
    assert torch.equal(silent(x), silent(x))


def test_the_critic_s_shortcut_is_a_convolution_of_stride_two_whose_gradient_is_right():
    """At this size the single call of torch 2.13 spoils the heap on CPUs with AVX-512."""
    critic = Critic(3, 8, 1)
    images = torch.randn(32, 3, 64, 64)
    critic(images).sum().backward()

    wide = Critic(3, 8, 1).double()
    wide.load_state_dict(critic.state_dict())
    x = wide.stem(images.double())
    short = nn.functional.conv2d(x, wide.shortcuts[0][0].weight, stride=2)
    x = nn.functional.leaky_relu(wide.inner[0](x) + wide.shortcuts[0][1](short), 0.1)
    wide.score(x.mean((-2, -1))).sum().backward()
    for ours, theirs in zip(critic.parameters(), wide.parameters(), strict=True):
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-3, atol=1e-4)
