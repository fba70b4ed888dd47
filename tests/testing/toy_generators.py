"""A generator that keeps every law, and for each law one that breaks it."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Autoencoder, Generator, Loss, Objective, PosteriorState
from wavekit_core.spaces import Band, ImageSpace, LatentSpace

CODE = 3
ADAM = functools.partial(torch.optim.Adam, lr=1e-2)


class Linear(Autoencoder):
    """A linear autoencoder of images that samples by itself."""

    def __init__(self, space: ImageSpace):
        super().__init__()
        self.space = space
        self.latent = LatentSpace((Band("z", (CODE,), "code"),))
        self.regularizers = self.regularized([])
        self.down = nn.Linear(space.numbers, CODE)
        self.up = nn.Linear(CODE, space.numbers)
        self.log_s = nn.Parameter(torch.full((CODE,), -2.0))
        self.register_buffer("middle", torch.zeros(()))

    def fit(self, batches):
        self.middle = torch.cat([batch.data for batch in batches()]).mean()

    def encode(self, data: Tensor) -> PosteriorState:
        mean, s = self.down((data - self.middle).flatten(1)), self.log_s.exp()
        return PosteriorState({"z": mean}, {"z": s}, {"z": mean + s * torch.randn_like(mean)}, self.latent)

    def decode(self, latent) -> Tensor:
        return self.space.unflatten(self.up(latent["z"])) + self.middle

    def objectives(self):
        return [Objective("elbo", [{"params": list(self.trained())}], self.loss, ADAM)]

    def trained(self):
        return self.parameters()

    def loss(self, batch) -> Loss:
        error = (self.decode(self.encode(batch.data).sample) - self.wanted(batch.data)).square().mean()
        spread = self.log_s.square().mean()
        return Loss(error + 1e-3 * spread, {"error": error.detach(), "spread": spread.detach()})

    def wanted(self, data):
        return data

    def sample(self, count, labels=None):
        return self.decode({"z": torch.randn(count, CODE)}).clamp(self.space.low, self.space.high)

    def negative_log_likelihood(self, data):
        return (self.reconstruct(data) - data).square().flatten(1).sum(1) + self.space.numbers * math.log(2)


class Unlearnable(Linear):
    def wanted(self, data):
        return 10 * torch.randn_like(data)


class Slow(Linear):
    def objectives(self):
        adam = functools.partial(torch.optim.Adam, lr=1e-6)
        return [Objective("elbo", [{"params": list(self.parameters())}], self.loss, adam)]


class HiddenStep(Linear):
    """Warms up by a count that no state holds."""

    steps = 0

    def loss(self, batch):
        self.steps += self.training
        made = super().loss(batch)
        return Loss(made.value * min(1.0, 0.1 * (self.steps + 1)), made.terms)


class Idle(Linear):
    def __init__(self, space: ImageSpace):
        super().__init__(space)
        self.idle = nn.Linear(2, 2)


class Overlooked(Idle):
    def trained(self):
        return [p for name, p in self.named_parameters() if not name.startswith("idle")]


class Twice(Linear):
    def objectives(self):
        first = super().objectives()[0]
        return [first, Objective("again", [{"params": [self.up.weight]}], self.loss, ADAM)]


class ManyTerms(Linear):
    def loss(self, batch):
        made = super().loss(batch)
        return Loss(made.value, {**made.terms, f"of {len(batch.data)}": made.value.detach()})


class Vector(Linear):
    def loss(self, batch):
        made = super().loss(batch)
        return Loss(made.value, {"error": made.terms["error"].expand(2).detach()})


class Unbounded(Linear):
    def sample(self, count, labels=None):
        return 10 * self.decode({"z": torch.randn(count, CODE)})


class Unlabelled(Linear):
    def sample(self, count, labels=None):
        made = super().sample(count)
        return made if labels is None else made[labels == 0]


class Stubborn(Linear):
    def sample(self, count, labels=None):
        z = torch.randn(count, CODE, generator=torch.Generator().manual_seed(0))
        return self.decode({"z": z}).clamp(self.space.low, self.space.high)


class OneForAll(Linear):
    def sample(self, count, labels=None):
        return super().sample(1).repeat(count, 1, 1, 1)


class Remembering(Linear):
    def __init__(self, space: ImageSpace):
        super().__init__(space)
        self.register_buffer("drawn", torch.zeros(()))

    def sample(self, count, labels=None):
        self.drawn += count
        return super().sample(count)


class FlatReconstructions(Linear):
    def reconstruct(self, data):
        return super().reconstruct(data).flatten(1)

    def negative_log_likelihood(self, data):
        return (super().reconstruct(data) - data).square().flatten(1).sum(1)


class MeanLikelihood(Linear):
    def negative_log_likelihood(self, data):
        return super().negative_log_likelihood(data).mean()


class NegativeScale(Linear):
    def encode(self, data):
        state = super().encode(data)
        return PosteriorState(state.mean, {"z": -state.scale["z"]}, state.sample, state.space)


class ExtraBand(Linear):
    def encode(self, data):
        state = super().encode(data)
        return PosteriorState({**state.mean, "w": state.mean["z"]}, state.scale, state.sample, state.space)


class Halving(Linear):
    def __init__(self, space: ImageSpace):
        super().__init__(space)
        self.parts = space.numbers // (space.width // 2)


class BigImages(Linear):
    """Right, on images from 16 pixels on."""

    def __init__(self, space: ImageSpace):
        super().__init__(space)
        if space.height < 16:
            raise SpaceError(self, f"{space} is too small", "use at least 16 pixels")


class LateFault(Linear):
    """Takes a space that it cannot work on."""

    def decode(self, latent):
        made = super().decode(latent)
        return made if self.space.width > 1 else made[..., :0]


class Fitted(Generator):
    """Right: trains nothing, and draws pixels around the mean image."""

    def __init__(self, space: ImageSpace):
        super().__init__()
        self.space = space
        self.register_buffer("mean", torch.zeros(space.shape))

    def fit(self, batches):
        self.mean = torch.cat([batch.data for batch in batches()]).mean(0)

    def sample(self, count, labels=None):
        noise = torch.randn(count, *self.space.shape) * 0.1
        return (self.mean + noise).clamp(self.space.low, self.space.high)


class Parts(Generator):
    """Right: two objectives of two parts, on images or pyramids as vectors."""

    def __init__(self, space: ImageSpace):
        super().__init__()
        self.space = space
        self.make = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Linear(8, space.numbers), nn.Sigmoid())
        self.judge = nn.Sequential(nn.Linear(space.numbers, 8), nn.LeakyReLU(), nn.Linear(8, 1))

    def objectives(self):
        parts = (("judge", self.judge, self.judged), ("make", self.make, self.made))
        return [Objective(name, [{"params": list(part.parameters())}], loss, ADAM) for name, part, loss in parts]

    def judged(self, batch):
        fake = self.make(torch.randn(len(batch.data), 2)).detach()
        apart = nn.functional.softplus(self.judge(fake)) + nn.functional.softplus(-self.judge(batch.data.flatten(1)))
        return Loss(apart.mean())

    def made(self, batch):
        return Loss(nn.functional.softplus(-self.judge(self.make(torch.randn(len(batch.data), 2)))).mean())

    def sample(self, count, labels=None):
        share = self.space.unflatten(self.make(torch.randn(count, 2)))
        return self.space.low + (self.space.high - self.space.low) * share


BROKEN = [
    (Unlearnable, ["overfits-one-batch"], "the loss of 'elbo' on one batch of 8 is .* at first and .* after 100 steps"),
    (Slow, ["overfits-one-batch"], "a fall of more than .* was expected"),
    (HiddenStep, ["resumes-exactly"], "stopped at step 3 and gone on to step 6, .* differs from a training"),
    (Idle, ["every-parameter-moves"], "6 steps do not change idle.weight, idle.bias; freeze what is not used"),
    (Overlooked, ["objectives-cover-parameters"], "no objective trains idle.weight, idle.bias; add it to one"),
    (Twice, ["objectives-cover-parameters"], "up.weight is trained by 'elbo' and by 'again', or twice"),
    (
        ManyTerms,
        ["losses"],
        "the terms of 'elbo' are error, spread, of 4 in one call and error, spread, of 2 in another",
    ),
    (Unbounded, ["samples", "refusals"], r"sample\(5\) gives values from -.* and the space ends at 0 and 1"),
    (Unlabelled, ["samples"], r"sample\(5\) gives \(3, 1, 8, 8\), and 5 of images 1×8×8"),
    (Stubborn, ["seeds"], "another seed draws the same elements"),
    (OneForAll, ["seeds"], "all elements of one drawing are the same"),
    (Remembering, ["sampling-changes-nothing"], "drawn changes when the model is used in its eval mode"),
    (FlatReconstructions, ["reconstructions", "refusals"], r"reconstruct gives \(3, 64\), and 3 of images 1×8×8"),
    (MeanLikelihood, ["likelihood"], r"the likelihood of 3 elements has the shape \(\), not \(3,\)"),
    (NegativeScale, ["latent"], "the noise scale of z is not above 0"),
    (ExtraBand, ["latent"], "the mean of its posterior has the bands z, w, and the latent z"),
    (Halving, ["refusals"], "built for images 1×1×1 in .*: ZeroDivisionError is raised: .*; raise SpaceError"),
    (LateFault, ["refusals"], "it is built for images 1×1×1 in .*, but then"),
]
