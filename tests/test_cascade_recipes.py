"""Cascades from recipes: parts of different plugins combine, and what does not fit is refused before training."""

from __future__ import annotations

import pytest
import torch

from wavekit_core.check import check
from wavekit_core.recipe.faults import RecipeFaults
from wavekit_core.recipe.recipe import load

torch.set_num_threads(1)
CASCADE = """
data: {use: digits, size: 16}
transform: {use: haar, levels: 2}
generator:
  use: cascade
  coarse: {use: wmgm-sgm, width: 32, classes: 10}
  detail: {use: msal-gan}
sampler: {use: dpmpp-2m, steps: 3}
train: {steps: 2, batch_size: 8}
"""


def found(recipe, *settings: str):
    return check(load(recipe(CASCADE), settings))


def refused(recipe, *settings: str) -> str:
    with pytest.raises(RecipeFaults) as caught:
        found(recipe, *settings)
    return str(caught.value)


COARSE = {
    "score": (),
    "mixture": ("generator.coarse={use: gmm}", "sampler=null"),
    "vae": (
        "generator.coarse={use: vae, levels: 1, regularizers: [{use: gaussian-kl}]}",
        "sampler={use: posterior-fit}",
    ),
    "wavelet-vae": (
        "generator.coarse={use: wvae, transform: {use: haar, levels: 1}, encoder: bottleneck, "
        "regularizers: [{use: gaussian-kl}]}",
        "sampler={use: prior}",
    ),
    "own sampler": ("generator.coarse.sampler={use: heun, steps: 2}", "sampler=null"),
}
DETAIL = {
    "adversarial": ("generator.detail={use: msal-gan}",),
    "one critic, at the finest level": ("generator.detail={use: msal-gan, critic_levels: [1]}",),
    "regression": ("generator.detail={use: sl}",),
    "score": ("generator.detail={use: wsgm, width: 8, sampler: {use: ddim, steps: 2}}",),
}


@pytest.mark.parametrize("coarse", COARSE)
@pytest.mark.parametrize("detail", DETAIL)
@pytest.mark.parametrize("shared", ["true", "false"])
def test_every_coarse_stage_goes_with_every_detail_stage(recipe, coarse, detail, shared):
    settings = (*COARSE[coarse], *DETAIL[detail], f"generator.share_scales={shared}")
    pipeline = found(recipe, *settings)
    assert not [remark for remark in pipeline.remarks if "does not sample" in remark]


@pytest.mark.parametrize("transform", ["{use: bior, levels: 2}", "{use: haar, levels: 2, mode: symmetric}"])
def test_any_wavelet_family_carries_a_cascade(recipe, transform):
    assert found(recipe, f"transform={transform}").flops


def test_a_cascade_without_a_pyramid_is_refused(recipe):
    assert "Pyramid" in refused(recipe, "transform=[]")


def test_another_norm_is_refused_with_the_remedy(recipe):
    assert "set norm: ortho" in refused(recipe, "transform.norm=whiten")


def test_a_detail_generator_models_no_images(recipe):
    assert refused(recipe, "generator={use: msal-gan}")


def test_what_models_images_is_no_detail_stage(recipe):
    assert refused(recipe, "generator.detail={use: wmgm-sgm}")


def test_an_autoencoder_s_sampler_has_nothing_to_draw_from(recipe):
    said = refused(recipe, "sampler={use: posterior-fit}")
    assert "no stage of the cascade takes it" in said


def test_guidance_without_classes_is_refused(recipe):
    assert "knows no classes" in refused(recipe, "generator.coarse.classes=0", "sampler.guidance=1.0")


def test_a_wrong_number_of_classes_is_found_before_training(recipe):
    said = refused(recipe, "generator.coarse.classes=7")
    assert "7 classes are to be told apart, and the data set has 10; set classes: 10" in said


def test_a_stage_s_own_sampler_has_to_fit_the_stage(recipe):
    said = refused(recipe, "generator.coarse.sampler={use: posterior-fit}", "sampler=null")
    assert "draws from Autoencoders" in said
    said = refused(recipe, "generator.detail={use: wsgm, sampler: {use: heun, guidance: 1.0}}")
    assert "knows no classes" in said


def test_a_stage_that_needs_the_sampler_has_to_take_it(recipe):
    said = refused(recipe, "generator.detail={use: wsgm}", "sampler.guidance=0.5")
    assert "ScoreDetails cannot draw without a sampler" in said
    assert "knows no classes" in said


def test_one_mlp_for_several_sizes_is_refused(recipe):
    assert "an MLP serves one size" in refused(recipe, "generator.detail={use: wsgm, network: mlp}")
    assert found(recipe, "generator.detail={use: wsgm, network: mlp}", "generator.share_scales=false").flops


def test_a_turn_without_a_step_is_refused(recipe):
    settings = ("generator.training=in-turn", "generator.coarse_share=0.02", "train.steps=20")
    assert "coarse-score is trained in none of the 20 steps" in refused(recipe, *settings)


def test_turns_are_for_two_that_train(recipe):
    settings = (
        "generator.coarse={use: gmm}",
        "sampler=null",
        "generator.training=in-turn",
        "generator.coarse_share=0.9",
    )
    assert found(recipe, *settings, "train.steps=2").flops


def test_a_horizon_beyond_all_numbers_is_refused(recipe):
    assert "horizon" in refused(recipe, "generator.coarse.horizon=400.0")
