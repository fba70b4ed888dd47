"""Pipelines: chains of transforms, nesting, refusals."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn
from wavekit_haar import Haar
from wavekit_wvae import VAE, GaussianMixture, PosteriorFit, Prior

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Batch, Generator, Loss, Objective, Sampler, Transform
from wavekit_core.pipeline import Pipeline
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)
SPACE = ImageSpace(1, 8, 8)


class Centre(Transform):
    """Subtracts what it learned, the mean of what reaches it; remembers how often it was fitted."""

    def __init__(self, height: int = 8):
        super().__init__()
        self.height, self.fits = height, 0
        self.register_buffer("mean", torch.zeros(()))

    def target(self, source):
        if source.height != self.height:
            raise SpaceError(self, f"height {source.height} is not {self.height}", "mend it", at="height")
        return ImageSpace(source.channels, source.height, source.width, -1, 1)

    def forward(self, x):
        return x - self.mean

    def inverse(self, y):
        return y + self.mean

    def fit(self, batches):
        self.fits += 1
        self.mean = torch.cat([batch.flatten() for batch in batches]).mean()


class Mirror(Transform):
    """Turns images round and gives them half of their size."""

    def target(self, source):
        return source

    def forward(self, x):
        return x.flip(-1) / 2

    def inverse(self, y):
        return y.flip(-1) * 2


class Echo(Generator):
    """Keeps what it is given, and gives it back."""

    def __init__(self, space: ImageSpace | PyramidSpace):
        super().__init__()
        self.space = space
        self.p = nn.Parameter(torch.ones(()))

    def fit(self, batches):
        passed = list(batches())
        self.seen = [batch.data for batch in passed]
        self.labels = [batch.labels for batch in passed]

    def objectives(self):
        sgd = functools.partial(torch.optim.SGD, lr=0.1)
        return [Objective("echo", [{"params": [self.p]}], lambda b: Loss(self.p * b.data.mean()), sgd)]

    def sample(self, count, labels=None):
        return self.seen[0][:count]

    def reconstruct(self, data):
        return data


class First(Sampler):
    """Draws what the model saw first; remembers what it was fitted to."""

    draws_from = Echo

    def fit(self, model, batches):
        self.fitted = [batch.data for batch in batches()]

    def sample(self, model, count, labels=None):
        return model.seen[0][:count]


def images(count: int = 6) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def batches():
    return iter([Batch(part, torch.arange(len(part))) for part in images().split(3)])


def test_transforms_chain_and_invert_in_reverse():
    chain = [Centre(), Mirror(), Haar(levels=2)]
    pipeline = Pipeline(SPACE, Echo, chain)
    assert pipeline.spaces[0] == SPACE
    assert pipeline.spaces[2] == ImageSpace(1, 8, 8, -1, 1)
    assert pipeline.generator.space == pipeline.spaces[3] == Haar(levels=2).target(pipeline.spaces[2])
    pipeline.fit(batches)
    x = images()
    expected = Haar(levels=2)((x - chain[0].mean).flip(-1) / 2)
    torch.testing.assert_close(pipeline.represent(x).approx, expected.approx)
    torch.testing.assert_close(pipeline.represent(x, 1), x - chain[0].mean)
    torch.testing.assert_close(pipeline.invert(pipeline.represent(x)), x)
    torch.testing.assert_close(pipeline.reconstruct(x), x)


def test_every_transform_is_fitted_once_to_what_the_ones_before_make():
    chain = [Centre(), Mirror(), Centre()]
    pipeline = Pipeline(SPACE, Echo, chain)
    pipeline.fit(batches)
    assert [t.fits for t in (chain[0], chain[2])] == [1, 1]
    assert chain[0].mean.item() == pytest.approx(images().mean().item(), rel=1e-5)
    assert chain[2].mean.item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(torch.cat(pipeline.generator.seen), pipeline.represent(images()))
    torch.testing.assert_close(pipeline.sample(2), images()[:2])
    assert [labels.tolist() for labels in pipeline.generator.labels] == [[0, 1, 2], [0, 1, 2]]


def test_objectives_see_representations_and_keep_names_and_labels():
    pipeline = Pipeline(SPACE, Echo, [Centre()])
    pipeline.fit(batches)
    (objective,) = pipeline.objectives()
    assert objective.name == "echo"
    assert objective.parameters[0]["params"] == [pipeline.generator.p]
    assert objective.loss(Batch(images())).value.item() == pytest.approx(0, abs=1e-6)


def test_pipelines_nest_and_their_samplers_are_fitted():
    outer_sampler, sampler, inner_centre = None, First(), Centre()
    inner = functools.partial(Pipeline, generator=Echo, transform=[inner_centre], sampler=sampler)
    outer = Pipeline(SPACE, inner, [Mirror()], outer_sampler)
    outer.fit(batches)
    outer.fit_sampler(batches)
    assert inner_centre.mean.item() == pytest.approx(images().mean().item() / 2, rel=1e-5)
    torch.testing.assert_close(torch.cat(sampler.fitted), images().flip(-1) / 2 - inner_centre.mean)
    torch.testing.assert_close(outer.sample(2), images()[:2])
    torch.testing.assert_close(outer.reconstruct(images()), images())
    assert outer.samples
    assert outer.reconstructs
    assert [o.name for o in outer.objectives()] == ["echo"]


def test_what_a_pipeline_can_do_is_what_its_parts_can():
    class Mute(Echo):
        sample = Generator.sample
        reconstruct = Generator.reconstruct

    assert not Pipeline(SPACE, Mute).samples
    assert not Pipeline(SPACE, Mute).reconstructs
    assert Pipeline(SPACE, Mute, sampler=First()).samples
    assert not Pipeline(SPACE, Echo).conditional
    assert Pipeline(SPACE, GaussianMixture).conditional
    assert Pipeline(SPACE, VAE, sampler=PosteriorFit()).conditional
    assert not Pipeline(SPACE, VAE, sampler=Prior()).conditional


def test_chains_and_samplers_that_do_not_fit_are_refused():
    with pytest.raises(SpaceError, match="height 8 is not 4; mend it"):
        Pipeline(SPACE, Echo, [Mirror(), Centre(4)])
    with pytest.raises(SpaceError, match="draws from Echos, and GaussianMixture is none"):
        Pipeline(SPACE, GaussianMixture, sampler=First())
    with pytest.raises(TypeError, match="VAE works on ImageSpace; it is given PyramidSpace"):
        Pipeline(SPACE, VAE, [Haar()])
