"""The losses against closed forms: similarity, unit ranges, the five games, gradient penalties."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure
from wavekit_bior import Bior
from wavekit_haar import Haar
from wavekit_msal_gan.adversarial import VARIANTS, ClippedRMSprop, clipped_groups, frozen, gradient_penalty, r1
from wavekit_msal_gan.critic import Critic
from wavekit_msal_gan.similarity import ssim
from wavekit_msal_gan.units import Units

from wavekit_core.kinds import DetailSpace
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets.scales import approximations, range_of

torch.set_num_threads(1)


class Linear(nn.Module):
    """A critic ⟨w, x⟩ + c, whose gradient is w everywhere."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.w, self.c = nn.Parameter(torch.randn(shape)), nn.Parameter(torch.randn(()))

    def forward(self, x):
        return (x * self.w).sum((1, 2, 3)) + self.c


@pytest.mark.parametrize(("channels", "size", "window"), [(1, (16, 16), 11), (3, (12, 21), 11), (2, (8, 9), 7)])
def test_similarity_is_that_of_torchmetrics(channels, size, window):
    torch.manual_seed(0)
    a = torch.rand(4, channels, *size, dtype=torch.float64)
    b = (a + 0.2 * torch.randn_like(a)).clamp(0, 1)
    _, centres = structural_similarity_index_measure(
        a, b, sigma=1.5 * window / 11, kernel_size=window, data_range=1.0, reduction="none", return_full_image=True
    )
    edge = window // 2
    expected = centres[..., edge : size[0] - edge, edge : size[1] - edge].mean((1, 2, 3))
    torch.testing.assert_close(ssim(a, b), expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(ssim(a.float(), b.float()), expected.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 3), (16, 16)])
def test_similarity_of_equal_images_is_one_and_any_other_is_below(size):
    torch.manual_seed(0)
    a, b = torch.rand(3, 2, *size), torch.rand(3, 2, *size)
    torch.testing.assert_close(ssim(a, a), torch.ones(3))
    assert (ssim(a, b) < 1).all()
    torch.testing.assert_close(ssim(a, b), ssim(b, a))


def test_similarity_has_gradients_even_of_flat_and_of_huge_images():
    for value in (0.0, 1.0, 1e3):
        a = torch.full((2, 1, 12, 12), value, requires_grad=True)
        out = ssim(a, torch.rand(2, 1, 12, 12))
        out.sum().backward()
        assert torch.isfinite(out).all()
        assert torch.isfinite(a.grad).all()


IMAGES = st.integers(0, 2**32 - 1).flatmap(
    lambda seed: st.sampled_from(["noise", "binary", "checks", "edges"]).map(lambda kind: (seed, kind))
)


def image_of(seed: int, kind: str) -> torch.Tensor:
    made = torch.Generator().manual_seed(seed)
    noise = torch.rand(2, 3, 16, 24, generator=made, dtype=torch.float64)
    if kind == "noise":
        return noise
    if kind == "binary":
        return noise.round()
    if kind == "checks":
        return ((torch.arange(16)[:, None] + torch.arange(24)) % 2 == seed % 2).double().expand(2, 3, 16, 24)
    return (torch.arange(24) < seed % 25).double().expand(2, 3, 16, 24)


def of_range(share: torch.Tensor, space: PyramidSpace, level: int) -> torch.Tensor:
    low, high = range_of(space, level)
    return low + (high - low) * share


@settings(max_examples=20, deadline=None)
@given(IMAGES, st.sampled_from([Haar, Bior]), st.integers(1, 3), st.sampled_from([(0.0, 1.0), (-1.0, 1.0)]))
def test_unit_ranges_hold_every_image_so_that_a_tanh_clips_nothing(made, family, levels, ends):
    low, high = ends
    images = low + (high - low) * image_of(*made)
    transform = family(levels=levels) if family is Haar else family(levels=levels, wavelet="bior2.2")
    pyramid = transform(images)
    space = transform.target(ImageSpace(3, 16, 24, low, high))
    units, found = Units(DetailSpace(space, tuple(range(levels, 0, -1)))), approximations(pyramid)
    for level, details in zip(range(levels, 0, -1), pyramid.details, strict=True):
        packed = units.packed(details, level)
        assert packed.shape == (2, 9, *details.shape[-2:])
        assert float(packed.abs().max()) <= 1 + 1e-9
        assert float(units.approx(found[level], level).abs().max()) <= 1 + 1e-9
        torch.testing.assert_close(units.details(packed, level), details)
        finer = units.image(found[level], packed, level)
        assert -1e-9 <= float(finer.min()) <= float(finer.max()) <= 1 + 1e-9
        expected = images if level == 1 else found[level - 1]
        torch.testing.assert_close(of_range(finer, space, level - 1), expected)


def test_packed_details_are_band_after_band_each_with_its_colours():
    space = DetailSpace(Haar(levels=1).target(ImageSpace(2, 4, 4)), (1,))
    details = torch.zeros(1, 2, 3, 2, 2)
    details[0, 1, 2] = 1.0  # the second colour of HH
    assert Units(space).packed(details, 1)[0, :, 0, 0].tolist() == [0, 0, 0, 0, 0, 1]


def test_generators_and_critics_minimise_the_published_losses():
    real, fake = torch.tensor([0.3, -2.0]), torch.tensor([1.5, -0.4])
    sigmoid = torch.sigmoid
    expected = {
        "nonsat+R1": (-sigmoid(fake).log().mean(), -(sigmoid(real).log() + (1 - sigmoid(fake)).log()).mean()),
        "wgan-gp": (torch.tensor(-0.55), torch.tensor(0.55 + 0.85)),
        "wgan-clip": (torch.tensor(-0.55), torch.tensor(0.55 + 0.85)),
        "hinge": (torch.tensor(-0.55), torch.tensor((0.7 + 3.0) / 2 + (2.5 + 0.6) / 2)),
        "paper-sigmoid": (-sigmoid(fake).mean(), (sigmoid(fake).mean() - sigmoid(real).mean()) / 2),
    }
    assert set(expected) == set(VARIANTS)
    for name, (generator, critic) in expected.items():
        torch.testing.assert_close(VARIANTS[name].generator(fake), generator)
        torch.testing.assert_close(VARIANTS[name].critic(real, fake), critic)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_generator_wants_higher_scores_and_a_critic_lower_ones_for_fakes(name):
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    (wanted,) = torch.autograd.grad(VARIANTS[name].generator(fake), fake)
    of_real, of_fake = torch.autograd.grad(VARIANTS[name].critic(real, fake), (real, fake))
    assert (wanted < 0).all()
    assert (of_real < 0).all()
    assert (of_fake > 0).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_losses_are_finite_at_extreme_scores(name):
    for value in (-1e6, 0.0, 1e6):
        real, fake = torch.full((2,), -value, requires_grad=True), torch.full((2,), value, requires_grad=True)
        loss = VARIANTS[name].generator(fake) + VARIANTS[name].critic(real, fake)
        assert torch.isfinite(loss)
        assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, (real, fake)))


def test_penalties_of_a_linear_critic_are_known():
    torch.manual_seed(0)
    critic, real, fake = Linear((2, 3, 3)), torch.randn(5, 2, 3, 3), torch.randn(5, 2, 3, 3)
    pairs = (
        (r1(critic, real, 0.7), 0.35 * critic.w.square().sum()),
        (gradient_penalty(critic, real, fake, 10.0), 10 * (critic.w.square().sum().sqrt() - 1).square()),
    )
    for found, expected in pairs:
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(*(torch.autograd.grad(one, critic.w)[0] for one in (found, expected)))


def test_penalties_of_a_quadratic_critic_are_those_at_their_points():
    torch.manual_seed(0)
    real, fake = torch.randn(6, 1, 2, 2), torch.randn(6, 1, 2, 2)

    def critic(x):
        return x.square().sum((1, 2, 3)) / 2  # its gradient is x

    torch.testing.assert_close(r1(critic, real, 2.0), real.square().sum((1, 2, 3)).mean())
    torch.manual_seed(1)
    found = gradient_penalty(critic, real, fake, 3.0)
    torch.manual_seed(1)
    share = torch.rand(6, 1, 1, 1)
    between = share * real + (1 - share) * fake
    torch.testing.assert_close(found, 3 * (between.flatten(1).norm(dim=1) - 1).square().mean())


def test_a_lazy_penalty_keeps_its_mean():
    torch.manual_seed(0)
    critic, real = Linear((1, 2, 2)), torch.randn(2, 1, 2, 2)
    full = float(r1(critic, real, 1.0).detach())
    paid = torch.stack([r1(critic, real, 1.0, every=4).detach() for _ in range(2000)])
    assert sorted({round(value, 4) for value in paid.tolist()}) == [0, round(4 * full, 4)]
    share = float((paid > 0).double().mean())
    assert abs(share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 2000)


def test_a_frozen_critic_gives_gradients_to_images_alone():
    torch.manual_seed(0)
    critic, x = Critic(1, 4, 1, spectral=True), torch.randn(2, 1, 4, 4, requires_grad=True)
    scores = frozen(critic)(x)
    torch.testing.assert_close(scores, critic(x))
    scores.sum().backward()
    assert x.grad is not None
    assert x.grad.any()
    assert all(p.grad is None for p in critic.parameters())


def test_clipping_bounds_weights_and_leaves_gains():
    torch.manual_seed(0)
    critic = Critic(1, 4, 1, offset=False)
    optimizer = ClippedRMSprop(clipped_groups(critic, 0.01), lr=1.0)
    critic(torch.randn(2, 1, 4, 4)).sum().backward()
    before = {name: p.detach().clone() for name, p in critic.named_parameters()}
    plain = torch.optim.RMSprop([p for p in critic.parameters()], lr=1.0)
    optimizer.step()
    bounded = {name: p.detach().clone() for name, p in critic.named_parameters()}
    with torch.no_grad():
        for name, p in critic.named_parameters():
            p.copy_(before[name])
    plain.step()
    for name, p in critic.named_parameters():
        expected = p.clamp(-0.01, 0.01) if p.ndim > 1 else p
        torch.testing.assert_close(bounded[name], expected, msg=name)


def test_a_critic_with_spectral_norms_is_smooth():
    torch.manual_seed(0)
    critic = Critic(1, 8, 0, spectral=True).eval()
    a, b = torch.randn(64, 1, 8, 8), torch.randn(64, 1, 8, 8)
    with torch.no_grad():
        change = (critic(a) - critic(b)).abs() / (a - b).flatten(1).norm(dim=1)
    # the norm of a 3×3 convolution is at most 3 times that of its weight's matrix; a mean over 64 places gives 1/8
    assert float(change.max()) <= 3 / 8 * 1.1
    assert float(change.max()) > 0
