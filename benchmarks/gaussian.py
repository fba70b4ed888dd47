"""What each sampler loses on Gaussian data with the exact score: `python benchmarks/gaussian.py [--json FILE]`.

The data are a field of 128×128 pixels with the power spectrum 1 / (1 + |k|²), the approximation of two Haar levels of it, and its
horizontal details of level 1, each brought to variance 1. Nothing is drawn: `wavekit_core.diffusion.gaussian` computes variances.
KL(data ‖ samples) in nats and the squared Wasserstein distance are those of one dimension. `specification` is the KL that
the tests hold the computation to.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from results import publish

from wavekit_core.diffusion.gaussian import distinct, level, power_law, predicted, whitened
from wavekit_core.diffusion.samplers import DDIM, Ancestral, DiffusionSampler, DPMpp2M, FlowODE, Heun, ReverseSDE

FIELDS = {
    "pixels": power_law(),
    "LL of 2 levels": whitened(level(power_law(), "LL", 2)),
    "LH of level 1": whitened(level(power_law(), "LH", 1)),
}
EVALUATIONS = (4, 16, 64)
SPECIFIED = {  # Euler–Maruyama with noise in every step, at 4, 16 and 64 steps
    ("uniform", "pixels"): (0.737, 0.213, 0.0322),
    ("quadratic", "pixels"): (0.241, 0.0214, 0.0015),
    ("uniform", "LL of 2 levels"): (0.667, 0.182, 0.0258),
    ("quadratic", "LL of 2 levels"): (0.209, 0.0185, 0.0013),
    ("uniform", "LH of level 1"): (0.232, 0.0211, 0.0016),
    ("quadratic", "LH of level 1"): (0.052, 0.0034, 0.0002),
}
NOTE = """\
A field of spectrum 1 / (1 + |k|²) on 128×128 pixels and its Haar bands, each of variance 1, with the exact score, from the
Ornstein–Uhlenbeck time 5. `value` is KL(data ‖ samples), W₂² the squared Wasserstein distance, both a dimension. `specification`
is the KL that the tests hold the computation to. Exact: nothing is drawn."""


def samplers(evaluations: int) -> dict[str, DiffusionSampler]:
    """Every sampler with `evaluations` of the denoiser, or with one less, by name and grid."""
    n, half = evaluations, evaluations // 2  # the last step of Heun's method has one
    return {
        "reverse-sde, uniform, noise in every step": ReverseSDE(n, "uniform", final_noise=True),
        "reverse-sde, quadratic, noise in every step": ReverseSDE(n, "quadratic", final_noise=True),
        "reverse-sde, uniform": ReverseSDE(n, "uniform"),
        "reverse-sde, quadratic": ReverseSDE(n, "quadratic"),
        "ancestral, quadratic": Ancestral(n, "quadratic"),
        "ddim, quadratic": DDIM(n, "quadratic"),
        "heun, karras": Heun(half, "karras"),
        "dpmpp-2m, log-snr": DPMpp2M(n, "log-snr"),
        "flow-ode, flow": FlowODE(half, "flow"),
    }


def rows() -> list[dict[str, Any]]:
    fields = {name: distinct(spectrum) for name, spectrum in FIELDS.items()}
    found = []
    for place, evaluations in enumerate(EVALUATIONS):
        for name, sampler in samplers(evaluations).items():
            for field, of in fields.items():
                kl, w2 = predicted(*of, sampler)
                noisy = isinstance(sampler, ReverseSDE) and sampler.final_noise
                specified = SPECIFIED[sampler.grid, field][place] if noisy else None
                row = {"name": f"{name}: {field}", "evaluations": sampler.evaluations, "value": kl, "unit": "KL, nats"}
                found.append(row | {"specification": specified, "W₂²": w2})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    measured = rows()
    for row in measured:
        asked = "" if row["specification"] is None else f", specification {row['specification']:g}"
        print(f"{row['name']}, {row['evaluations']} evaluations: KL {row['value']:.4g}{asked}, W₂² {row['W₂²']:.4g}")
    publish(given.json, "What samplers lose on Gaussian data", "python benchmarks/gaussian.py", measured, note=NOTE)


if __name__ == "__main__":
    main()
