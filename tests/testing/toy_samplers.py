"""A sampler that keeps every law, and for each law one that breaks it."""

from __future__ import annotations

import torch
from torch import Tensor

from wavekit_core.kinds import Autoencoder, Sampler

CLASSES = 2


class Normal(Sampler):
    """A normal distribution of the latent for each class, with the variances of the posteriors."""

    draws_from = Autoencoder
    conditional = True

    def __init__(self):
        super().__init__()
        for name in ("mean", "root"):
            self.register_buffer(name, torch.empty(0))

    def _load_from_state_dict(self, state, prefix, *args):
        for name in ("mean", "root"):
            setattr(self, name, torch.empty_like(state[prefix + name]))
        super()._load_from_state_dict(state, prefix, *args)

    @torch.no_grad()
    def fit(self, model, batches):
        found = list(batches())
        states = [model.encode(batch.data) for batch in found]
        z, s = torch.cat([one.mean["z"] for one in states]), torch.cat([one.scale["z"] for one in states])
        labels = torch.cat([torch.zeros(len(b.data)) if b.labels is None else b.labels for b in found]).long()
        parts = [labels == label for label in range(int(labels.max()) + 1)]
        self.mean = torch.stack([z[part].mean(0) for part in parts])
        self.root = torch.stack([torch.linalg.cholesky(self.covariance(z[part], s[part])) for part in parts])

    def covariance(self, z: Tensor, s: Tensor) -> Tensor:
        return torch.cov(z.T) + torch.diag(s.square().mean(0))

    @torch.no_grad()
    def sample(self, model, count, labels=None):
        labels = torch.randint(len(self.mean), (count,)) if labels is None else labels.clamp(max=len(self.mean) - 1)
        noise = self.noise(count)
        z = self.mean[labels] + (self.root[labels] @ noise[..., None])[..., 0]
        return model.decode({"z": z}).clamp(model.space.low, model.space.high)

    def noise(self, count: int) -> Tensor:
        return torch.randn(count, self.mean.shape[1])


class MeansAlone(Normal):
    """Forgets that a posterior has a width."""

    def covariance(self, z, s):
        return torch.cov(z.T)


class OffCentre(Normal):
    def fit(self, model, batches):
        super().fit(model, batches)
        self.mean = self.mean + 0.15


class AnyClass(Normal):
    def sample(self, model, count, labels=None):
        return super().sample(model, count)


class Squeezed(Normal):
    def sample(self, model, count, labels=None):
        made = super().sample(model, count, labels)
        return made[0] if count == 1 else made


class Stubborn(Normal):
    def noise(self, count):
        return torch.randn(count, self.mean.shape[1], generator=torch.Generator().manual_seed(count))


class LatentsBack(Normal):
    def reconstruct(self, model, data):
        return model.encode(data).mean["z"]


class Adding(Normal):
    """Goes on where the fit before ended."""

    def fit(self, model, batches):
        before = self.mean
        super().fit(model, batches)
        self.mean = self.mean if not len(before) else (self.mean + before) / 2 + 1e-3


class LeavesTrainMode(Normal):
    def fit(self, model, batches):
        super().fit(model, batches)
        model.train()


class Meddling(Normal):
    def fit(self, model, batches):
        super().fit(model, batches)
        with torch.no_grad():
            model.mu.mul_(1 + 1e-6)


class Credulous(Normal):
    def refuses(self, model):
        return None


class Curious(Normal):
    def refuses(self, model):
        return None if model.latent.numbers else "no"


class Choosy(Normal):
    def refuses(self, model):
        return super().refuses(model) or "takes no model at all"


class Unbounded(Normal):
    def sample(self, model, count, labels=None):
        return super().sample(model, count, labels) + 1000.0 * (count == 5)


BROKEN = [
    (
        MeansAlone,
        ["mean-and-covariance"],
        "the covariance of 4000 draws along .* is 0.7.*, and the data's 1 .* standard errors",
    ),
    (OffCentre, ["mean-and-covariance", "classes"], "the mean of 4000 draws is .* standard errors"),
    (AnyClass, ["classes"], "asked for class 0, the mean is .* and that of the class"),
    (Squeezed, ["samples"], r"sample\(model, 1\) gives \(1, 2, 2\), and 1 of images 1×2×2"),
    (Unbounded, ["samples"], r"sample\(model, 5\) gives values from .* and the space ends at -100 and 100"),
    (Stubborn, ["seeds"], "another seed draws the same elements"),
    (LatentsBack, ["reconstructions"], r"reconstruct\(model, data\) gives \(500, 4\)"),
    (Adding, ["fit-twice"], "the second fit to the same data gives another mean"),
    (LeavesTrainMode, ["model-is-kept"], "it leaves the model in train mode"),
    (Meddling, ["model-is-kept", "determinism", "recipe"], "it changes mu of the model"),
    (Credulous, ["refusals"], "it takes a model that is no Autoencoder"),
    (Curious, ["refusals"], "AttributeError is raised: .* where refusals is checked"),
    (Choosy, ["refusals"], "it refuses the known model: takes no model at all"),
]
