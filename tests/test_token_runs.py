"""Runs of token models: what they tell of codes, in figures and in the report."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from wavekit_embedded_tokenizer.language import END
from wavekit_embedded_tokenizer.report import prefixes

from wavekit_core import open_run
from wavekit_core.recipe.recipe import load
from wavekit_core.run import start
from wavekit_core.watch import Watcher

RECIPE = """
data: {use: digits, size: 8}
transform:
  - {use: haar, levels: 2}
  - {use: embedded-tokenizer, lowest: 0.5}
generator: {use: ar-transformer, width: 16, depth: 1, heads: 2, classes: 10}
sampler: {use: top-p, guidance: 1.0}
train: {steps: 3, batch_size: 8, threads: 1}
samples: {count: 10, batch_size: 10}
evaluate: [{use: code-length}]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "tokens.yaml").write_text(RECIPE)
    start(load(folder / "tokens.yaml"), b"", folder / "run", torch.device("cpu"), Watcher())
    return folder / "run"


def test_the_bits_of_a_code_are_those_of_its_planes_of_its_kinds_of_places_and_of_its_tokens(run):
    figures = {f["name"]: f["value"] for f in json.loads((run / "evaluation.json").read_text())["figures"]}
    whole = figures["bits-per-pixel"]
    assert whole == pytest.approx(figures["nats"] / (64 * math.log(2)))
    for part in ("plane", "kind", "token"):
        values = [value for name, value in figures.items() if name.startswith(f"bits-per-pixel/{part}/")]
        assert len(values) > 2
        assert sum(values) == pytest.approx(whole)
    assert {"bits-per-pixel/plane/0.5", "bits-per-pixel/kind/block", "bits-per-pixel/token/group4"} <= set(figures)


def test_the_report_shows_images_plane_by_plane(run):
    page = (run / "report.html").read_text()
    assert "Tokens, plane by plane" in page
    assert page.count("after each bit-plane") >= 2  # of held-out images, and of samples


def test_prefixes_end_with_their_plane_and_come_closer_to_the_image(run):
    opened = open_run(run)
    images = opened.session.held_out(50).data
    tokens = opened.model.represent(images)
    parts = prefixes(opened.model, tokens)
    assert list(parts) == ["2", "1", "0.5"]
    assert torch.equal(parts["0.5"], tokens)
    errors = [float((opened.model.invert(part) - images).square().mean()) for part in parts.values()]
    assert errors == sorted(errors, reverse=True)
    assert [bool((part == END).any()) for part in parts.values()] == [True] * 3


def test_every_sample_decodes_and_what_is_known_stays(run):
    opened = open_run(run)
    model, tokenizer = opened.model, opened.model.transforms[-1]
    pyramid = model.represent(opened.session.held_out(4).data, 1)
    exact = tokenizer.inverse(tokenizer(pyramid))
    free = type(exact)(exact.approx, tuple(torch.full_like(d, torch.nan) for d in exact.details), exact.space)
    torch.manual_seed(0)
    drawn = tokenizer.inverse(model.sampler.sample(model.generator, 4, torch.arange(4), tokenizer.known(free)))
    torch.testing.assert_close(drawn.approx, exact.approx)
