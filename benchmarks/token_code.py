"""What the code itself costs, whatever model writes it: `python benchmarks/token_code.py RECIPE [-s KEY=VALUE] --json FILE`.

Training images, coded to each bit-plane and decoded, measured as the recipe measures samples: they are what a model that knows
the codes' distribution would draw. The folder of data sets is WAVEKIT_DATA_ROOT.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import torch
from results import publish
from wavekit_embedded_tokenizer.language import END
from wavekit_embedded_tokenizer.report import prefixes

from wavekit_core.kinds import Evidence
from wavekit_core.pictures import quantise
from wavekit_core.recipe.recipe import load
from wavekit_core.session import Session, choose_device

MEASURES = ("class-agreement", "gfd[class-cnn]")
NOTE = "Training images, coded and decoded, against held-out ones; gfd (squared feature), PSNR (dB), tokens an image."


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--set", "-s", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    session = Session(load(given.recipe, given.set), choose_device("cpu"))
    model, count = session.pipeline, given.count
    session.fit()
    batches = list(islice(session.batches(), -(-count // session.CHUNK)))
    images = torch.cat([batch.data for batch in batches])[:count]
    labels = torch.cat([batch.labels for batch in batches])[:count]  # type: ignore[misc]
    rows = []
    for threshold, tokens in prefixes(model, model.represent(images)).items():
        coded = quantise(model.invert(tokens), session.space)
        error = ((coded - images) / (session.space.high - session.space.low)).square().flatten(1).mean(1)
        evidence = Evidence(session.dataset, coded, None, coded, labels)
        found = {f.name: f.value for metric in session.metrics for f in metric.measure(evidence) if f.name in MEASURES}
        row = {"name": f"T_f = {threshold}", "value": float((tokens != END).sum(1).double().mean()), "unit": "tokens"}
        rows.append(row | {"PSNR": float((-10 * error.clamp(min=1e-10).log10()).mean())} | found)
        print(", ".join(f"{key} {value:.4g}" if isinstance(value, float) else value for key, value in rows[-1].items()))
    command = " ".join(["python benchmarks/token_code.py", str(given.recipe), *(f"-s {one}" for one in given.set)])
    publish(given.json, f"What the code of {given.recipe} costs", command, rows, note=NOTE)


if __name__ == "__main__":
    main()
