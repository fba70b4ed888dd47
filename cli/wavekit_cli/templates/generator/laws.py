"""The laws of a generator, and a closed form of this one."""

import torch
from torch.distributions import MultivariateNormal
from wavekit_core.spaces import ImageSpace
from wavekit_core.testing import generator_suite

from wavekit_my_part import FLOOR, MyPart

test_laws = generator_suite(MyPart)


def test_the_likelihood_is_that_of_the_gaussian_written_out():
    torch.manual_seed(0)
    model, images = MyPart(ImageSpace(1, 3, 4), factors=2).double(), torch.rand(5, 1, 3, 4, dtype=torch.float64)
    covariance = model.loadings @ model.loadings.T + torch.diag(FLOOR + model.log_variance.exp())
    expected = -MultivariateNormal(model.mean, covariance).log_prob(images.flatten(1))
    torch.testing.assert_close(model.negative_log_likelihood(images), expected)
