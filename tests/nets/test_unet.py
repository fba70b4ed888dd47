"""The U-Net's parts against plain torch, and what it learns."""

import pytest
import torch
import torch.nn.functional as F

from wavekit_core.nets import UNet, make_network
from wavekit_core.nets.embedding import fourier
from wavekit_core.nets.unet import Attention, Down, Norm, Up, largest_divisor


def test_modulated_norm_is_group_norm_with_scale_and_shift():
    torch.manual_seed(0)
    norm = Norm(24).double()
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
    x, modulation = torch.randn(3, 24, 5, 2).double(), torch.randn(3, 48).double()
    scale, shift = modulation[:, :24, None, None], modulation[:, 24:, None, None]
    torch.testing.assert_close(norm.modulated(x, modulation), norm(x) * (1 + scale) + shift)


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (6, 1), (8, 2), (48, 12), (36, 9), (128, 32), (144, 24)])
def test_norms_have_at_most_32_groups_of_at_least_4_channels(channels, groups):
    assert Norm(channels).num_groups == groups


def test_attention_is_that_of_its_equation():
    torch.manual_seed(0)
    attention = Attention(12, 4).double()  # three heads
    with torch.no_grad():
        attention.last.weight.normal_()
    x = torch.randn(2, 12, 3, 2).double()
    pixels = attention.norm(x).reshape(2, 12, 6).movedim(1, 2)
    q, k, v = attention.qkv(pixels).chunk(3, 2)
    heads = []
    for h in range(3):
        part = slice(4 * h, 4 * h + 4)
        weights = (q[..., part] @ k[..., part].mT / 2).softmax(-1)  # √4
        heads.append(weights @ v[..., part])
    y = attention.last(torch.cat(heads, 2))
    torch.testing.assert_close(attention(x), x + y.movedim(2, 1).reshape(x.shape))


@pytest.mark.parametrize("resample", ["conv", "pool"])
@pytest.mark.parametrize("size", [(8, 8), (7, 3), (1, 1)])
def test_down_halves_with_ceiling_and_up_goes_back(resample, size):
    x = torch.randn(2, 4, *size)
    small = Down(4, resample)(x)
    assert small.shape[2:] == (-(-size[0] // 2), -(-size[1] // 2))
    assert Up(4, resample)(small, size).shape == x.shape


def test_pooling_keeps_the_mean_of_a_constant_at_odd_borders():
    assert torch.equal(Down(1, "pool")(torch.ones(1, 1, 5, 3)), torch.ones(1, 1, 3, 2))


def test_attention_stands_at_the_heights_asked_for():
    network = UNet(1, 1, (20, 12), 8, (1, 1, 2), 2, attention=(10,))
    where = [isinstance(layer.attention, Attention) for layer in network.down if hasattr(layer, "attention")]
    assert where == [False, False, True, True, False, False]
    assert not any(isinstance(m, Attention) for m in UNet(1, 1, (20, 12), 8, (1, 1, 2), 2).modules())


def test_divisors():
    assert [largest_divisor(12, most) for most in (0, 1, 5, 11, 12, 40)] == [1, 1, 4, 6, 12, 12]


def test_close_noise_levels_are_told_apart_and_far_ones_are_not_confused():
    noise = torch.linspace(-1.7, 1.3, 601).double()  # ln σ / 4 of σ from 0.001 to 180
    features = fourier(noise, 32)
    assert features.shape == (601, 32)
    distance = torch.cdist(features, features) / 32**0.5
    steps = torch.arange(601)
    apart = (steps[:, None] - steps).abs()
    assert distance[apart == 5].min() > 0.2  # a tenth of ln σ
    assert distance[apart >= 20].min() > 0.5
    assert distance[apart == 1].max() < 0.3  # and it is smooth


@pytest.mark.parametrize("preset", ["tiny", "mlp"])
def test_a_batch_of_images_is_learnt_by_heart(preset):
    torch.manual_seed(0)
    network = make_network(preset, 1, 1, (8, 8), classes=8, width=16 if preset == "tiny" else 64)
    images, noise, labels = torch.randn(8, 1, 8, 8), torch.linspace(-1, 1, 8), torch.arange(8)
    sigma = (4 * noise).exp()[:, None, None, None]
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    epsilon = torch.randn(8, 1, 8, 8)
    x = (images + sigma * epsilon) / (1 + sigma**2).sqrt()
    losses = []
    for _ in range(50):
        loss = F.mse_loss(network(x, noise, labels), epsilon)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(epsilon.square().mean().item())  # it begins at 0
    assert losses[-1] < 0.01


def test_labels_are_learnt():
    torch.manual_seed(0)
    network = make_network("tiny", 1, 1, (8, 8), classes=2, width=16)
    x, labels = torch.randn(8, 1, 8, 8), torch.arange(8) % 2
    target = (2.0 * labels - 1)[:, None, None, None].expand(x.shape)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(30):
        loss = F.mse_loss(network(x, torch.zeros(8), labels), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    new = torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        assert network(new, torch.zeros(4), torch.ones(4, dtype=torch.long)).mean() > 0.5
        assert network(new, torch.zeros(4), torch.zeros(4, dtype=torch.long)).mean() < -0.5
