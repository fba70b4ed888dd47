"""The noise scales: their shapes, units, groups, and that everything takes them."""

import pytest
import torch
from wavekit_haar import Haar
from wavekit_wvae import DetailL1, GaussianKL, LaplaceKL, PosteriorFit, Prior, Reconstruct, WaveletVAE

from wavekit_core.kinds import Batch
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)
SPACE = ImageSpace(2, 8, 8)
ALL = ["global", "approx+detail", "per-level", "per-band", "per-coefficient", "amortised"]


def model_of(noise: str, **options) -> WaveletVAE:
    torch.manual_seed(0)
    return WaveletVAE(SPACE, Haar(levels=2), [LaplaceKL, GaussianKL, DetailL1], noise=noise, width=8, **options)


def images(count: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 2, 4, 4, generator=generator).repeat_interleave(2, -1).repeat_interleave(2, -2)


@pytest.mark.parametrize("form", ["softplus", "log"])
@pytest.mark.parametrize("noise", ALL)
def test_every_scale_starts_where_it_is_told(noise, form):
    model = model_of(noise, noise_init=0.05, noise_form=form)
    state = model.encode(images(3))
    for name, s in state.scale.items():
        torch.testing.assert_close(s.detach(), torch.full(s.shape, 0.05), atol=1e-6, rtol=1e-5)
        shape = state.mean[name].shape
        assert torch.broadcast_shapes(s.shape, shape) == shape
        expected = {"per-coefficient": (1, *shape[1:]), "amortised": shape}.get(noise, (1, 1, 1, 1))
        assert s.shape == expected


@pytest.mark.parametrize("noise", ALL)
def test_units_are_the_bands_standard_deviations(noise):
    model = model_of(noise, noise_init=0.1, noise_unit="band", noise_fixed=noise == "per-band")
    data = images(60)
    model.fit(lambda: iter([Batch(part) for part in data.split(20)]))
    state = model.encode(data[:3])
    for name, band in model.transform(data).bands().items():
        deviation = band.std(correction=0).item()
        expected = 0.1 * deviation if deviation > 1e-6 else 0.1  # these images have nothing in the finest details
        assert state.scale[name].mean().item() == pytest.approx(expected, rel=1e-3)
    assert {f"noise/{group}" for group in model.noise.groups} <= set(model.loss(Batch(data)).terms)
    again = model_of(noise, noise_init=0.1, noise_unit="band", noise_fixed=noise == "per-band")
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.noise.units, model.noise.units)


def test_groups_are_logged_by_name():
    model = model_of("per-level", noise_init=0.2)
    with torch.no_grad():
        model.noise.scale.rho[0].fill_(0.0)  # softplus(0) = log 2
    terms = model.loss(Batch(images(4))).terms
    scales = {name: term.item() for name, term in terms.items() if name.startswith("noise/")}
    assert scales == pytest.approx({"noise/approx": 0.69325, "noise/level-2": 0.2, "noise/level-1": 0.2}, rel=1e-4)


def test_amortised_noise_learns_to_differ_from_image_to_image():
    """Under the bound s follows the likelihood's pull: larger where the decoder's output matters less."""
    model = model_of("amortised")
    data = images(8)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(10):
        optimizer.zero_grad()
        model.loss(Batch(data)).value.backward()
        optimizer.step()
    scale = model.encode(data).scale["cH1"]
    assert scale.std(0).max() > 1e-4
    assert scale.shape == (8, 2, 4, 4)


@pytest.mark.parametrize("noise", ["global", "per-coefficient", "amortised"])
@pytest.mark.parametrize("sampler", [Prior, PosteriorFit])
def test_samplers_take_scales_of_every_shape(noise, sampler):
    torch.manual_seed(0)
    model = WaveletVAE(SPACE, Haar(levels=2), [LaplaceKL, GaussianKL], noise=noise, width=8)
    made = sampler()
    assert made.refuses(model) is None
    made.fit(model, lambda: iter([Batch(images(60))]))
    drawn = made.sample(model, 5)
    assert drawn.shape == (5, 2, 8, 8)
    assert torch.isfinite(drawn).all()


@pytest.mark.parametrize("noise", ["global", "per-coefficient", "amortised"])
def test_penalties_are_the_same_whatever_shape_a_scale_has(noise):
    """Scales that all are 0.05 cost what a plain 0.05 costs."""
    model = model_of(noise, noise_init=0.05)
    state = model.encode(images(3))
    plain = model_of("global", noise_init=0.05)
    for mine, other in zip(model.regularizers, plain.regularizers, strict=True):
        wide = type(state)(state.mean, dict.fromkeys(state.mean, torch.tensor(0.05)), state.sample, state.space)
        torch.testing.assert_close(mine.penalty(state), other.penalty(wide), rtol=1e-5, atol=1e-4)


def test_reconstruct_decodes_a_sample_of_the_posterior_or_its_mean():
    torch.manual_seed(0)
    model = WaveletVAE(SPACE, Haar(levels=2), residual_dwt=True, noise_init=0.05, noise_fixed=True, width=8)
    data = 0.3 + 0.4 * images(400)
    noisy = Reconstruct().reconstruct(model, data)
    assert (noisy - data).square().mean().item() == pytest.approx(0.05**2, rel=0.02)
    torch.testing.assert_close(Reconstruct(noise=False).reconstruct(model, data), data, atol=1e-5, rtol=0)
    assert not Reconstruct().samples
    with pytest.raises(TypeError, match="draws nothing new"):
        Reconstruct().sample(model, 3)
    wide = model.reconstruct(3 * data)
    assert wide.max() > 1  # and yet:
    assert Reconstruct().reconstruct(model, 3 * data).max() == 1
