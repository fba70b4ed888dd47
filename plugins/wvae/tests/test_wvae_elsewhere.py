"""Regularizers and samplers on an autoencoder of somebody else's, with bands of its own."""

from collections.abc import Sequence
from functools import partial

import pytest
import torch
from torch import nn
from wavekit_wvae import VAE, DetailL1, GaussianKL, LaplaceKL, PosteriorFit, Prior, Reconstruct
from wavekit_wvae.likelihood import Likelihood, negative_elbo

from wavekit_core.component import Slot
from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Autoencoder, Batch, Loss, Objective, PosteriorState, Regularizer
from wavekit_core.spaces import Band, ImageSpace, LatentSpace

torch.set_num_threads(1)
SPACE = ImageSpace(1, 8, 8)


class MeanAndRest(Autoencoder):
    """Four block means, and what remains of the blocks: bands `mean` (4,) and `texture` (1, 8, 8), with one scale each, of
    different shapes."""

    space: ImageSpace

    def __init__(self, space: ImageSpace, regularizers: Sequence[Slot[Regularizer]] = ()):
        super().__init__()
        self.space = space
        self.latent = LatentSpace((Band("mean", (4,), "code"), Band("texture", (1, 8, 8), "detail")))
        self.gain = nn.Parameter(torch.ones(2))
        self.rho = nn.Parameter(torch.tensor(-2.0))
        self.likelihood = Likelihood(space, "gaussian", "learned")
        self.regularizers = self.regularized(regularizers)

    def encode(self, data):
        blocks = nn.functional.avg_pool2d(data, 4)
        rest = data - blocks.repeat_interleave(4, -1).repeat_interleave(4, -2)
        mean = {"mean": self.gain[0] * blocks.flatten(1), "texture": self.gain[1] * rest}
        scale = {"mean": self.rho.exp().expand(len(data), 1), "texture": self.rho.exp()}  # (B, 1), and ()
        sample = {name: m + scale[name] * torch.randn_like(m) for name, m in mean.items()}
        return PosteriorState(mean, scale, sample, self.latent)

    def decode(self, latent):
        blocks = latent["mean"].reshape(-1, 1, 2, 2)  # (B, 4) to maps
        return blocks.repeat_interleave(4, -1).repeat_interleave(4, -2) + latent["texture"]

    def objectives(self):
        def loss(batch: Batch) -> Loss:
            state = self.encode(batch.data)
            return negative_elbo(batch.data, self.decode(state.sample), state, self.likelihood, self.regularizers)

        return [Objective("elbo", [{"params": list(self.parameters())}], loss, partial(torch.optim.Adam, lr=1e-2))]


EVERY = [DetailL1, LaplaceKL, GaussianKL, partial(GaussianKL, bands="all", learn_prior=True)]


@pytest.mark.parametrize("regularizer", EVERY)
def test_every_regularizer_trains_it(regularizer):
    torch.manual_seed(0)
    model = MeanAndRest(SPACE, [regularizer])
    (objective,) = model.objectives()
    optimizer = objective.optimizer(objective.parameters)
    batch = Batch(torch.rand(16, 1, 8, 8))
    assert model.regularizers[0].penalty(model.encode(batch.data)).shape == (16,)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = objective.loss(batch)
        loss.value.backward()
        optimizer.step()
        values.append(loss.value.item())
    assert values[-1] < values[0]
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_samplers_draw_from_it_where_they_know_how():
    torch.manual_seed(0)
    model = MeanAndRest(SPACE, [LaplaceKL, GaussianKL])
    assert Prior().refuses(model) is None
    assert Prior().sample(model, 6).shape == (6, 1, 8, 8)
    assert "texture" in PosteriorFit().refuses(model)  # no coarser band is its parent
    images = torch.rand(6, 1, 8, 8)
    torch.testing.assert_close(Reconstruct(noise=False).reconstruct(model, images), images)
    assert "no regularizer has a prior for texture" in Prior().refuses(MeanAndRest(SPACE, [GaussianKL]))


def test_bands_without_a_level_are_not_weighed_by_level():
    assert DetailL1(MeanAndRest(SPACE, []).latent).factors == {"texture": 1.0}
    with pytest.raises(SpaceError, match="texture tells no level") as error:
        MeanAndRest(SPACE, [partial(DetailL1, level_weight="gain")])
    assert error.value.at == "level_weight"


@pytest.mark.parametrize("regularizer", [DetailL1, LaplaceKL])
@pytest.mark.parametrize("layout", ["flat", "spatial"])
def test_a_code_alone_has_no_details_to_penalise(regularizer, layout):
    with pytest.raises(SpaceError, match="no detail bands; use a generator with a wavelet latent"):
        VAE(SPACE, [regularizer], layout=layout, width=4)
    assert VAE(SPACE, [GaussianKL], layout=layout, width=4).regularizers[0].prior_bands() == ("z",)
