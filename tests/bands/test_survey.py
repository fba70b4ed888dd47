"""The survey of fields whose covariance is known exactly, and which pyramid is looked at."""

import math
from pathlib import Path

import numpy as np
import pytest
import pywt
import torch
from scipy import stats

from tests.bands.fields import Images, stationary, subject
from wavekit_core.bands import default_space, predictions, subject_of, survey
from wavekit_core.bands.cells import level_condition
from wavekit_core.bands.predictions import grouped
from wavekit_core.bands.subject import of_pyramid
from wavekit_core.bands.survey import THRESHOLD, default_crop, split
from wavekit_core.bands.verdicts import verdicts
from wavekit_core.diffusion.gaussian import condition, distinct, level, power_law, predicted
from wavekit_core.diffusion.samplers import Heun, ReverseSDE
from wavekit_core.errors import DataError, SpaceError
from wavekit_core.filters import FilterBank
from wavekit_core.pyramid import PyramidSpace
from wavekit_core.recipe.nodes import build
from wavekit_core.recipe.recipe import load
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import WaveletTransform

SIDE = 16
NAMES = {"H": "LH", "V": "HL", "D": "HH"}  # as haar_band calls them: the filter along the width first


@pytest.fixture(scope="module")
def white():
    return survey(subject(stationary(torch.full((SIDE, SIDE), 0.7, dtype=torch.float64))))


@pytest.fixture(scope="module")
def field():
    return survey(subject(stationary(power_law(SIDE))))


def test_white_noise_is_alike_in_all_bands_and_at_no_distance(white):
    assert [band.name for band in white.bands] == ["cA2", "cH2", "cV2", "cD2", "cH1", "cV1", "cD1"]
    for band in (*white.approximations, *white.details):
        assert band.variance == pytest.approx(0.7)
        assert band.condition == pytest.approx(1)
        assert band.block_condition == pytest.approx(1)
        assert band.lag == pytest.approx(0, abs=1e-9)
        assert white.crossing(band) == pytest.approx(0.5 * math.log(1.7))
    for band in white.bands:
        assert white.share(band) == pytest.approx(band.numbers / SIDE**2)
    for approximation in white.approximations:
        assert approximation.crops.kl == pytest.approx(0, abs=1e-9)
        assert approximation.crops.kl_reverse == pytest.approx(0, abs=1e-9)
    said = " ".join(verdicts(white, predictions(white, [16])))
    assert "pixels 1, cA2 1; 4×4 blocks 1 and 1; details of the levels 2, 1: 1, 1, whitened 1, 1" in said


def test_the_power_law_has_the_spectra_and_condition_numbers_of_theory(field):
    image = field.approximations[0]
    assert image.condition == pytest.approx(1 + 2 * (SIDE / 2) ** 2)
    torch.testing.assert_close(image.spectrum, power_law(SIDE))
    for depth in (1, 2):
        theory = level(power_law(SIDE), "LL", depth)
        assert field.approximations[depth].condition == pytest.approx(condition(theory))
        assert field.approximations[depth].variance == pytest.approx(float(theory.mean()))
    for band in field.details:
        theory = level(power_law(SIDE), NAMES[band.name[1]], band.level)
        torch.testing.assert_close(band.spectrum, theory)
    both = torch.cat([level(power_law(SIDE), band, 1).flatten() for band in ("LH", "HL", "HH")])
    assert level_condition(field, 1, whitened=False) == pytest.approx(condition(both))
    whitened = [level(power_law(SIDE), band, 1) for band in ("LH", "HL", "HH")]
    assert level_condition(field, 1, whitened=True) == pytest.approx(
        condition(torch.cat([(one / one.mean()).flatten() for one in whitened]))
    )


def test_the_power_law_falls_apart_at_later_times_in_coarser_bands(field):
    times = {band.name: field.crossing(band) for band in field.bands}
    assert times["cD1"] < times["cH1"] < times["cD2"] < times["cH2"] < times["cA2"]
    assert times["cH1"] == pytest.approx(times["cV1"])
    assert any(": they do." in said for said in verdicts(field, []))
    assert sum(map(field.share, field.bands)) == pytest.approx(1)


def test_verdicts_turn_where_the_data_deny_the_claims():
    k = torch.fft.fftfreq(SIDE, d=1 / SIDE, dtype=torch.float64)
    rough = 0.01 + (k[:, None] ** 2 + k**2) / 100
    said = verdicts(survey(subject(stationary(rough))), [])
    (noise,) = (one for one in said if one.startswith("Signal to noise"))
    assert "not all do: cD1 is not the first of its level; cH1 outlives cH2" in noise
    (distance,) = (one for one in said if one.startswith("White noise"))
    assert "From image to cA1 a dimension's distance falls" in distance
    smooth = 1 / (0.1 + k[:, None] ** 2 + k**2) ** 2
    (distance,) = (one for one in verdicts(survey(subject(stationary(smooth))), []) if one.startswith("White noise"))
    assert "singular" not in distance


def test_laplacian_details_are_sparse_as_their_distribution_says():
    n = 4096
    p = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    laplacian = torch.where(p < 0.5, (2 * p).log(), -(2 - 2 * p).log()).reshape(-1, 1, 1, 1) * 0.1
    square = torch.tensor([[1.0, -1.0], [1.0, -1.0]], dtype=torch.float64).repeat(4, 4)
    found = survey(subject(laplacian * square / 2, levels=1))  # cV1 is the Laplacian, every other detail is 0
    by_name = {band.name: band for band in found.details}
    tau = THRESHOLD * 2
    assert by_name["cV1"].sparsity(False) == pytest.approx(1 - math.exp(-tau / 0.1), abs=2 / n)
    assert by_name["cV1"].kurtosis == pytest.approx(stats.kurtosis(laplacian.flatten().numpy(), fisher=False))
    assert by_name["cV1"].kurtosis == pytest.approx(6, rel=0.05)  # the tails of a finite sample are short
    assert by_name["cV1"].negentropy == pytest.approx(0.5 * math.log(math.pi / math.e), abs=0.02)
    assert by_name["cH1"].sparsity(False) == 1


def test_the_brightness_of_images_is_told_from_what_lies_within_them(field):
    images = stationary(power_law(SIDE))
    theory = float(power_law(SIDE).sum() - power_law(SIDE)[0, 0]) / SIDE**2
    assert field.within == pytest.approx(theory)
    assert field.within == pytest.approx(float((images - images.mean((2, 3), keepdim=True)).square().mean()))


def test_predicted_errors_are_those_of_the_exact_spectrum(field):
    found = {(one.what, one.sampler, one.steps): one for one in predictions(field, [8])}
    for name, sampler, theory in (
        ("reverse-sde", ReverseSDE(steps=8), power_law(SIDE)),
        ("heun", Heun(steps=8), power_law(SIDE)),
    ):
        exact = predicted(*distinct(theory), sampler)
        assert found["pixels", name, 8].kl == pytest.approx(exact.kl, rel=1e-3)
        assert found["pixels", name, 8].w2 == pytest.approx(exact.w2, rel=1e-3)
    assert found["pixels", "heun", 8].evaluations == 15
    coarse = level(power_law(SIDE), "LL", 2)
    exact = predicted(*distinct(coarse / coarse.mean()), ReverseSDE(steps=8))
    assert found["cA2", "reverse-sde", 8].kl == pytest.approx(exact.kl, rel=1e-3)


def test_groups_keep_the_sum_and_the_number_of_directions():
    variances = power_law(32).flatten()
    values, counts = grouped(variances)
    assert int(counts.sum()) == 1024
    assert float((values * counts).sum()) == pytest.approx(float(variances.sum()))
    assert len(values) < 200


def test_directions_without_variance_are_left_out_and_said():
    grey = torch.linspace(-1, 1, 500, dtype=torch.float64)[:, None, None, None].expand(500, 1, SIDE, SIDE)
    found = survey(subject(grey.contiguous()))
    assert math.isinf(found.approximations[0].block_condition)
    assert all(math.isinf(a.crops.kl) for a in found.approximations)
    assert {one.what for one in predictions(found, [8])} == {"pixels", "cA2"}
    assert all(math.isfinite(one.kl) for one in predictions(found, [8]))
    assert "not computable" in " ".join(verdicts(found, []))


def test_constant_images_have_no_faults():
    found = survey(subject(torch.full((3, 2, 8, 8), 0.5)))
    assert found.energy == 0
    assert predictions(found) == []
    assert verdicts(found, [])


def test_crops_of_which_there_are_too_few_are_singular_or_marked():
    images = torch.randn(20, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert default_crop(subject(images).space, 20) == 2
    assert default_crop(subject(images).space, 10_000) == 4
    found = survey(subject(images), crop=4)
    assert [field.crops.enough for field in found.approximations] == [True, False, False]
    assert [field.crops.count for field in found.approximations] == [320, 80, 20]
    assert math.isinf(survey(subject(images[:16]), crop=4).approximations[2].crops.kl)


def test_a_scan_of_a_part_takes_the_same_images_each_time():
    images = torch.randn(300, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    one, other = (survey(subject(images, levels=1), 40) for _ in range(2))
    assert one.images == 40
    assert one.approximations[0].variance == other.approximations[0].variance
    assert one.approximations[0].variance != survey(subject(images, levels=1)).approximations[0].variance


@pytest.mark.parametrize(
    ("wavelet", "mode", "size"),
    [("haar", "periodization", (16, 12)), ("bior4.4", "whole-symmetric", (13, 18)), ("bior4.4", "symmetric", (16, 16))],
)
def test_fields_are_the_bands_of_the_transform_level_by_level(wavelet, mode, size):
    images = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    transform = WaveletTransform(FilterBank.from_pywt(wavelet), 2, mode)
    space = transform.target(ImageSpace(3, *size))
    fields, bands = dict(split(images, space)), transform(images).bands()
    for name, band in bands.items():
        torch.testing.assert_close(fields[name], band)
    if mode == "symmetric":
        np.testing.assert_allclose(fields["cA1"], pywt.dwt2(images.numpy(), wavelet, mode)[0], atol=1e-9)


def test_what_is_not_orthonormal_is_said():
    dataset = Images(torch.zeros(1, 1, 16, 16))
    space = WaveletTransform(FilterBank.from_pywt("bior4.4"), 1).target(dataset.space)
    assert "not orthonormal" in of_pyramid(dataset, space, None, 0).remarks[0]
    assert subject(torch.zeros(1, 1, 16, 16)).remarks == ()


def test_a_pyramid_without_filters_is_refused():
    dataset = Images(torch.zeros(1, 1, 8, 8))
    space = PyramidSpace(dataset.space, "ridgelets", "none", "ortho", ((4, 4),))
    with pytest.raises(SpaceError, match="ridgelets does not say its filters"):
        of_pyramid(dataset, space, None, 0)


def test_no_images_are_refused():
    with pytest.raises(DataError, match="no training images"):
        survey(subject(torch.zeros(0, 1, 8, 8)))


@pytest.mark.parametrize(("size", "levels"), [(8, 1), (16, 2), (28, 2), (32, 3), (128, 5), (256, 5), (9, 1)])
def test_haar_is_the_default_as_deep_as_the_size_allows(size, levels):
    assert default_space(ImageSpace(1, size, size)).levels == levels


@pytest.mark.parametrize(
    ("recipe", "settings", "levels", "norm"),
    [
        ("quickstart", [], 2, "ortho"),
        ("quickstart", ["generator.transform.levels=1"], 1, "ortho"),
        ("gmm", ["transform.norm=whiten", "transform.levels=3"], 3, "whiten"),
        ("vae", [], 2, "ortho"),
    ],
    ids=["the generator's", "with a setting", "the pipeline's", "none"],
)
def test_the_pyramid_is_that_of_the_recipe(recipe, settings, levels, norm):
    loaded = load(Path(recipe), settings)
    found = subject_of(build(loaded.part("data")), loaded)
    assert (found.space.levels, found.space.norm) == (levels, norm)
    assert bool(found.remarks) == (norm == "whiten" or recipe == "vae")


def test_images_are_those_behind_the_transforms_before_the_pyramid(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(
        "data: {use: digits, size: 16}\ntransform: [{use: haar, packet: true}, {use: haar, levels: 1}]\n"
        "generator: {use: gmm}\ntrain: {steps: 0}\n"
    )
    loaded = load(path)
    found = subject_of(build(loaded.part("data")), loaded)
    assert found.space.image.shape == (4, 8, 8)
    looked = survey(found, 32)
    assert looked.approximations[0].shape == (4, 8, 8)
    assert looked.approximations[0].mean != 0
