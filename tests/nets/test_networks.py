"""What every network promises: shapes, a start at 0, labels and conditions, gradients, precision, devices."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wavekit_core.errors import WavekitError
from wavekit_core.nets import MLP, Network, UNet

SIZES = [(8, 8), (7, 7), (5, 3), (1, 1), (2, 9)]


def unet(size=(8, 8), channels=2, out_channels=3, **more) -> UNet:
    settings = {"width": 8, "multipliers": (1, 2, 2), "blocks": 1, "attention": (4, 3, 2), "head_width": 8} | more
    return UNet(channels, out_channels, size, **settings)


def mlp(size=(8, 8), channels=2, out_channels=3, **more) -> MLP:
    return MLP(channels, out_channels, size, width=16, depth=2, **more)


def pooled(size=(8, 8), channels=2, out_channels=3, **more) -> UNet:
    return unet(size, channels, out_channels, resample="pool", **more)


KINDS = pytest.mark.parametrize("make", [unet, pooled, mlp])


def inputs(network: Network, count: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(count, network.channels, *network.size, generator=generator),
        torch.randn(count, generator=generator) / 2,
    )


def moved(network: Network) -> Network:
    """The network with every parameter moved a little, so that nothing is 0 because it began so."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return network


@KINDS
@pytest.mark.parametrize("size", SIZES)
def test_a_new_network_gives_exactly_0_at_any_size(make, size):
    network = make(size)
    assert torch.equal(network(*inputs(network)), torch.zeros(5, 3, *size))


@KINDS
@pytest.mark.parametrize("size", SIZES)
def test_an_image_gets_the_same_alone_as_in_a_batch(make, size):
    network = moved(make(size, classes=3, condition_channels=1))
    x, noise = inputs(network)
    labels, condition = torch.tensor([0, 2, -1, 1, 0]), x[:, :1].flip(0)
    whole = network(x, noise, labels, condition)
    assert whole.abs().mean() > 0.01
    for i in range(len(x)):
        alone = network(x[i : i + 1], noise[i : i + 1], labels[i : i + 1], condition[i : i + 1])
        torch.testing.assert_close(alone[0], whole[i], rtol=1e-4, atol=1e-4)


@KINDS
def test_every_parameter_gets_a_finite_gradient_after_an_update(make):
    torch.manual_seed(0)
    network = make(classes=3, condition_channels=1)
    x, noise = inputs(network)
    labels, condition = torch.tensor([0, 2, -1, 1, 0]), x[:, :1].flip(0)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(3):  # the output's weights move first, then the branches', then what stands before them
        optimizer.zero_grad()
        F.mse_loss(network(x, noise, labels, condition), torch.ones(5, 3, 8, 8)).backward()
        optimizer.step()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@KINDS
def test_gradients_are_those_of_finite_differences(make):
    network = moved(make((3, 5), classes=2)).double()
    x, noise = (t.double().requires_grad_() for t in inputs(network, 2))
    labels = torch.tensor([1, -1])
    assert torch.autograd.gradcheck(lambda a, b: network(a, b, labels), (x, noise), fast_mode=True)


@KINDS
def test_noise_labels_and_condition_each_change_the_output(make):
    network = moved(make(classes=3, condition_channels=1))
    x, noise = inputs(network)
    labels, condition = torch.tensor([0, 0, 1, 1, 2]), x[:, :1].flip(0)
    plain = network(x, noise, labels, condition)
    for other in (
        network(x, noise + 0.1, labels, condition),
        network(x, noise, (labels + 1) % 3, condition),
        network(x, noise, labels, -condition),
    ):
        assert (other - plain).flatten(1).abs().amax(1).min() > 1e-3


@KINDS
def test_no_labels_and_labels_of_minus_1_are_the_same(make):
    network = moved(make(classes=3))
    x, noise = inputs(network)
    assert torch.equal(network(x, noise), network(x, noise, torch.full((5,), -1)))
    assert not torch.allclose(network(x, noise), network(x, noise, torch.zeros(5, dtype=torch.long)))


@KINDS
def test_labels_of_any_integer_type_are_taken(make):
    network = moved(make(classes=3))
    x, noise = inputs(network)
    labels = torch.tensor([2, 1, 0, -1, 2])
    assert torch.equal(network(x, noise, labels), network(x, noise, labels.to(torch.int8)))


@KINDS
@pytest.mark.parametrize(
    ("classes", "labels", "reason"),
    [
        (3, torch.tensor([0, 1, 2, 3, 0]), "a label 3; the network knows classes 0 to 2, and -1 for none"),
        (3, torch.tensor([0, 1, 2, -2, 0]), "a label -2"),
        (0, torch.tensor([-1, -1, 0, -1, -1]), "a label 0; the network knows no classes"),
        (3, torch.tensor([0, 1]), r"of shape \(2,\) for 5 images"),
        (3, torch.zeros(5), "labels are torch.float32"),
    ],
)
def test_wrong_labels_are_refused(make, classes, labels, reason):
    network = make(classes=classes)
    with pytest.raises(WavekitError, match=reason):
        network(*inputs(network), labels)


@KINDS
def test_a_network_without_classes_takes_labels_for_none(make):
    network = moved(make())
    x, noise = inputs(network)
    assert torch.equal(network(x, noise), network(x, noise, torch.full((5,), -1)))


@KINDS
def test_a_condition_is_asked_for_or_refused_as_the_network_was_made(make):
    without, wanting = make(), make(condition_channels=2)
    x, noise = inputs(without)
    assert wanting(x, noise, condition=x).shape == (5, 3, 8, 8)
    with pytest.raises(WavekitError, match="there is no condition; the network was made for one of 2 channels"):
        wanting(x, noise)
    with pytest.raises(WavekitError, match="was made without one; give None"):
        without(x, noise, condition=x)
    with pytest.raises(WavekitError, match=r"of 2 channels and the input's size; give \(5, 2, 8, 8\)"):
        wanting(x, noise, condition=x[..., :4])


@KINDS
def test_inputs_of_other_shapes_are_refused(make):
    network = make()
    x, noise = inputs(network)
    with pytest.raises(WavekitError, match=r"\(5, 1, 8, 8\); the network was made for 2 channels"):
        network(x[:, :1], noise)
    with pytest.raises(WavekitError, match=r"the noise has the shape \(1,\) for 5 images"):
        network(x, noise[:1])


def test_an_mlp_refuses_other_sizes_and_a_unet_takes_them():
    perceptron, convolutional = mlp(), moved(unet())
    x = torch.randn(2, 2, 6, 11)
    with pytest.raises(WavekitError, match="6×11 pixels; the network was made for 8×8"):
        perceptron(x, torch.zeros(2))
    assert convolutional(x, torch.zeros(2)).shape == (2, 3, 6, 11)


@KINDS
def test_networks_are_made_and_traced_on_the_meta_device(make):
    with torch.device("meta"):
        network = make((7, 5), classes=3, condition_channels=1)
        x = torch.empty(4, 2, 7, 5)
        y = network(x, torch.empty(4), torch.empty(4, dtype=torch.long), x[:, :1])
    assert y.is_meta
    assert y.shape == (4, 3, 7, 5)
    network.to_empty(device="cpu")
    reference = moved(make((7, 5), classes=3, condition_channels=1))
    network.load_state_dict(reference.state_dict())
    x, noise = inputs(network)
    assert torch.equal(network(x, noise, None, x[:, :1]), reference(x, noise, None, x[:, :1]))


@KINDS
def test_autocast_to_bfloat16_changes_little(make):
    network = moved(make(classes=3))
    x, noise = inputs(network)
    exact = network(x, noise, torch.tensor([0, 1, 2, -1, 0]))
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(x, noise, torch.tensor([0, 1, 2, -1, 0]))
        rough.float().square().mean().backward()
    assert (rough - exact).norm() < 0.05 * exact.norm()
    assert all(
        p.grad is None or (p.grad.isfinite().all() and p.grad.dtype == torch.float32) for p in network.parameters()
    )


@KINDS
def test_an_empty_batch_gives_an_empty_batch(make):
    network = make(classes=3)
    assert network(torch.zeros(0, 2, 8, 8), torch.zeros(0), torch.zeros(0, dtype=torch.long)).shape == (0, 3, 8, 8)


@KINDS
def test_dropout_acts_in_training_alone(make):
    network = moved(make(dropout=0.5))
    x, noise = inputs(network)
    assert not torch.equal(network(x, noise), network(x, noise))
    network.eval()
    assert torch.equal(network(x, noise), network(x, noise))


@KINDS
def test_a_copy_gives_the_same(make):
    network = moved(make())
    assert torch.equal(copy.deepcopy(network)(*inputs(network)), network(*inputs(network)))


@pytest.mark.long
@KINDS
def test_a_network_is_one_graph_to_torch_compile(make):
    network = moved(make(classes=3, condition_channels=1))
    x, noise = inputs(network)
    labels = torch.tensor([0, 2, -1, 1, 0])
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, noise, labels, x[:, :1]), network(x, noise, labels, x[:, :1]))
