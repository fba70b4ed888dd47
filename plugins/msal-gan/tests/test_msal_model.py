"""The models: what they learn from, what they draw, where the critic looks."""

import functools
import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from wavekit_haar import Haar
from wavekit_msal_gan import MSAL, OL, SL
from wavekit_msal_gan.adversarial import VARIANTS
from wavekit_msal_gan.similarity import ssim

from wavekit_core.cascade import Cascade
from wavekit_core.errors import PluginError, RecipeError, SpaceError
from wavekit_core.kinds import Batch, DetailSpace, Generator, Scales
from wavekit_core.pyramid import Pyramid
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets.scales import approximations, finer

torch.set_num_threads(1)
IMAGE = ImageSpace(2, 8, 12)
TRANSFORM = Haar(levels=2)
SPACE = TRANSFORM.target(IMAGE)
DETAILS = DetailSpace(SPACE, (2, 1))
SMALL = functools.partial(MSAL, width=4, depth=1)


class Grey(Generator):
    """Draws the middle of its space."""

    def __init__(self, space: ImageSpace):
        super().__init__()
        self.space = space

    def sample(self, count, labels=None):
        return torch.full((count, *self.space.shape), (self.space.low + self.space.high) / 2)


def scales(count: int = 4, space: DetailSpace = DETAILS, seed: int = 0, gain: float = 1.0) -> Scales:
    torch.manual_seed(seed)
    pyramid = TRANSFORM(gain * torch.rand(count, *IMAGE.shape))
    found = approximations(pyramid)
    details = tuple(pyramid.details[SPACE.levels - level] for level in space.levels)
    return Scales(tuple(found[level] for level in space.levels), details, space)


def trained(model: nn.Module) -> nn.Module:
    """The model with other weights than those that give no details."""
    torch.manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return model


def fits(model, batch: Batch, name: str, steps: int) -> list[float]:
    objective = next(one for one in model.objectives() if one.name == name)
    optimizer = objective.optimizer(list(objective.parameters))
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = objective.loss(batch).value
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("make", [SMALL, functools.partial(SL, width=4), functools.partial(OL, hidden=4, layers=1)])
def test_details_are_drawn_scale_by_scale_and_make_an_image(make):
    if make.func is OL:
        pytest.importorskip("neuralop")
    cascade = trained(Cascade(SPACE, Grey, make)).eval()
    with torch.no_grad():
        pyramid = cascade.sample(3)
    assert SPACE.holds(pyramid, 3)
    assert TRANSFORM.inverse(pyramid).shape == (3, *IMAGE.shape)
    if make.func is MSAL:
        return
    stage, approx = cascade.stage_of(2), pyramid.approx
    with torch.no_grad():  # Algorithm 2, by hand
        torch.testing.assert_close(pyramid.details[0], stage.draw(approx, 2))
        torch.testing.assert_close(pyramid.details[1], stage.draw(finer(SPACE, 2, approx, pyramid.details[0]), 1))


def test_one_network_serves_all_scales_or_each_has_its_own():
    shared, separate = (Cascade(SPACE, Grey, SMALL, share_scales=share) for share in (True, False))
    assert shared.stage_of(1) is shared.stage_of(2)
    assert [stage.space.levels for stage in separate.stages] == [(2,), (1,)]
    assert not {id(p) for p in separate.stage_of(1).parameters()} & {id(p) for p in separate.stage_of(2).parameters()}
    count = [sum(p.numel() for p in one.stages[0].network.parameters()) for one in (shared, separate)]
    assert count[0] == count[1]
    assert [o.name for o in shared.objectives()] == ["detail-details", "detail-critic"]
    assert [o.name for o in separate.objectives()] == [
        *("detail2-details", "detail2-critic", "detail1-details", "detail1-critic")
    ]


def test_the_squared_error_of_details_is_four_thirds_of_the_images():
    data = Batch(scales(), None)
    image = trained(SL(DETAILS, width=4, depth=1))
    details = SL(DETAILS, width=4, depth=1, loss_domain="details")
    details.load_state_dict(image.state_dict())
    torch.testing.assert_close(details.loss(data).terms["mse"], image.loss(data).terms["mse"] * 4 / 3)


def test_losses_are_sums_over_the_levels_of_what_they_name():
    model, data = trained(SL(DETAILS, width=4, depth=1, fidelity=3.0, ssim=0.5)), scales()
    loss = model.loss(Batch(data, None))
    mse, similarity = [], []
    for level, approx, details in zip((2, 1), data.approximations, data.details, strict=True):
        span = 2.0 ** (level - 1)  # Haar's approximations of images in [0, 1] are in [0, 2^level]
        true, drawn = (finer(SPACE, level, approx, d) / span for d in (details, model.draw(approx, level)))
        mse.append((true - drawn).square().mean())
        similarity.append(ssim(true, drawn).mean())
    torch.testing.assert_close(loss.terms["mse"], sum(mse) / 2)
    torch.testing.assert_close(loss.terms["ssim"], sum(similarity) / 2)
    torch.testing.assert_close(loss.value, 3 * sum(mse) + 0.5 * (2 - sum(similarity)))


def test_the_network_sees_augmented_approximations_and_learns_the_true_ones():
    data = scales()
    noisy = tuple(a + torch.randn_like(a) for a in data.approximations)
    model = trained(SL(DETAILS, width=4, depth=1))
    loss = model.loss(Batch(Scales(data.approximations, data.details, DETAILS, noisy), None))
    expected = []
    for level, approx, given, details in zip((2, 1), data.approximations, noisy, data.details, strict=True):
        true, drawn = (finer(SPACE, level, approx, d) / 2 ** (level - 1) for d in (details, model.draw(given, level)))
        expected.append((true - drawn).square().mean())
    torch.testing.assert_close(loss.terms["mse"], sum(expected) / 2)
    assert float(loss.value.detach()) != float(model.loss(Batch(data, None)).value.detach())


def test_the_generator_pays_alpha_times_the_critics_term():
    data = Batch(scales(), None)
    values = {}
    for alpha in (0.0, 0.1, 0.3):
        torch.manual_seed(3)
        model = trained(SMALL(DETAILS, alpha=alpha or 1e-30, critic="wgan-gp"))
        torch.manual_seed(4)
        loss = model.loss(data)
        values[alpha] = float(loss.value.detach())
        term = float(loss.terms["adversarial"])
    assert abs(values[0.1] - values[0.0] - 0.1 * 2 * term) < 1e-5  # the term is a mean over two levels
    assert abs(values[0.3] - values[0.0] - 0.3 * 2 * term) < 1e-5


def test_the_generators_loss_moves_no_critic_and_the_critics_no_generator():
    model, data = trained(SMALL(DETAILS, r1_every=1)), Batch(scales(), None)
    generator, critic = model.objectives()
    generator.loss(data).value.backward()
    assert all(p.grad is None for p in model.critic.parameters())
    assert all(p.grad is not None for p in model.network.parameters())
    model.zero_grad()
    critic.loss(data).value.backward()
    assert all(p.grad is None for p in model.network.parameters())
    assert all(p.grad is not None for p in model.critic.parameters())


def test_alpha_zero_has_no_critic():
    model = SMALL(DETAILS, alpha=0.0)
    assert model.critic is None
    assert [(one.name, one.every) for one in model.objectives()] == [("details", 1)]
    assert "adversarial" not in model.loss(Batch(scales(), None)).terms


def test_a_critic_can_look_at_the_finest_level_alone():
    coarse, fine = (SMALL(DetailSpace(SPACE, (level,)), critic_levels=[1]) for level in (2, 1))
    assert coarse.critic is None
    assert fine.critic is not None
    both, data = trained(SMALL(DETAILS, critic_levels=(1,), noise_channels=0, r1_every=1000)), scales()
    seen = []
    both.critic.register_forward_pre_hook(lambda module, given: seen.append(tuple(given[0].shape[-2:])))
    both.critic_loss(Batch(data, None))
    assert set(seen) == {(8, 12)}
    with pytest.raises(SpaceError, match="critic_levels has level 3, and the pyramid has levels 1 to 2"):
        SMALL(DETAILS, critic_levels=[1, 3])


def test_how_often_each_is_trained_follows_the_critic_and_can_be_set():
    def often(**given):
        return tuple(one.every for one in SMALL(DETAILS, **given).objectives())

    assert often() == often(critic="hinge") == (1, 1)
    assert often(critic="wgan-gp") == often(critic="wgan-clip") == (5, 1)
    assert often(critic="paper-sigmoid") == (1, 4)
    assert often(critic="wgan-gp", generator_every=2, critic_every=3) == (2, 3)


@pytest.mark.parametrize("critic", VARIANTS)
@pytest.mark.parametrize("gain", [0.0, 1.0, 1e4])
def test_losses_and_gradients_are_finite_whatever_comes(critic, gain):
    torch.manual_seed(0)
    model = SMALL(DETAILS, critic=critic, r1_every=1, noise_in_blocks=True)
    for objective in model.objectives():
        loss = objective.loss(Batch(scales(gain=gain), None))
        loss.value.backward()
        assert all(torch.isfinite(value) for value in (loss.value, *loss.terms.values()))
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("critic", ["nonsat+R1", "hinge"])
def test_losses_are_nearly_the_same_in_bfloat16(critic):
    data, model = Batch(scales(), None), trained(SMALL(DETAILS, critic=critic, r1_every=1))
    for objective in model.objectives():
        torch.manual_seed(0)
        exact = float(objective.loss(data).value.detach())
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16):
            loss = objective.loss(data)
        loss.value.backward()
        assert abs(float(loss.value.detach()) - exact) < 0.05 * abs(exact)
        assert loss.value.dtype == torch.float32


@pytest.mark.parametrize("critic", VARIANTS)
def test_the_cost_of_a_step_is_known_without_data(critic):
    space = DetailSpace(SPACE, (1,))
    with torch.device("meta"):
        model = SMALL(space, critic=critic, r1_every=1)
        for objective in model.objectives():
            with FlopCounterMode(display=False) as counter:
                objective.loss(Batch(space.unflatten(torch.zeros(4, space.numbers)), None)).value.backward()
            assert counter.get_total_flops() > 1e5


def test_a_regression_learns_details_that_follow_from_the_approximation():
    torch.manual_seed(0)
    space = DetailSpace(Haar(levels=1).target(ImageSpace(1, 8, 8)), (1,))
    approx = 2 * torch.rand(16, 1, 4, 4)
    ramp = (approx.roll(1, -1) - approx.roll(-1, -1)) / 8
    data = Batch(Scales((approx,), (torch.stack([ramp, -ramp, 0 * ramp], 2),), space), None)
    for model in (SL(space, width=8, depth=1, lr=2e-2), SMALL(space, alpha=0.0, ssim=0.0, lr=2e-2, noise_channels=0)):
        losses = fits(model, data, "details", 30)
        assert losses[-1] < 0.25 * losses[0]


def test_a_critic_learns_to_tell_smooth_images_from_others():
    torch.manual_seed(0)
    model = SMALL(DETAILS, critic="hinge", critic_lr=2e-2)  # a new generator gives no details
    losses = fits(model, Batch(scales(8), None), "critic", 30)
    assert losses[0] > 3.5  # 2 a level at scores of 0
    assert losses[-1] < 0.5 * losses[0]


def test_noise_makes_draws_differ_and_without_it_they_are_the_same():
    approx = scales().approximations[0]
    with torch.no_grad():
        for noise, differ in ((None, True), (0, False)):
            model = trained(SMALL(DETAILS, noise_channels=noise)).eval()
            assert torch.equal(model.draw(approx, 2), model.draw(approx, 2)) is not differ


def test_a_model_without_any_loss_on_details_is_refused():
    with pytest.raises(RecipeError, match="weights of squared error and similarity are both 0"):
        SMALL(DETAILS, fidelity=0.0, ssim=0.0)


def test_a_missing_library_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "neuralop.models", None)
    with pytest.raises(PluginError, match=r"neuraloperator.*pip install"):
        OL(DETAILS)


def test_the_operator_keeps_at_most_the_frequencies_that_there_are():
    pytest.importorskip("neuralop")
    shapes = {tuple(p.shape[2:]) for p in OL(DETAILS, hidden=4, layers=1).parameters() if p.is_complex()}
    assert shapes == {(4, 6 // 2 + 1)}


def test_a_pyramid_of_drawn_details_keeps_its_approximation():
    cascade = Cascade(SPACE, Grey, SMALL).eval()
    pyramid = TRANSFORM(torch.rand(2, *IMAGE.shape))
    rebuilt = cascade.reconstruct(pyramid)
    assert isinstance(rebuilt, Pyramid)
    assert torch.equal(rebuilt.approx, pyramid.approx)
