"""The laws of a regularizer, and closed forms of this one."""

import torch
from wavekit_core.testing import regularizer_suite

from wavekit_my_part import MyPart, log_cosh

test_laws = regularizer_suite(MyPart)


def test_log_cosh_is_the_logarithm_of_the_hyperbolic_cosine():
    x = torch.linspace(-20, 20, 401, dtype=torch.float64)
    torch.testing.assert_close(log_cosh(x), x.cosh().log())


def test_log_cosh_of_large_numbers_is_finite():
    torch.testing.assert_close(log_cosh(torch.tensor([-1e4, 1e4])), torch.tensor([1e4, 1e4]) - torch.tensor(2.0).log())
