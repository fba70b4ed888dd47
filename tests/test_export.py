"""A trained U-Net as a folder of diffusers: the same numbers, or the reasons why not."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from wavekit_core.diffusers_unet import difference, files_of, network_of, obstacles
from wavekit_core.nets import make_network
from wavekit_core.nets.unet import UNet


def unet(size=(8, 8), width=128, multipliers=(1, 2), blocks=1, **options) -> UNet:
    torch.manual_seed(0)
    made = UNet(2, 3, size, width, multipliers, blocks, **options)
    for parameter in made.parameters():  # nothing is 0
        nn.init.normal_(parameter, std=0.05)
    return made


@pytest.mark.parametrize(
    "network",
    [
        {"classes": 3, "attention": (4,)},
        {"resample": "pool", "multipliers": (1, 1, 1)},
        {"attention": (8, 4), "blocks": 2, "head_width": 32},
        {"size": (8, 12), "multipliers": (1, 1)},
    ],
    ids=["classes", "pooled", "heads", "oblong"],
)
def test_diffusers_computes_the_same(tmp_path, network):
    pytest.importorskip("diffusers")
    made = unet(**network)
    assert obstacles(made) == []
    for name, content in files_of(made).items():
        (tmp_path / name).write_bytes(content)
    assert difference(made, str(tmp_path)) < 1e-5
    with torch.no_grad():
        made.last.bias += 1
    assert difference(made, str(tmp_path)) > 1e-3


def test_the_paper_s_network_can_be_written_and_those_of_other_group_norms_cannot():
    with torch.device("meta"):
        assert obstacles(make_network("paper", 3, 3, (32, 32), classes=10)) == []
        (reason,) = obstacles(make_network("small", 1, 1, (32, 32)))
        assert "16 at 64 channels, 32 at 128 channels" in reason
        assert obstacles(make_network("tiny", 1, 1, (16, 16), width=128)) == []


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: make_network("mlp", 1, 1, (8, 8)), "is an MLP"),
        (lambda: unet(condition_channels=1), "sees a condition"),
        (lambda: unet(size=(10, 8), multipliers=(1, 1, 1)), "10×8 cannot be halved 2 times"),
        (lambda: unet(multipliers=(2, 2)), "first level is wider"),
        (lambda: unet(multipliers=(1, 3), attention=(8, 4), head_width=96), "heads are"),
        (lambda: None, "no stage of this model"),
    ],
)
def test_every_obstacle_is_said(made, words):
    with torch.device("meta"):
        assert any(words in reason for reason in obstacles(made()))


RUN = """
    data: {use: digits, size: 8}
    generator: {use: wmgm-sgm, network: tiny, width: 128, classes: 10}
    sampler: {use: ddim, steps: 1}
    train: {steps: 1, batch_size: 2, threads: 1}
    samples: {count: 1, batch_size: 1}
"""
CASCADE = """
    data: {use: digits, size: 8}
    transform: {use: haar}
    generator: {use: cascade, coarse: {use: wmgm-sgm, width: 8}, detail: {use: wsgm, width: 8}}
    sampler: {use: ddim, steps: 1}
    train: {steps: 1, batch_size: 2, threads: 1}
    samples: {count: 1, batch_size: 1}
"""


def test_the_command_writes_a_folder_that_diffusers_reads(wavekit, recipe, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    assert wavekit("run", recipe(RUN), "--out", "r")[0] == 0
    code, out, err = wavekit("export", "r", "--to", "diffusers", "d")
    assert (code, out.splitlines()[-1]) == (0, "d"), err
    assert "computes the same" in err
    assert json.loads((tmp_path / "d/config.json").read_text())["num_class_embeds"] == 11
    assert diffusers.UNet2DModel.from_pretrained(tmp_path / "d").config.in_channels == 1
    code, _, err = wavekit("export", "r", "d")
    assert code == 2
    assert "d: is not empty" in err


def test_the_command_says_why_a_network_cannot_be_written_and_writes_nothing(wavekit, recipe, tmp_path):
    assert wavekit("run", recipe(CASCADE), "--out", "r")[0] == 0
    code, out, err = wavekit("export", "r", "d")
    assert (code, out) == (2, "")
    assert "r: cannot be written as a UNet2DModel" in err
    assert "- the network is an MLP" in err
    assert not (tmp_path / "d").exists()


def test_the_network_of_a_cascade_is_that_of_its_coarse_stage(recipe):
    from wavekit_core.recipe.recipe import load
    from wavekit_core.session import build_pipeline
    from wavekit_core.spaces import ImageSpace

    with torch.device("meta"):
        pipeline = build_pipeline(load(recipe(CASCADE)), ImageSpace(1, 8, 8))
        assert network_of(pipeline) is pipeline.generator.coarse.network
        assert (
            network_of(build_pipeline(load(recipe(RUN), ["generator={use: gmm}", "sampler=null"]), pipeline.space))
            is None
        )
