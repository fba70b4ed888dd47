"""What a paper claims of the bands and what these data show, in sentences that are made from the figures.

S4, WMGM's paper: Multi-scale Generative Modeling for Fast Sampling, arXiv 2411.09356.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from wavekit_core.bands.cells import level_condition, mean
from wavekit_core.bands.predictions import Predicted
from wavekit_core.bands.survey import THRESHOLD, Field, Survey

FLAT = 1.25  # a factor up to which two figures are called equal
STEPS = 16


def verdicts(survey: Survey, predicted: Sequence[Predicted]) -> list[str]:
    """A paragraph a claim."""
    said = [energy(survey), order(survey), gaussianity(survey), sparsity(survey), conditions(survey), errors(predicted)]
    return [one for one in said if one]


def energy(survey: Survey) -> str:
    fine = [level for level in (1, 2) if level <= survey.space.levels]
    share = sum(survey.share(band) for level in fine for band in survey.at(level))
    which = "Levels 1 and 2 hold" if len(fine) == 2 else "Level 1 holds"
    coarsest = survey.bands[0]
    inside = ""
    if survey.space.orthonormal and survey.within > 0:
        inside = f", and {_percent(share / survey.within)} of the variance within images"
    return (
        f"Energy: {coarsest.name} holds {_percent(survey.share(coarsest))} of the variance. {which} {_percent(share)} of "
        f"it{inside}."
    )


def order(survey: Survey) -> str:
    """S4 Fig. 1."""
    times = {band.name: survey.crossing(band) for band in survey.bands}
    broken = []
    for level in range(1, survey.space.levels + 1):
        cD, others = times[f"cD{level}"], [times[f"c{o}{level}"] for o in "HV"]
        if cD > min(others):
            broken.append(f"cD{level} is not the first of its level")
        coarser = [f"c{o}{level + 1}" for o in "HVD"] if level < survey.space.levels else [survey.bands[0].name]
        late = [(one, two) for one, two in zip((f"c{o}{level}" for o in "HVD"), coarser * 3, strict=False)]
        broken += [f"{one} outlives {two}" for one, two in late if times[one] > times[two]]
    levels = [mean([times[band.name] for band in survey.at(level)]) for level in range(1, survey.space.levels + 1)]
    listed = ", ".join(f"level {level} at {_three(time)}" for level, time in enumerate(levels, 1))
    said = "they do" if not broken else f"not all do: {'; '.join(broken[:4])}{'; …' * (len(broken) > 4)}"
    return (
        "Signal to noise (WMGM's paper, Fig. 1: diagonal details drown first, then the others, then coarser levels): "
        f"{said}. The signal equals the noise for {listed} (means of three bands), {survey.bands[0].name} at "
        f"{_three(times[survey.bands[0].name])}."
    )


def gaussianity(survey: Survey) -> str:
    """S4 Fig. 5."""
    claim = "White noise (WMGM's paper, Fig. 5: the coarser an approximation, the closer to N(0, I)): "
    fields = [field for field in survey.approximations if field.crops]
    found = [field for field in fields if field.crops and math.isfinite(field.crops.kl)]
    if len(found) < 2:
        side = fields[0].crops.side if fields and fields[0].crops else 0
        return f"{claim}not computable: the covariance of {side}×{side} crops is singular, on these data or for want of crops."
    first, last = found[0], found[-1]
    per, dims = _kl(first) / _kl(last), first.numbers / last.numbers
    listed = ", ".join(f"{field.name} {_three(_kl(field))}" for field in found)
    singular = [field.name for field in fields if field not in found]
    left_out = f" ({', '.join(singular)}: singular)" if singular else ""
    steps = [_kl(one) / _kl(two) for one, two in pairwise(found)]
    turn = "".join(
        f" From {one.name} to {two.name} a dimension's distance {_course(step)}."
        for (one, two), step in zip(pairwise(found), steps, strict=True)
    )
    uncertain = [field.name for field in found if field.crops and not field.crops.enough]
    caution = f" Too few crops to trust: {', '.join(uncertain)}." if uncertain else ""
    return (
        f"{claim}the total of a level changes by a factor of {_three(1 / (per * dims))} from {first.name} to {last.name}, of "
        f"which {_three(1 / dims)} is the number of dimensions and {_three(1 / per)} the distance of one dimension; in nats a "
        f"dimension: {listed}{left_out}.{turn}{caution}"
    )


def _kl(field: Field) -> float:
    assert field.crops is not None
    return field.crops.kl


def _course(factor: float) -> str:
    if factor > FLAT:
        return f"falls {_three(factor)}-fold"
    return f"rises {_three(1 / factor)}-fold" if factor < 1 / FLAT else "stays equal"


def sparsity(survey: Survey) -> str:
    """S4 Fig. 6."""
    if survey.space.levels < 2:
        return ""
    levels = range(1, survey.space.levels + 1)
    fixed, scaled = (
        [mean([band.sparsity(kind) for band in survey.at(level)]) for level in levels] for kind in (False, True)
    )
    counts = [sum(b.numbers * (1 - b.sparsity(False)) for b in survey.at(level)) for level in levels]
    return (
        f"Sparsity (WMGM's paper, Fig. 6: deeper levels have fewer coefficients that are not small): with one τ, "
        f"{THRESHOLD:g} of the range, the share of small ones {_trend(fixed)} "
        f"({_listed(fixed)} from level 1 on), with τ doubled a level it "
        f"{_trend(scaled)} ({_listed(scaled)}); the number of larger ones {_trend(counts)} "
        f"({', '.join(map(_three, counts))}), and a level has about a quarter of the coefficients of the one before."
    )


def _trend(values: Sequence[float]) -> str:
    pairs = list(pairwise(values))
    if max(values) <= FLAT * min(values):
        return "stays about equal"
    if all(a >= b for a, b in pairs):
        return "falls with depth"
    return "rises with depth" if all(a <= b for a, b in pairs) else "neither falls nor rises throughout"


def _listed(shares: Sequence[float]) -> str:
    return ", ".join(map(_percent, shares))


def conditions(survey: Survey) -> str:
    image, coarsest = survey.approximations[0], survey.approximations[-1]
    levels = range(survey.space.levels, 0, -1)
    raw, white = ([_three(level_condition(survey, level, kind)) for level in levels] for kind in (False, True))
    return (
        f"Conditioning (WMGM's paper, §3: that of the coarse approximation is better): pixels {_three(image.condition)}, "
        f"{coarsest.name} "
        f"{_three(coarsest.condition)}; 4×4 blocks {_three(image.block_condition)} and {_three(coarsest.block_condition)}; "
        f"details of the levels {', '.join(map(str, levels))}: {', '.join(raw)}, whitened {', '.join(white)}."
    )


def errors(predicted: Sequence[Predicted]) -> str:
    found = {(one.what, one.sampler): one for one in predicted if one.steps == STEPS}
    whats = list(dict.fromkeys(what for what, _ in found))
    if ("pixels", "reverse-sde") not in found:
        return ""
    base = found["pixels", "reverse-sde"]
    others = "; ".join(
        f"{what} {_three(found[what, base.sampler].kl)}, a factor of {_three(found[what, base.sampler].kl / base.kl)}, in W₂² "
        f"{_three(found[what, base.sampler].w2 / base.w2)}"
        for what in whats
        if what != "pixels"
    )
    best = min(
        (one for (what, _), one in found.items() if what == "pixels" and one.evaluations <= STEPS),
        key=lambda one: one.kl,
    )
    rival = (
        f" On pixels, {best.sampler} with as many evaluations has {_three(best.kl)}, a factor of {_three(best.kl / base.kl)}."
        if best is not base
        else ""
    )
    return (
        f"Samplers (WMGM's paper, Theorem 1: the same error in fewer steps): {base.sampler} with {STEPS} steps is predicted to "
        f"lose {_three(base.kl)} nats a dimension on pixels; {others}.{rival}"
    )


def _three(value: float | None) -> str:
    if value is None:
        return "none"
    return "∞" if math.isinf(value) else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
