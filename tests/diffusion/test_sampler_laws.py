"""The samplers of score and flow models keep the laws of their kind, with the exact denoiser of Gaussian data."""

import torch

from wavekit_core.diffusion.samplers import DDIM, Ancestral, DPMpp2M, FlowODE, Heun, ReverseSDE
from wavekit_core.testing import sampler_suite

torch.set_num_threads(1)

# as many steps as keep what a solver loses well below the laws' standard errors
test_reverse_sde = sampler_suite(ReverseSDE, {"steps": 300}, {"steps": 300, "final_noise": True, "data_scale": 2.0})
test_ancestral = sampler_suite(Ancestral, {"steps": 200}, {"steps": 200, "variance": "small"})
test_ddim = sampler_suite(DDIM, {"steps": 200}, {"steps": 200, "eta": 1.0, "grid": "quadratic"})
test_heun = sampler_suite(Heun, {"steps": 24}, {"steps": 24, "data_scale": 2.0, "guidance": 1.0})
test_dpmpp_2m = sampler_suite(DPMpp2M, {"steps": 50})
test_flow_ode = sampler_suite(
    FlowODE,
    {"steps": 50},
    {"steps": 50, "method": "heun"},
    {"steps": 25, "method": "rk4"},
    {"steps": 200, "method": "euler", "grid": "karras"},
)
