"""Samplers as components: evaluations, guidance, classes, scaled data, previews, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from wavekit_core.diffusion.grids import GRIDS
from wavekit_core.diffusion.samplers import DDIM, Ancestral, DPMpp2M, FlowODE, Heun, ReverseSDE
from wavekit_core.errors import RecipeError
from wavekit_core.spaces import ImageSpace
from wavekit_core.testing.known import GaussianDenoiser, gaussian_denoiser

EVERY = [
    (ReverseSDE, {}),
    (Ancestral, {"variance": "small"}),
    (DDIM, {"eta": 0.5}),
    (Heun, {}),
    (DPMpp2M, {}),
    *((FlowODE, {"method": method}) for method in ("euler", "midpoint", "heun", "rk4")),
]
SPACE = ImageSpace(1, 2, 2, low=-100.0, high=100.0)
every = pytest.mark.parametrize(("kind", "arguments"), EVERY, ids=[f"{k.__name__}{list(a.values())}" for k, a in EVERY])


class Counting(GaussianDenoiser):
    """How many elements its network has seen, and at which σ."""

    def denoise(self, x, sigma, labels=None):
        self.seen = [*getattr(self, "seen", []), (len(x), sigma.unique().tolist(), labels)]
        return super().denoise(x, sigma, labels)


class Classless(GaussianDenoiser):
    classes = 0

    def denoise(self, x, sigma, labels=None):
        assert labels is None
        return super().denoise(x, sigma)


@every
@pytest.mark.parametrize("guidance", [0.0, 2.0])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_evaluations_are_those_that_a_model_counts(kind, arguments, guidance, steps):
    model = Counting(SPACE)
    sampler = kind(steps=steps, guidance=guidance, **arguments)
    sampler.sample(model, 3, torch.tensor([0, 1, -1]))
    assert sum(count for count, *_ in model.seen) == 3 * sampler.evaluations
    assert len(model.seen) == sampler.stages  # both parts of guidance in one batch


@every
@pytest.mark.parametrize("grid", list(GRIDS))
@pytest.mark.parametrize("data_scale", [0.5, 1.0, 2.0])
def test_a_model_is_asked_for_sigmas_up_to_its_largest(kind, arguments, grid, data_scale):
    model = Counting(SPACE)
    kind(steps=5, grid=grid, data_scale=data_scale, **arguments).sample(model, 2)
    low, high = model.sigmas
    asked = [sigma for _, (sigma,), _ in model.seen]
    assert max(asked) == pytest.approx(high if data_scale <= 1 else high / data_scale, rel=1e-6)
    assert min(asked) > 0
    if grid in ("karras", "log-snr") and kind is not FlowODE:
        assert min(asked) >= low * (1 - 1e-6)


@every
def test_without_labels_no_class_is_asked_for(kind, arguments):
    model = Counting(SPACE)
    kind(steps=2, guidance=3.0, **arguments).sample(model, 2)
    assert all(count == 2 and labels.tolist() == [-1, -1] for count, _, labels in model.seen)
    made = kind(steps=2, **arguments).sample(Classless(SPACE), 2, torch.tensor([0, 1]))
    assert made.shape == (2, *SPACE.shape)


@pytest.mark.parametrize("guidance", [0.0, 1.0])
def test_classes_have_their_means_and_guidance_moves_them_apart(guidance):
    """For Gaussian classes of one covariance, D_u + (1 + g) (D_c − D_u) is the denoiser of that covariance with the mean
    μ + (1 + g) (μ_c − μ): exact."""
    known = gaussian_denoiser()
    labels = torch.arange(4000) % 2
    torch.manual_seed(0)
    drawn = SPACE.flatten(Heun(steps=16, guidance=guidance).sample(known.model, 4000, labels))
    for label, mean in enumerate(known.class_means):
        wanted = known.mean + (1 + guidance) * (mean - known.mean)
        errors = (known.covariance.diagonal() / 2000).sqrt()
        assert float(((drawn[labels == label].mean(0) - wanted) / errors).abs().max()) < 5


def test_the_scale_of_data_is_a_change_of_units():
    """Data that are s times as large, drawn with 1 / s, are the data: what a sampler does is the same up to units."""
    model = Classless(SPACE)

    class Larger(Classless):
        """Data three times as large."""

        sigmas = (0.006, 240.0)

        def denoise(self, x, sigma, labels=None):
            return 3 * super().denoise(x / 3, sigma / 3)

        def finished(self, x):
            return super().finished(x / 3)

    for kind, arguments in EVERY:
        made = []
        for one, scale in ((model, 3.0), (Larger(SPACE), 1.0)):
            torch.manual_seed(1)
            sampler = kind(steps=6, grid="quadratic", data_scale=scale, **arguments)
            sampler.sigmas = lambda *span: GRIDS["quadratic"](6, 0.01, 100.0)
            made.append(sampler.sample(one, 5))
        torch.testing.assert_close(*made, rtol=1e-4, atol=1e-4)


@every
def test_previews_are_in_units_of_the_data(kind, arguments):
    known, seen = gaussian_denoiser(), []
    sampler = kind(steps=40, data_scale=2.0, **arguments)
    made = sampler.sample(known.model, 6, callback=lambda *step: seen.append(step))
    assert [step for step, *_ in seen] == list(range(40))
    for _, sigma, x, denoised in seen:
        level = torch.full((6,), sigma)
        torch.testing.assert_close(denoised, known.model.denoise(x, level), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(known.model.finished(seen[-1][3]), made, rtol=0, atol=0.5)


def test_a_class_that_the_model_does_not_know_is_named():
    with pytest.raises(RecipeError, match=r"classes from 0 to 7 are asked for; the model knows 0 to 1; ask for those"):
        Heun(steps=1).sample(gaussian_denoiser().model, 2, torch.tensor([0, 7]))


def test_guidance_is_refused_where_there_are_no_classes():
    model = Classless(SPACE)
    assert Heun().refuses(model) is None
    reason = Heun(guidance=1.5).refuses(model)
    assert reason.startswith(
        "guidance 1.5 goes from what no class asks for to what one does, and Classless knows no classes"
    )


@pytest.mark.parametrize("data_scale", [1e-5, 1e5])
def test_a_scale_of_data_out_of_the_models_range_is_refused(data_scale):
    reason = Heun(data_scale=data_scale).refuses(Classless(SPACE))
    assert reason.startswith(
        f"data_scale {data_scale:g} leaves no noise level that Classless, trained for σ from 0.002 to 80,"
    )


def test_no_element_is_drawn_if_none_is_asked_for():
    model = Counting(SPACE)
    for labels in (None, torch.empty(0, dtype=torch.int64)):
        assert Heun(steps=2, guidance=1.0).sample(model, 0, labels).shape == (0, *SPACE.shape)


@pytest.mark.parametrize(
    "arguments", [{"steps": 0}, {"grid": "cosine"}, {"guidance": -0.5}, {"data_scale": 0.0}, {"steps": True}]
)
def test_parameters_have_bounds(arguments):
    with pytest.raises(ValidationError):
        Heun(**arguments)


@every
def test_a_network_of_low_precision_is_followed_in_the_precision_of_x(kind, arguments):
    class Coarse(Classless):
        def denoise(self, x, sigma, labels=None):
            assert x.dtype == sigma.dtype == torch.float32
            return super().denoise(x, sigma).bfloat16()

    made = kind(steps=8, **arguments).sample(Coarse(SPACE), 4)
    assert made.dtype == torch.float32
    assert bool(made.isfinite().all())


@pytest.mark.parametrize("device", ["meta", "cuda"])
@every
def test_samples_are_made_where_the_model_is(kind, arguments, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    model, sampler = GaussianDenoiser(SPACE).to(device), kind(steps=4, guidance=1.0, **arguments)
    assert sampler.sample(model, 4).device.type == device
    if device == "cuda":
        assert bool(sampler.sample(model, 4, torch.tensor([0, 1, 0, 1])).isfinite().all())
