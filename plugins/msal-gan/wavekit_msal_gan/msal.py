"""The multi-scale adversarial model of details.

S4: Multi-scale Generative Modeling for Fast Sampling, arXiv 2411.09356, section 4.2, Eq. 21 and 22, Algorithms 1 and 2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Batch, DetailSpace, Loss, Objective
from wavekit_core.wavelets.scales import size_of
from wavekit_msal_gan.adversarial import (
    VARIANTS,
    ClippedRMSprop,
    Name,
    clip_weights,
    clipped_groups,
    frozen,
    gradient_penalty,
    r1,
)
from wavekit_msal_gan.attention_unet import AttentionUNet
from wavekit_msal_gan.critic import Critic
from wavekit_msal_gan.norm import NormKind, halvings
from wavekit_msal_gan.regression import Depth, DetailRegression, Domain, Positive, Weight, Width, total

POOLINGS, HALVINGS = 4, 5  # of the published networks
Every = Annotated[int, Field(ge=1, le=1000)]


class MSAL(DetailRegression):
    """x_H = G(x_L, z): details from an approximation and noise, in one evaluation of an attention-gated U-Net.

    G minimises λ · MSE + ν · (1 − SSIM) − α · C, the critic C tells reconstructions with drawn details from those with true
    ones, both summed over the levels of the space (S4 Eq. 21 and 22, Algorithm 1). One network, and one critic, serve all
    of these levels; with `share_scales: false` a cascade builds them for each.

    Critics. `nonsat+R1`: logistic losses with a penalty on gradients at true images. `wgan-gp`, `wgan-clip`: Wasserstein critics
    kept smooth by a penalty, or by clipped weights. `hinge`: with spectral normalisation. `paper-sigmoid`: what S4's code
    does, scores squashed by a sigmoid and nothing to keep them smooth. Their published settings (rates, who is trained how often)
    are defaults.

    With α = 0, or at levels without a critic, it is a regression of the same network on the same input. λ is large beside α,
    and a squared error is least for the mean of all details that are possible: G then learns to ignore its noise.
    `wavekit_msal_gan.diagnostics` measures how far.

    Args:
        space: the details to model.
        width: channels at the finest level of both networks (64 in the paper: 36 M parameters).
        depth: poolings of the U-Net; by default 4, or as many as leave 2 pixels of the finest details.
        noise_channels: of z; as many as the image has by default.
        noise_in_blocks: noise behind every block of the U-Net too.
        norm: group normalisation, or batch normalisation with statistics for each scale; with these, results depend on
            `train.shards`.
        fidelity: λ.
        ssim: ν.
        alpha: α.
        loss_domain: where MSE, SSIM and the critic look: the finer approximation (the paper's code) or the details (its
            equations).
        critic: see above.
        critic_levels: those with an adversarial term; 1 is the finest.
        critic_width: as `width` by default.
        r1_gamma: γ of `nonsat+R1`.
        r1_every: its penalty is paid by one shard in so many, drawn at random, and there so many times.
        gp_weight: λ of `wgan-gp`'s penalty.
        clip: the largest weight of `wgan-clip`.
        generator_every: the generator is trained in every so many-th step; 5 by default with a Wasserstein critic, else 1.
        critic_every: the critic likewise; 4 by default in `paper-sigmoid`, else 1.
        lr: rate of the generator.
        critic_lr: of the critic: 1e-4 by default, 5e-5 for `wgan-clip`, 1e-5 for `paper-sigmoid`.
        weight_decay: of AdamW, for both.

    Raises:
        SpaceError: `critic_levels` names a level that the pyramid does not have.
        RecipeError: both λ and ν are 0.
    """

    def __init__(
        self,
        space: DetailSpace,
        width: Width = 8,
        depth: Depth | None = None,
        noise_channels: Annotated[int, Field(ge=0, le=1024)] | None = None,
        noise_in_blocks: bool = False,
        norm: NormKind = "group",
        fidelity: Weight = 20.0,
        ssim: Weight = 0.5,
        alpha: Weight = 0.1,
        loss_domain: Domain = "image",
        critic: Name = "nonsat+R1",
        critic_levels: tuple[Annotated[int, Field(ge=1)], ...] | Literal["all"] = "all",
        critic_width: Width | None = None,
        r1_gamma: Weight = 0.1,
        r1_every: Every = 16,
        gp_weight: Weight = 10.0,
        clip: Positive = 0.01,
        generator_every: Every | None = None,
        critic_every: Every | None = None,
        lr: Positive = 1e-4,
        critic_lr: Positive | None = None,
        weight_decay: Weight = 0.01,
    ):
        super().__init__(space, fidelity, ssim, loss_domain)
        self.alpha, self.variant = alpha, critic
        self.r1_gamma, self.r1_every, self.gp_weight, self.bound = r1_gamma, r1_every, gp_weight, clip
        self.judged = self._judged(critic_levels) if alpha else ()
        chosen = VARIANTS[critic]
        adversarial = bool(self.judged)
        self.generator_every = generator_every or (chosen.generator_every if adversarial else 1)
        self.critic_every = critic_every or chosen.critic_every
        self.rates = (lr, critic_lr or chosen.lr, weight_decay)
        colours = space.channels
        self.noise_channels = colours if noise_channels is None else noise_channels
        self.network = AttentionUNet(
            colours + self.noise_channels,
            3 * colours,
            width,
            halvings(*self.largest, POOLINGS) if depth is None else depth,
            norm,
            len(space.levels),
            noise_in_blocks,
        )
        self.critic: Critic | None = None
        if adversarial:
            seen = self.largest if loss_domain == "details" else size_of(space.pyramid, min(space.levels) - 1)
            channels = 3 * colours if loss_domain == "details" else colours
            self.critic = Critic(
                channels,
                critic_width or width,
                halvings(*seen, HALVINGS),
                spectral=chosen.spectral,
                dropout=chosen.dropout,
                offset=not chosen.wasserstein,
            )
            if chosen.clipped:
                clip_weights(clipped_groups(self.critic, clip))

    def _judged(self, levels: tuple[int, ...] | Literal["all"]) -> tuple[int, ...]:
        """The levels of the space that have a critic."""
        deepest = self.space.pyramid.levels
        if levels == "all":
            return self.space.levels
        if missing := [level for level in levels if level > deepest]:
            raise SpaceError(
                self,
                f"critic_levels has level {missing[0]}, and the pyramid has levels 1 to {deepest}",
                "name levels of the pyramid, the finest of which is 1",
                at="critic_levels",
            )
        return tuple(level for level in self.space.levels if level in levels)

    def predicted(self, given: Tensor, level: int) -> Tensor:
        approx = self.units.approx(given, level)
        noise = torch.randn(
            len(approx), self.noise_channels, *approx.shape[-2:], device=approx.device, dtype=approx.dtype
        )
        return self.network(torch.cat([approx, noise], 1), self.space.levels.index(level))

    def loss(self, batch: Batch) -> Loss:
        """The generator's loss. `adversarial` is C's term before α."""
        if self.critic is None:
            return super().loss(batch)
        critic, generator = frozen(self.critic), VARIANTS[self.variant].generator
        losses, terms = [], []
        for (level, real), fake in zip(self.real(batch.data), self.fake(batch.data), strict=True):
            losses.append(self.closeness(level, real, fake))
            if level in self.judged:
                terms.append(generator(critic(2 * fake - 1)))
        close, adversarial = total(losses), torch.stack(terms)
        value = close.value + self.alpha * adversarial.sum()
        return Loss(value, {**close.terms, "adversarial": adversarial.mean().detach()})

    def critic_loss(self, batch: Batch) -> Loss:
        """The critic's loss, with the mean scores of true and drawn details, and the penalty as it is paid."""
        assert self.critic is not None
        with torch.no_grad():
            real, fake = self.real(batch.data, self.judged), self.fake(batch.data, self.judged)
            pairs = [(2 * true - 1, 2 * drawn - 1) for (_, true), drawn in zip(real, fake, strict=True)]
        return total([self._critic_loss(true, drawn) for true, drawn in pairs])

    def _critic_loss(self, real: Tensor, fake: Tensor) -> Loss:
        assert self.critic is not None
        variant = VARIANTS[self.variant]
        scores = self.critic(torch.cat([real, fake])).chunk(2)
        value = variant.critic(*scores)
        terms = {"real": scores[0].mean(), "fake": scores[1].mean()}
        if variant.penalty == "r1":
            terms["r1"] = r1(self.critic, real, self.r1_gamma, self.r1_every)
        elif variant.penalty == "gradient penalty":
            terms["gradient penalty"] = gradient_penalty(self.critic, real, fake, self.gp_weight)
        return Loss(value + sum(term for name, term in terms.items() if name not in ("real", "fake")), terms)

    def objectives(self) -> Sequence[Objective]:
        lr, critic_lr, weight_decay = self.rates
        if self.critic is None:
            return [self.objective(lr, weight_decay, self.generator_every)]
        variant = VARIANTS[self.variant]
        groups: Sequence[dict[str, Any]] = [{"params": list(self.critic.parameters())}]
        optimizer: Callable[..., torch.optim.Optimizer] = functools.partial(
            torch.optim.AdamW, lr=critic_lr, betas=variant.betas, weight_decay=weight_decay
        )
        if variant.clipped:
            groups = clipped_groups(self.critic, self.bound)
            optimizer = functools.partial(ClippedRMSprop, lr=critic_lr)
        betas = variant.betas if variant.penalty == "gradient penalty" else (0.9, 0.999)
        return [
            self.objective(lr, weight_decay, self.generator_every, betas),
            Objective("critic", groups, self.critic_loss, optimizer, self.critic_every),
        ]
