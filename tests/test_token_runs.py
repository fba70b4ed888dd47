"""Runs of token models: what they tell of codes, in figures and in the report."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from wavekit_embedded_tokenizer.language import END
from wavekit_embedded_tokenizer.report import diversity, prefixes, report_section

from wavekit_core import open_run
from wavekit_core.pictures import quantise
from wavekit_core.recipe.recipe import load
from wavekit_core.report.sections import View
from wavekit_core.run import start
from wavekit_core.runs.publish import publish_file
from wavekit_core.tokens import Greedy, Temperature, TopP
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


def test_sequences_that_end_after_a_plane_are_the_prefixes_of_whole_ones(run):
    opened = open_run(run)
    labels = torch.arange(10)
    whole = Greedy().sample(opened.model.generator, 10, labels)
    parts = prefixes(opened.model, whole)
    assert len(parts) > 1
    for name, part in parts.items():
        assert torch.equal(Greedy(until=name).sample(opened.model.generator, 10, labels), part)
        assert torch.equal(Greedy(until=float(name)).sample(opened.model.generator, 10, labels), part)
    assert torch.equal(part, whole)


def test_a_plane_is_chosen_at_the_command_line(run, wavekit, tmp_path):
    assert wavekit("sample", run, "-n", "10", "-o", "coarse.npz", "-s", "sampler.until=1")[0] == 0
    expected = open_run(run).sample(10, sampler=TopP(guidance=1.0, until=1))
    assert np.array_equal(np.load(tmp_path / "coarse.npz")["images"], (expected * 255).round().byte().numpy())
    assert not torch.equal(expected, open_run(run).sample(10))
    code, _, err = wavekit("sample", run, "-s", "sampler.until=3")
    assert code == 2
    assert "until: 3 is no stage of the model's sequences; they have the stages 4, 2, 1, 0.5; name one" in err


def test_previews_come_closer_to_the_picture_and_leave_it_as_it_is(run, wavekit, tmp_path, monkeypatch):
    written: list[bytes] = []

    def publish(path: Path, content: bytes) -> None:
        written.append(content)
        publish_file(path, content)

    monkeypatch.setattr("wavekit_cli.pictures.publish_file", publish)
    assert wavekit("sample", run, "-n", "15", "-o", "plain.png")[0] == 0
    (plain,) = written
    written.clear()
    assert wavekit("sample", run, "-n", "15", "-o", "x.png", "--previews")[0] == 0
    assert (tmp_path / "x.png").read_bytes() == plain == written[-1]
    pictures = [np.asarray(Image.open(io.BytesIO(content)).convert("L"), float) for content in written]
    assert pictures[0].shape != pictures[-1].shape  # the first ten images, then all
    for batch in (pictures[0].shape, pictures[-1].shape):
        errors = [float(((p - pictures[-1][: len(p)]) ** 2).mean()) for p in pictures if p.shape == batch]
        assert len(errors) >= 2
        assert errors[0] > errors[-1]
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"plain.png", "x.png"}


def test_previews_are_refused_where_there_is_nothing_to_watch(run, wavekit, tmp_path):
    for out in ("x.npz", "folder"):
        code, _, err = wavekit("sample", run, "-n", "1", "-o", out, "--previews")
        assert code == 2
        assert "no picture that can be watched; name a .png" in err
        assert not (tmp_path / out).exists()


def test_a_callback_is_told_of_every_token_and_of_stages(run):
    told: list[tuple[int, int]] = []
    opened = open_run(run)
    images = opened.sample(10, callback=lambda step, stage, tokens: told.append((step, stage)))
    assert torch.equal(images, opened.sample(10))
    assert [step for step, _ in told] == list(range(len(told)))
    assert told[-1][1] == 4


class Notes(Watcher):
    """Keeps the phases, and what is noted in them."""

    def __init__(self):
        self.phases: dict[tuple[str, int, str], list[tuple[int, str]]] = {}

    def phase(self, name, total, done=0, unit=""):
        notes = self.phases.setdefault((name, total, unit), [])
        return contextlib.nullcontext(lambda now, note: notes.append((now, note)))


def test_drawing_is_a_phase_that_notes_how_far_a_batch_is(run):
    watcher = Notes()
    open_run(run, watcher=watcher).sample(15)
    (notes,) = watcher.phases.values()
    assert list(watcher.phases) == [("drawing", 15, "images")]
    assert re.fullmatch(r"stage \d, token 1", notes[0][1])
    assert {now for now, _ in notes} == {0, 10, 15}
    assert notes[-1] == (15, "")
    assert any(re.fullmatch(r"stage 0\.5, token \d+", note) and now == 10 for now, note in notes)


def test_diversity_is_the_mean_distance_within_a_class():
    images = torch.tensor([[0.0, 0], [3, 4], [0, 0], [6, 8], [100, 0]]).reshape(5, 1, 1, 2)
    assert diversity(images, torch.tensor([0, 0, 1, 1, 2])) == 7.5
    assert diversity(images[:2]) == 5
    assert math.isnan(diversity(images, torch.arange(5)))


def rows_of(body: str) -> dict[str, list[str]]:
    table = body[body.index("<th>sampler</th>") :].partition("</table>")[0]
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in table.split("<tr>")[1:]]
    return {name: cells for name, *cells in rows}


def test_the_report_says_how_diverse_samplers_are(run):
    opened = open_run(run)
    view = View(opened.folder, opened.session, opened.step, (), {})
    rows = rows_of(report_section(view).body)
    assert list(rows)[1:] == ["top-k, k = 2", "top-p, p = 0.6", "all tokens (temperature 1)"]
    assert all(len(cells) == 3 and all(float(cell) > 0 for cell in cells) for cells in rows.values())
    assert rows_of(report_section(view).body) == rows  # seeded


def test_the_report_measures_what_it_draws(run, monkeypatch):
    opened = open_run(run)
    session = opened.session
    held_out = session.held_out(256)
    real = diversity(quantise(held_out.data, session.space), held_out.labels)
    drawn = []
    monkeypatch.setattr(
        Temperature, "sample", lambda self, *given, of=Temperature.sample: drawn.append(of(self, *given)) or drawn[-1]
    )
    rows = rows_of(report_section(View(opened.folder, session, opened.step, (), {})).body)
    images = quantise(session.pipeline.invert(drawn[-1]), session.space)
    labels = torch.arange(60) % 10
    assert rows["all tokens (temperature 1)"][0] == f"{diversity(images, labels) / real:.3f}"
    nats = session.pipeline.generator.negative_log_likelihood(drawn[-1], labels).sum()
    count = int((drawn[-1] != END).sum())
    assert rows["all tokens (temperature 1)"][1] == f"{count / 60:.1f}"
    assert float(rows["all tokens (temperature 1)"][2]) == pytest.approx(float(nats) / math.log(2) / count, abs=1e-3)


def test_the_report_shows_samplers_that_end_early(run):
    opened = open_run(run)
    for sampler in (TopP(until=1), TopP(tokens=1)):
        opened.session.pipeline = opened.session.with_sampler(sampler, opened.step)
        rows = rows_of(report_section(View(opened.folder, opened.session, opened.step, (), {})).body)
        first, *others = rows.values()
        assert first[2] == ""  # a prefix has no probability of its own
        assert float(first[1]) < min(float(cells[1]) for cells in others)
