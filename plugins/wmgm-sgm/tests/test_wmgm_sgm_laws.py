"""The score models keep the laws of generators."""

import torch
from wavekit_wmgm_sgm import ScoreDetails, ScoreModel

from wavekit_core.kinds import DetailSpace
from wavekit_core.spaces import ImageSpace
from wavekit_core.testing import generator_suite
from wavekit_core.wavelets import FilterBank, WaveletTransform

torch.set_num_threads(1)
PYRAMIDS = WaveletTransform(FilterBank.from_pywt("haar"), levels=2).target(ImageSpace(1, 8, 8))
HEUN = {"use": "heun", "steps": 2}

test_score_model = generator_suite(
    ScoreModel,
    {"width": 16, "lr": 1e-2},
    {"width": 16, "lr": 1e-2, "classes": 2, "parametrisation": "noise", "times": "uniform", "sampler": HEUN},
    {"width": 8, "lr": 1e-2, "network": "tiny", "parametrisation": "edm", "times": "log-normal", "scale": "range"},
    {"width": 16, "lr": 1e-2, "scale": "decorrelate", "parametrisation": "noise"},
    steps=80,
)
test_score_details = generator_suite(
    ScoreDetails,
    {"width": 8, "lr": 1e-2},
    {"width": 8, "lr": 1e-2, "classes": 2, "sampler": HEUN},
    spaces=[DetailSpace(PYRAMIDS, (2, 1))],
    steps=50,
)
