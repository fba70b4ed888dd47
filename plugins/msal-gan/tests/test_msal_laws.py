"""The multi-scale adversarial model and its baselines keep the laws of generators."""

from importlib.util import find_spec

import pytest
import torch
from wavekit_haar import Haar
from wavekit_msal_gan import MSAL, OL, SL

from wavekit_core.kinds import DetailSpace
from wavekit_core.spaces import ImageSpace
from wavekit_core.testing import generator_suite

torch.set_num_threads(1)
PYRAMIDS = Haar(levels=2).target(ImageSpace(1, 8, 8))
SPACES = [DetailSpace(PYRAMIDS, (2, 1))]
FINEST = [DetailSpace(PYRAMIDS, (1,))]
FAST = {"width": 4, "depth": 1, "lr": 1e-2, "critic_lr": 1e-2}

test_msal = generator_suite(
    MSAL,
    {**FAST, "r1_every": 2, "noise_in_blocks": True, "norm": "batch-per-scale"},
    {**FAST, "critic": "paper-sigmoid", "critic_levels": [1]},
    spaces=SPACES,
    steps=25,
)
test_other_critics = generator_suite(
    MSAL,
    {**FAST, "critic": "wgan-clip", "clip": 0.1},
    {**FAST, "critic": "hinge"},
    {**FAST, "critic": "wgan-gp", "loss_domain": "details"},
    spaces=FINEST,
    steps=25,
)
test_sl = generator_suite(SL, {"width": 4, "depth": 1, "lr": 1e-2, "ssim": 0.5}, spaces=SPACES, steps=25)

test_ol = pytest.mark.skipif(find_spec("neuralop") is None, reason="neuraloperator is not installed")(
    generator_suite(OL, {"hidden": 4, "modes": 4, "layers": 1, "lr": 1e-2}, spaces=SPACES, steps=25)
)
