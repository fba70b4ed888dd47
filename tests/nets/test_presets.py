"""Networks by name: their sizes, and how they follow the image's."""

import pytest
import torch

from wavekit_core.errors import RecipeError
from wavekit_core.nets import MLP, UNet, make_network
from wavekit_core.nets.presets import levels


def parameters(*args, **more) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in make_network(*args, **more).parameters())


def test_the_papers_network_has_the_parameters_of_improved_ddpm():
    """52,546,438 with the six outputs of a learnt variance, as its release counts; "52.5 M" either way."""
    assert parameters("paper", 3, 6, (32, 32)) == 52_546_438
    assert parameters("paper", 3, 3, (32, 32)) == pytest.approx(52.5e6, rel=1e-3)


@pytest.mark.parametrize(
    ("side", "wanted"), [(4, (1,)), (7, (1, 2)), (16, (1, 2, 2)), (32, (1, 2, 2)), (64, (1, 2, 2, 2))]
)
def test_levels_follow_the_size(side, wanted):
    assert levels((side, side), (1, 2, 2)) == wanted


@pytest.mark.parametrize(("size", "kind"), [((8, 8), MLP), ((7, 5), MLP), ((9, 8), UNet), ((28, 28), UNet)])
def test_auto_is_an_mlp_at_8_pixels_and_below(size, kind):
    assert type(make_network("auto", 1, 1, size)) is kind


@pytest.mark.parametrize("preset", ["tiny", "small", "paper", "mlp"])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (7, 7), (36, 20)])
def test_every_preset_fits_every_size(preset, size):
    with torch.device("meta"):
        network = make_network(preset, 2, 3, size, classes=4, condition_channels=1)
        x = torch.empty(2, 2, *size)
        assert network(x, torch.empty(2), None, x[:, :1]).shape == (2, 3, *size)


def test_tiny_has_hundreds_of_thousands_of_parameters_and_small_millions():
    assert 200_000 < parameters("tiny", 1, 1, (32, 32)) < parameters("tiny", 1, 1, (16, 16)) < 1_100_000
    assert 4_000_000 < parameters("small", 3, 3, (32, 32)) < 6_000_000


def test_width_replaces_that_of_the_preset():
    assert parameters("tiny", 1, 1, (16, 16), width=16) < parameters("tiny", 1, 1, (16, 16)) / 3


def test_an_unknown_name_is_refused():
    with pytest.raises(RecipeError, match="no network 'large'; the networks are auto, tiny"):
        make_network("large", 1, 1, (8, 8))  # type: ignore[arg-type]
