"""Cascades: what their stages learn from, how they are drawn from, and what does not fit."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import pywt
import torch
from torch import nn
from wavekit_bior import Bior
from wavekit_haar import Haar

from wavekit_core.cascade import Cascade
from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Batch, DetailGenerator, DetailSpace, Generator, Loss, Objective, Sampler
from wavekit_core.pipeline import Pipeline
from wavekit_core.pyramid import Pyramid, PyramidSpace
from wavekit_core.spaces import ImageSpace, Space
from wavekit_core.testing import generator_suite
from wavekit_core.wavelets.scales import approximations, finer, largest_detail, range_of

torch.set_num_threads(1)
IMAGE = ImageSpace(2, 16, 24)
SPACE = Haar(levels=2).target(IMAGE)
SGD = functools.partial(torch.optim.SGD, lr=0.1)


class Constant(Generator):
    """Draws one learned number everywhere, or what its space has in its middle."""

    def __init__(self, space: ImageSpace):
        super().__init__()
        self.space, self.value, self.seen = space, nn.Parameter(torch.zeros(())), []

    def fit(self, batches):
        self.seen += [batch.data for batch in batches()]

    def objectives(self):
        def loss(batch: Batch) -> Loss:
            return Loss((batch.data - self.value).square().mean())

        return [Objective("square", [{"params": [self.value]}], loss, SGD)]

    def sample(self, count, labels=None):
        return (self.value + (self.space.low + self.space.high) / 2).expand(count, *self.space.shape)


class Known(DetailGenerator):
    """Draws the details that it was told, by level, and remembers what it was asked; learns the deviation of its data."""

    def __init__(self, space: DetailSpace):
        super().__init__()
        self.space, self.scale = space, nn.Parameter(torch.ones(()))
        self.told, self.asked, self.given = {}, [], []

    def objectives(self):
        def loss(batch: Batch) -> Loss:
            self.given.append(batch.data)
            return Loss(sum((d.square().mean() - self.scale).square() for d in batch.data.details))

        return [Objective("spread", [{"params": [self.scale]}], loss, SGD)]

    def draw(self, approx, level, labels=None, sampler=None):
        self.asked.append((level, approx, labels))
        return self.told.get(level, torch.zeros(len(approx), self.space.channels, 3, *self.space.size(level)))


class Anything(Generator):
    """Models any space, and no details in particular."""

    def __init__(self, space: Space):
        super().__init__()
        self.space = space


class Sampled(Constant):
    """Does not draw by itself."""

    samples = False


class Filler(Sampler):
    """Fills with a number."""

    draws_from = Sampled

    def __init__(self, value: float = 3.0):
        super().__init__()
        self.value, self.fitted = value, []

    def fit(self, model, batches):
        self.fitted += [tuple(batch.data.shape) for batch in batches()]

    def sample(self, model, count, labels=None):
        return torch.full((count, *model.space.shape), self.value)


def images(count: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, *IMAGE.shape, generator=torch.Generator().manual_seed(seed))


def cascade(space: PyramidSpace = SPACE, coarse=Constant, detail=Known, **options) -> Cascade:
    return Cascade(space, coarse=coarse, detail=detail, **options)


@pytest.mark.parametrize(("family", "wavelet"), [(Haar(levels=3), "haar"), (Bior("bior4.4", levels=3), "bior4.4")])
@pytest.mark.parametrize("mode", ["periodization", "symmetric"])
def test_approximations_of_every_level_are_those_of_pywavelets(family, wavelet, mode):
    transform = type(family)(levels=3, mode=mode) if wavelet == "haar" else Bior("bior4.4", levels=3, mode=mode)
    transform.target(ImageSpace(1, 21, 32))
    x = torch.rand(1, 1, 21, 32, dtype=torch.float64)
    found = approximations(transform(x))
    image = x[0, 0].numpy()
    for level in (1, 2, 3):
        with warnings.catch_warnings(action="ignore"):  # that there are many levels for the size
            expected = pywt.wavedec2(image, wavelet, mode, level)[0]
        np.testing.assert_allclose(found[level][0, 0].numpy(), expected, atol=1e-12)


def test_ranges_are_reached_and_never_left():
    for transform in (Haar(levels=2), Bior("bior4.4", levels=2)):
        space = transform.target(ImageSpace(1, 16, 16))
        rng = torch.Generator().manual_seed(0)
        extreme = (torch.rand(4000, 1, 16, 16, generator=rng) < 0.5).float()
        found = approximations(transform(extreme))
        for level in (1, 2):
            low, high = range_of(space, level)
            assert low - 1e-5 <= float(found[level].min())
            assert float(found[level].max()) <= high + 1e-5
            details = transform(extreme).details[2 - level]
            assert float(details.abs().max()) <= largest_detail(space, level) + 1e-5
    haar = Haar(levels=2).target(ImageSpace(1, 16, 16))
    assert [range_of(haar, k) for k in (0, 1, 2)] == [(0, 1), pytest.approx((0, 2)), pytest.approx((0, 4))]
    assert [largest_detail(haar, k) for k in (1, 2)] == pytest.approx([1, 2])


def test_with_the_true_details_it_reconstructs_exactly():
    transform = Haar(levels=2)
    transform.target(IMAGE)
    pyramid = transform(images())
    model = cascade().eval()
    model.stages[0].told = {2: pyramid.details[0], 1: pyramid.details[1]}
    rebuilt = model.reconstruct(pyramid)
    torch.testing.assert_close(transform.inverse(rebuilt), images(), rtol=0, atol=1e-6)
    levels = [level for level, _, _ in model.stages[0].asked]
    assert levels == [2, 1]
    torch.testing.assert_close(model.stages[0].asked[1][1], approximations(pyramid)[1])


def test_each_scale_is_drawn_given_what_was_drawn_before():
    model = cascade().eval()
    drawn = torch.randn(2, 2, 3, 4, 6)
    model.stages[0].told = {2: drawn}
    pyramid = model.sample(2, torch.tensor([1, 0]))
    (_, first, labels), (_, second, _) = model.stages[0].asked
    torch.testing.assert_close(second, finer(SPACE, 2, first, drawn))
    assert labels.tolist() == [1, 0]
    assert SPACE.holds(pyramid, 2)
    torch.testing.assert_close(pyramid.details[0], drawn)
    torch.testing.assert_close(first, torch.full_like(first, 2.0))  # the middle of [0, 4]


def test_one_detail_generator_for_all_scales_or_one_for_each():
    shared, single = cascade(), cascade(share_scales=False)
    assert [stage.space.levels for stage in shared.stages] == [(2, 1)]
    assert [stage.space.levels for stage in single.stages] == [(2,), (1,)]
    assert single.stage_of(1) is single.stages[1]
    assert [one.name for one in shared.objectives()] == ["coarse-square", "detail-spread"]
    assert [one.name for one in single.objectives()] == ["coarse-square", "detail2-spread", "detail1-spread"]


def test_stages_learn_from_true_approximations_and_details():
    transform = Haar(levels=2)
    transform.target(IMAGE)
    pyramid = transform(images())
    model = cascade()
    coarse, detail = model.objectives()
    assert float(coarse.loss(Batch(pyramid)).value.detach()) == pytest.approx(float(pyramid.approx.square().mean()))
    detail.loss(Batch(pyramid))
    (scales,) = model.stages[0].given
    torch.testing.assert_close(scales.approximations, (pyramid.approx, approximations(pyramid)[1]))
    torch.testing.assert_close(scales.details, pyramid.details)
    assert scales.given is scales.approximations
    model.fit(lambda: [Batch(pyramid)])
    torch.testing.assert_close(model.coarse.seen[0], pyramid.approx)


def test_conditioning_augmentation_is_noise_on_what_details_are_given_in_training():
    transform = Haar(levels=2)
    transform.target(ImageSpace(1, 64, 64))
    pyramid = transform(torch.rand(20, 1, 64, 64))
    model = cascade(transform.target(ImageSpace(1, 64, 64)), augment=0.1)
    model.objectives()[1].loss(Batch(pyramid))
    scales = model.stages[0].given[0]
    for true, given, width in zip(scales.approximations, scales.given, (4.0, 2.0), strict=True):
        assert float((given - true).std()) == pytest.approx(0.1 * width, rel=0.05)
    model.eval()
    model.objectives()[1].loss(Batch(pyramid))
    assert model.stages[0].given[1].given is model.stages[0].given[1].approximations


def test_stages_are_trained_together_or_in_turn():
    assert [one.during for one in cascade().objectives()] == [(0.0, 1.0), (0.0, 1.0)]
    turns = cascade(training="in-turn", coarse_share=0.25).objectives()
    assert [[step for step in range(8) if one.due(step, 8)] for one in turns] == [[0, 1], [2, 3, 4, 5, 6, 7]]


def test_the_sampler_goes_to_the_stages_that_take_it():
    taken = Pipeline(IMAGE, functools.partial(cascade, coarse=Sampled), [Haar(levels=2)], Filler())
    assert taken.samples
    drawn = taken.eval().sample(2)
    torch.testing.assert_close(drawn, torch.full_like(drawn, 0.75))  # 3 / 4: two levels of Haar
    taken.fit_sampler(lambda: [Batch(images())])
    assert taken.sampler.fitted == [(3, 2, 4, 6)]
    assert not cascade(coarse=Sampled).samples
    assert cascade().samples


def test_a_sampler_that_no_stage_takes_is_refused():
    with pytest.raises(SpaceError, match="no stage of the cascade takes it"):
        Pipeline(IMAGE, cascade, [Haar(levels=2)], Filler())


@pytest.mark.parametrize("norm", ["mean", "whiten", "unit-range", "integer"])
def test_a_pyramid_of_another_norm_is_refused(norm):
    with pytest.raises(SpaceError, match="set norm: ortho") as caught:
        cascade(Haar(levels=2, norm=norm).target(IMAGE))
    assert norm in str(caught.value)


def test_a_pyramid_that_does_not_say_its_filters_is_refused():
    space = PyramidSpace(IMAGE, "mine", "periodization", "ortho", ((8, 12),))
    with pytest.raises(SpaceError, match="does not say its filters"):
        cascade(space)


def test_a_detail_stage_that_is_none_is_refused():
    with pytest.raises(SpaceError, match="models no details"):
        cascade(detail=Anything)


def test_elements_of_a_detail_space_are_vectors_and_back():
    space = DetailSpace(SPACE, (2, 1))
    vectors = torch.randn(3, space.numbers)
    scales = space.unflatten(vectors)
    assert space.holds(scales, 3)
    assert not space.holds(scales, 2)
    torch.testing.assert_close(space.flatten(scales), vectors)
    assert [tuple(d.shape) for d in scales.details] == [(3, 2, 3, 4, 6), (3, 2, 3, 8, 12)]
    assert isinstance(Pyramid(scales.approximations[0], scales.details, SPACE), Pyramid)


SCORE = {"use": "wmgm-sgm", "width": 16, "lr": 1e-2}
DETAILS = {"use": "wsgm", "width": 8, "lr": 1e-2}
DDIM, HEUN = {"use": "ddim", "steps": 2}, {"use": "heun", "steps": 2}
test_laws = generator_suite(
    Cascade,
    {"coarse": SCORE, "detail": DETAILS, "share_scales": False},
    {"coarse": {"use": "gmm"}, "detail": DETAILS | {"sampler": DDIM}, "augment": 0.1},
    {"coarse": SCORE | {"sampler": HEUN}, "detail": DETAILS | {"sampler": DDIM}, "training": "in-turn"},
    spaces=[Haar(levels=2).target(ImageSpace(1, 8, 8))],
    steps=50,
)
