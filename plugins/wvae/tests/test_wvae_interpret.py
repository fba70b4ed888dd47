"""Walks through a latent, edits behind other decoders, and the report's section."""

import math
import re

import pytest
import torch
from wavekit_bior import Bior
from wavekit_haar import Haar
from wavekit_wvae import VAE, WaveletVAE, edit, walk
from wavekit_wvae.interpret import leakage, pixels_of, slerp
from wavekit_wvae.report import report_section, share

from wavekit_core.recipe.recipe import load
from wavekit_core.report.sections import View
from wavekit_core.session import Session
from wavekit_core.spaces import ImageSpace

torch.set_num_threads(1)
SPACE = ImageSpace(1, 16, 16)


def test_a_great_circle_turns_evenly_and_keeps_the_length():
    start, end = torch.tensor([3.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 3.0])
    way = torch.linspace(0, 1, 7)
    points = slerp(start, end, way)
    torch.testing.assert_close(points.norm(dim=1), torch.full((7,), 3.0))
    torch.testing.assert_close(points[:, 0].div(3).arccos(), way * math.pi / 2, atol=1e-5, rtol=0)
    assert not points[:, 1].any()


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0, 0.0])
def test_a_great_circle_without_an_angle_is_straight(factor):
    start = torch.tensor([1.0, -2.0])
    points = slerp(start, factor * start, torch.linspace(0, 1, 3))
    torch.testing.assert_close(points, torch.stack([start, (1 + factor) / 2 * start, factor * start]))


@pytest.mark.parametrize("layout", ["flat", "spatial"])
@pytest.mark.parametrize("make", [VAE, WaveletVAE])
def test_a_walk_begins_and_ends_at_the_reconstructions(make, layout):
    torch.manual_seed(0)
    options = {"encoder": "bottleneck"} if make is WaveletVAE else {}
    model = make(SPACE, code=3, layout=layout, width=8, **options)
    a, b = torch.rand(2, 1, 16, 16)
    strip = walk(model, a, b, steps=5)
    assert strip.shape == (5, 1, 16, 16)
    ends = model.reconstruct(torch.stack([a, b])).detach()
    torch.testing.assert_close(strip[[0, -1]], ends, atol=1e-4, rtol=0)


def test_a_walk_through_pyramids_is_straight():
    model = WaveletVAE(SPACE, Haar(levels=2), residual_dwt=True, width=8)
    a, b = torch.rand(2, 1, 16, 16)
    strip = walk(model, a, b, steps=3)
    torch.testing.assert_close(strip, torch.stack([a, (a + b) / 2, b]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("transform", "decoder"), [(Haar, "idwt+refine"), (Haar, "conv"), (Bior, "idwt")])
def test_an_edit_leaks_where_the_decoder_or_the_filters_reach_further(transform, decoder):
    torch.manual_seed(0)
    model = WaveletVAE(SPACE, transform(levels=2), decoder=decoder, width=8)
    if decoder == "idwt+refine":  # a trained refinement, and not the identity that it starts as
        torch.nn.init.normal_(model.refine.head[-1].weight, std=0.1)
    pyramid = model.transform(torch.rand(1, 1, 16, 16))
    with torch.no_grad():
        before = model.render(pyramid)
        after = model.render(edit(pyramid, "cH1", (3, 3, 4, 4), "set", 2.0))
    assert 1e-3 < leakage(before, after, pixels_of("cH1", (3, 3, 4, 4))) < 1


RECIPE = """
name: small
data: {use: digits, size: 8}
generator: {use: wvae, width: 8, code: 4, transform: {use: haar, levels: 2}, OPTIONS}
train: {steps: 2, batch_size: 16}
"""


@pytest.mark.parametrize(
    ("options", "pictures", "leak"),
    [
        ("encoder: bottleneck", 3, 0.0),
        ("encoder: unet, noise: amortised", 3, 0.0),
        ("encoder: unet, decoder: conv", 3, None),
        ("encoder: litevae, decoder: conv", 2, None),
    ],
)
def test_the_report_shows_the_latent(tmp_path, options, pictures, leak):
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("OPTIONS", options))
    torch.manual_seed(0)
    session = Session(load(tmp_path / "recipe.yaml"), torch.device("cpu"))
    section = report_section(View(None, session, 0, (), {})).body
    assert section.count("<img") == pictures
    found = re.search(r"Of the change&#x27;s energy (less than )?(\S+) % falls outside the 4×4 pixels", section)
    assert (found is not None) == (pictures == 3)
    if found:
        assert (found[1], found[2]) == ("less than ", "0.001") if leak == 0 else float(found[2]) > 1


def test_a_share_of_next_to_nothing_is_said_so():
    assert [share(part) for part in (0.0, 9e-6, 1e-5, 0.25)] == ["less than 0.001 %"] * 2 + ["0.001 %", "25 %"]


def test_no_energy_leaks_where_all_of_the_change_is_inside():
    change = torch.zeros(1, 3, 4, 4)
    change[..., :2, :2] = torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert leakage(torch.zeros_like(change), change, (0, 0, 2, 2)) == pytest.approx(0, abs=1e-12)
    assert leakage(torch.zeros_like(change), change, (0, 0, 2, 2)) >= 0
