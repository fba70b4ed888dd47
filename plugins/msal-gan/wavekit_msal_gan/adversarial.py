"""The game between generator and critic in five variants: losses, gradient penalties, and what else each needs.

A critic C gives scores; a generator minimises `generator(C(fake))`, the critic `critic(C(real), C(fake))` and a penalty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Name = Literal["nonsat+R1", "wgan-gp", "wgan-clip", "hinge", "paper-sigmoid"]
Scores = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Variant:
    """The losses of scores (B,), each a scalar, with the variant's published settings."""

    generator: Callable[[Tensor], Tensor]
    critic: Callable[[Tensor, Tensor], Tensor]
    penalty: Literal["r1", "gradient penalty", None] = None
    spectral: bool = False
    clipped: bool = False
    dropout: float = 0.0
    generator_every: int = 1
    critic_every: int = 1
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)

    @property
    def wasserstein(self) -> bool:
        """Whether only differences of scores count."""
        return self.critic is _difference


def _difference(real: Tensor, fake: Tensor) -> Tensor:
    return fake.mean() - real.mean()


VARIANTS: dict[str, Variant] = {
    # Goodfellow et al. 2014, arXiv 1406.2661, section 3, with the penalty of Mescheder et al. 2018, arXiv 1801.04406, Eq. 9
    "nonsat+R1": Variant(
        generator=lambda fake: F.softplus(-fake).mean(),
        critic=lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
        penalty="r1",
        betas=(0.5, 0.9),
    ),
    # Gulrajani et al. 2017, arXiv 1704.00028, Eq. 3 and Algorithm 1
    "wgan-gp": Variant(
        generator=lambda fake: -fake.mean(),
        critic=_difference,
        penalty="gradient penalty",
        generator_every=5,
        betas=(0.0, 0.9),
    ),
    # Arjovsky et al. 2017, arXiv 1701.07875, Algorithm 1: S4's Eq. 22 with what keeps it bounded
    "wgan-clip": Variant(
        generator=lambda fake: -fake.mean(), critic=_difference, clipped=True, generator_every=5, lr=5e-5
    ),
    # Miyato et al. 2018, arXiv 1802.05957, Eq. 16 and 17
    "hinge": Variant(
        generator=lambda fake: -fake.mean(),
        critic=lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        spectral=True,
        betas=(0.0, 0.9),
    ),
    # the published code of S4: S4's Eq. 22 of squashed scores, halved, in every fourth step
    "paper-sigmoid": Variant(
        generator=lambda fake: -torch.sigmoid(fake).mean(),
        critic=lambda real, fake: (torch.sigmoid(fake).mean() - torch.sigmoid(real).mean()) / 2,
        dropout=0.5,
        critic_every=4,
        lr=1e-5,
    ),
}
assert tuple(VARIANTS) == get_args(Name)


def frozen(critic: nn.Module) -> Scores:
    """The critic as a function whose parameters get no gradients."""
    fixed = {name: p.detach() for name, p in critic.named_parameters()}
    return lambda images: torch.func.functional_call(critic, fixed, (images,))


@torch.compiler.disable  # second derivatives, and a decision
def r1(critic: Scores, real: Tensor, gamma: float, every: int = 1) -> Tensor:
    """γ/2 · E‖∇C(real)‖², gradients over all pixels of an image (Mescheder et al. 2018, Eq. 9).

    It is paid by one shard in `every`, drawn at random, and there times `every`, which costs less and keeps its mean (the lazy
    regularisation of Karras et al. 2020, arXiv 1912.04958, appendix B, without a count of steps).
    """
    if every > 1 and float(torch.rand((), device="cpu")) * every >= 1:
        return torch.zeros((), device=real.device)
    return every * gamma / 2 * _gradients(critic, real).square().sum((1, 2, 3)).mean()


@torch.compiler.disable
def gradient_penalty(critic: Scores, real: Tensor, fake: Tensor, weight: float) -> Tensor:
    """λ · E(‖∇C(x)‖ − 1)² at points between real and fake images (Gulrajani et al. 2017, Eq. 3)."""
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    gradients = _gradients(critic, torch.lerp(fake, real, share))
    return weight * (torch.linalg.vector_norm(gradients, dim=(1, 2, 3)) - 1).square().mean()


def _gradients(critic: Scores, images: Tensor) -> Tensor:
    """(B, C, h, w): the gradient of each image's score, which can be differentiated once more."""
    images = images.detach().requires_grad_(True)
    scores = critic(images.clone())  # torch's counter of FLOPs takes no leaf as input of a module here
    (gradients,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradients.float()


class ClippedRMSprop(torch.optim.RMSprop):
    """RMSprop that brings every parameter of a group back to [-clip, clip] after a step (Arjovsky et al. 2017, Algorithm 1)."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        clip_weights(self.param_groups)
        return loss


@torch.no_grad()
def clip_weights(groups: Iterable[dict[str, Any]]) -> None:
    for group in groups:
        for p in group["params"] if "clip" in group else ():
            p.clamp_(-group["clip"], group["clip"])


def clipped_groups(critic: nn.Module, bound: float) -> Sequence[dict[str, Any]]:
    """The critic's parameters, its weights of two axes and more with a `clip`: gains of normalisations would die of it."""
    parameters = list(critic.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "clip": bound},
        {"params": [p for p in parameters if p.ndim <= 1]},
    ]
