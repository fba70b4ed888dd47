"""What was found, as tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from wavekit_core.bands.formulas import condition, snr
from wavekit_core.bands.predictions import Predicted
from wavekit_core.bands.survey import ENOUGH, THRESHOLD, Crops, Field, Survey
from wavekit_core.report.cells import Cells, number

TIMES = (0.03, 0.1, 0.3, 1.0, 3.0)  # of the Ornstein–Uhlenbeck process


def tables(survey: Survey, predicted: Sequence[Predicted]) -> Iterator[tuple[str, Cells, str]]:
    """(title, table, what its columns are)."""
    tau = f"τ = {THRESHOLD:g} of the image's range"
    yield (
        "Bands",
        of_bands(survey),
        "In the filters' own units. Share: of the variance of all coefficients. Kurtosis: 3 for a Gaussian, 6 for a Laplacian. "
        "Negentropy: nats from one coefficient's distribution to the Gaussian of its mean and variance, after uniform noise of a "
        f"grey step. Sparse: share of |c| ≤ τ, {tau}; scaled: of |c| ≤ τ·2^(level − 1). Lag 1: correlation of neighbours.",
    )
    yield (
        "Signal to noise",
        of_noise(survey),
        "e^(−2t)·variance / (1 − e^(−2t)) at time t of the Ornstein–Uhlenbeck process, for images in [−1, 1]; last, the time at "
        "which it is 1, ½ ln(1 + variance).",
    )
    yield (
        "Approximations",
        of_approximations(survey),
        "Condition: largest over smallest variance, along the directions of the discrete Fourier basis (at most that of the "
        "covariance), and of the covariance of 4×4 blocks. KL a dimension: between N(0, I) and the Gaussian with mean and "
        "covariance of crops, brought to mean 0 and variance 1; of the level: times its numbers. ∞: singular; ?: fewer than "
        f"{ENOUGH} crops for each of a crop's numbers, by which the inverse covariance becomes too large.",
    )
    yield (
        "Details, a level's three together",
        of_levels(survey),
        "Condition as above, over the three bands: as they are, and each divided by its standard deviation. Sparse as above; "
        "count: of |c| > τ in an image.",
    )
    yield (
        "Predicted error of samplers",
        of_predictions(predicted),
        "Between Gaussian data of the measured spectrum, brought to variance 1, and what a sampler makes of it with the exact "
        "score: KL(data ‖ samples) in nats and squared Wasserstein distance, a dimension. Evaluations: of the network, an image. "
        "Where W₂² stays although steps grow, the largest variance is not small beside the largest noise, σ = 148.",
    )


def of_bands(survey: Survey) -> Cells:
    head = ["band", "size", "share", "mean", "std", "kurtosis", "negentropy", "lag 1", "sparse", "scaled"]
    lines = [
        [
            band.name,
            _size(band),
            _percent(survey.share(band)),
            *map(number, (band.mean, math.sqrt(band.variance), band.kurtosis, band.negentropy, band.lag)),
            *(_percent(band.sparsity(scaled)) for scaled in (False, True)),
        ]
        for band in survey.bands
    ]
    return Cells(head, lines)


def of_noise(survey: Survey) -> Cells:
    gain = (2 / (survey.space.image.high - survey.space.image.low)) ** 2
    lines = [
        [band.name, *(number(snr(gain * band.variance, t)) for t in TIMES), number(survey.crossing(band))]
        for band in survey.bands
    ]
    return Cells(["band", *(f"t = {t:g}" for t in TIMES), "1 at t"], lines)


def of_approximations(survey: Survey) -> Cells:
    side = next((field.crops.side for field in survey.approximations if field.crops), 0)
    head = ["", "size", "std", "lag 1", "condition", "4×4 blocks", f"{side}×{side} crops", "KL(N ‖ crops)"]
    lines = []
    for field in survey.approximations:
        crops = field.crops
        distances = (crops.kl, crops.kl * field.numbers, crops.kl_reverse) if crops else (None, None, None)
        lines.append(
            [
                field.name,
                _size(field),
                *map(number, (math.sqrt(field.variance), field.lag)),
                *map(_number, (field.condition, field.block_condition)),
                "" if crops is None else f"{crops.count:,}",
                *(_certain(value, crops) for value in distances),
            ]
        )
    return Cells([*head, "of the level", "KL(crops ‖ N)"], lines)


def of_levels(survey: Survey) -> Cells:
    head = ["level", "condition", "whitened", "sparse", "scaled", "count"]
    lines = []
    for level in range(survey.space.levels, 0, -1):
        bands = survey.at(level)
        sparse = [mean([band.sparsity(scaled) for band in bands]) for scaled in (False, True)]
        count = sum(band.numbers * (1 - band.sparsity(False)) for band in bands)
        conditions = [level_condition(survey, level, whitened) for whitened in (False, True)]
        lines.append([str(level), *map(_number, conditions), *map(_percent, sparse), number(count)])
    return Cells(head, lines)


def of_predictions(predicted: Sequence[Predicted]) -> Cells:
    whats = list(dict.fromkeys(one.what for one in predicted))
    rows: dict[tuple[str, int, int], dict[str, Predicted]] = {}
    for one in predicted:
        rows.setdefault((one.sampler, one.steps, one.evaluations), {})[one.what] = one
    lines = []
    for (sampler, steps, evaluations), found in rows.items():
        kl = [_number(found[what].kl) for what in whats]
        lines.append([sampler, str(steps), str(evaluations), *kl, *(_number(found[what].w2) for what in whats)])
    return Cells(
        ["sampler", "steps", "evaluations", *(f"KL, {what}" for what in whats), *(f"W₂², {what}" for what in whats)],
        lines,
    )


def level_condition(survey: Survey, level: int, whitened: bool) -> float:
    """Largest over smallest variance along the Fourier directions of a level's three details."""
    bands = [band for band in survey.at(level) if band.variance]
    if not bands:
        return math.inf
    spectra = [band.spectrum / (band.variance if whitened else 1) for band in bands]
    return condition(torch.cat([spectrum.flatten() for spectrum in spectra]))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def rows(survey: Survey, predicted: Sequence[Predicted]) -> list[dict[str, Any]]:
    """Every finite figure as {figure, value, unit}."""
    found: list[dict[str, Any]] = [
        {"figure": f"{field.name}: {name}", "value": value, "unit": unit}
        for field in (*survey.approximations, *survey.details)
        for name, value, unit in _figures(survey, field)
        if value is not None and math.isfinite(value)
    ]
    found.append(
        {"figure": "image: within", "value": survey.within, "unit": "of the pixels' variance, not of images' means"}
    )
    for one in predicted:
        where = f"{one.what}, {one.sampler}, {one.steps} steps"
        found.append({"figure": f"{where}: KL", "value": one.kl, "unit": "nats a dimension"})
        found.append({"figure": f"{where}: W2", "value": one.w2, "unit": "variance, a dimension"})
    return found


def _figures(survey: Survey, field: Field) -> Iterator[tuple[str, float | None, str]]:
    yield "share", survey.share(field), "of the variance of all coefficients"
    yield "mean", field.mean, "filters' units"
    yield "variance", field.variance, "filters' units"
    yield "kurtosis", field.kurtosis, "3 for a Gaussian"
    yield "negentropy", field.negentropy, "nats a coefficient"
    yield "lag 1", field.lag, "correlation"
    yield "signal equals noise", survey.crossing(field), "time, images in [-1, 1]"
    yield "sparse", field.sparsity(False), f"share of |c| ≤ {THRESHOLD:g} of the range"
    yield "sparse, scaled", field.sparsity(True), f"share of |c| ≤ {THRESHOLD:g} · 2^(level - 1) of the range"
    yield "condition", field.condition, "of the spectrum"
    yield "condition of 4×4 blocks", field.block_condition, "of the covariance"
    if field.crops:
        unit = f"nats a dimension, crops {field.crops.side}×{field.crops.side}"
        yield "KL(N(0, I) ‖ crops)", field.crops.kl, unit
        yield "KL(crops ‖ N(0, I))", field.crops.kl_reverse, unit


def _size(field: Field) -> str:
    channels, height, width = field.shape
    return f"{height}×{width}" + (f"×{channels}" if channels > 1 else "")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _number(value: float | None) -> str:
    return "∞" if value is not None and math.isinf(value) else number(value)


def _certain(value: float | None, crops: Crops | None) -> str:
    return _number(value) + ("" if crops is None or crops.enough or math.isinf(value or 0) else "?")
