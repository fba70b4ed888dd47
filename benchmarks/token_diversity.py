"""What keeping to probable tokens costs in diversity: `python benchmarks/token_diversity.py RUN --json FILE`.

Of a run of a model of tokens with classes: samples drawn by several samplers, their class agreement, and their
diversity, the mean distance between two samples of a class as a share of that between two held-out images of a class.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from results import publish
from wavekit_embedded_tokenizer.report import diversity

from wavekit_core import open_run
from wavekit_core.kinds import Evidence
from wavekit_core.metrics.classifier import ClassAgreement
from wavekit_core.pictures import quantise
from wavekit_core.tokens import Greedy, Temperature, TokenSampler, TopK, TopP

SAMPLERS: dict[str, TokenSampler] = {
    "greedy": Greedy(),
    "top-k, k = 2": TopK(2),
    "top-p, p = 0.6": TopP(0.6),
    "top-p, p = 0.9": TopP(0.9),
    "all legal tokens": Temperature(),
    "all legal tokens, guidance 1": Temperature(guidance=1.0),
    "top-p, p = 0.9, guidance 1": TopP(0.9, guidance=1.0),
}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    run = open_run(given.run)
    session, model = run.session, run.model
    held_out = session.held_out(1000)
    real = diversity(quantise(held_out.data, session.space), held_out.labels)  # type: ignore[arg-type]
    judge = next((metric for metric in session.metrics if isinstance(metric, ClassAgreement)), ClassAgreement())
    labels = torch.arange(given.count) % len(session.classes)
    rows = []
    for name, sampler in SAMPLERS.items():
        torch.manual_seed(0)
        drawn = quantise(model.invert(sampler.sample(model.generator, given.count, labels)), session.space)
        agreement = judge.measure(Evidence(session.dataset, drawn, None, drawn, labels))[0].value
        share = diversity(drawn, labels) / real
        rows.append({"name": name, "value": share, "unit": "diversity, share of real", "class agreement": agreement})
        print(f"{name}: diversity {share:.3f} of real images', class agreement {agreement:.3f}", flush=True)
    command = f"python benchmarks/token_diversity.py {given.run}"
    title = f"Diversity of samplers of tokens, {given.run.name}"
    publish(given.json, title, command, rows)


if __name__ == "__main__":
    main()
