"""The report's section on embedded tokens: images plane by plane, what each plane costs and gives, and what samplers make of the
model."""

from __future__ import annotations

import math

import torch
from matplotlib.figure import Figure as Plot
from torch import Tensor

from wavekit_core.engine.shards import seeded
from wavekit_core.hooks import hookimpl
from wavekit_core.kinds import Autoregressive, Sampler
from wavekit_core.pictures import grid, quantise
from wavekit_core.pipeline import Pipeline
from wavekit_core.report.sections import HALF, Section, View, picture, plot, table
from wavekit_core.spaces import ImageSpace
from wavekit_core.tokens import Temperature, TopK, TopP
from wavekit_embedded_tokenizer.language import END
from wavekit_embedded_tokenizer.tokenizer import EmbeddedTokenizer

IMAGES = 256
SHOWN = 5
DRAWN, COLUMNS = 60, 10  # samples of each sampler, and how many of them, and classes, are shown


@hookimpl
@torch.no_grad()
def report_section(view: View) -> Section | None:
    """For runs whose generator models embedded tokens."""
    model = view.session.pipeline
    if not len(model.transforms) or not isinstance(model.transforms[-1], EmbeddedTokenizer):
        return None
    held_out = view.session.held_out(IMAGES)
    images = held_out.data.to(view.session.device)
    body = _planes(model, images, model.represent(images))
    if model.sampler is not None and model.samples and isinstance(model.generator, Autoregressive):
        body += _samples(view, model.sampler, quantise(held_out.data, view.session.space), held_out.labels)
    return Section("Tokens, plane by plane", body)


def prefixes(model: Pipeline, tokens: Tensor) -> dict[str, Tensor]:
    """Sequences (B, L) up to the end of each plane, by the plane's threshold, in the order of the planes that any of them has."""
    grammar = model.spaces[-1].grammar  # type: ignore[attr-defined]
    stages = grammar.stages_of(tokens)
    found = [stage for stage in stages[:, 1:].unique().tolist() if stage < len(grammar.stages)]
    return {grammar.stages[stage]: torch.where(stages <= stage, tokens, END) for stage in found}


def diversity(images: Tensor, labels: Tensor | None = None) -> float:
    """The mean L2 distance between two images of a class, over classes that have two; between any two without `labels`; NaN
    where there are none."""
    labels = torch.zeros(len(images)) if labels is None else labels
    groups = [images[labels == label].flatten(1) for label in labels.unique()]
    return float(torch.cat([images.new_zeros(0), *map(torch.pdist, groups)]).mean())


def _planes(model: Pipeline, images: Tensor, tokens: Tensor) -> str:
    """Tokens and fidelity of held-out images, and some of them."""
    rows, lengths, quality, before = [], [], [], 1.0
    for threshold, part in prefixes(model, tokens).items():
        length = float((part != END).sum(1).float().mean())
        error = (quantise(model.invert(part), model.space) - images).square().flatten(1).mean(1)  # type: ignore[arg-type]
        psnr = float((-10 * error.clamp(min=1e-10).log10()).mean())
        rows.append((threshold, f"{length - before:.1f}", f"{length:.1f}", f"{psnr:.2f}"))
        lengths.append(length)
        quality.append(psnr)
        before = length
    figure = Plot(figsize=(5, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(lengths, quality, "o-")
    axes.set(xlabel="tokens an image", ylabel="PSNR (dB)")
    axes.grid(alpha=0.3)
    head = ("threshold T", "tokens of the plane", "tokens so far", "PSNR (dB)")
    return (
        f"<p class=dim>{len(images)} held-out images, coded and decoded; means. No model takes part in this.</p>"
        + table(head, rows)
        + plot(figure, "Rate and distortion: fidelity after each plane")
        + picture(_strip(model, tokens[:SHOWN]), "Held-out images, a row each, after each bit-plane", HALF)
    )


def _samples(view: View, sampler: Sampler, real: Tensor, real_labels: Tensor | None) -> str:
    """Samples plane by plane, and what several samplers draw: how diverse it is, how long, and how probable."""
    session, model = view.session, view.session.pipeline
    labels = None
    if model.conditional and real_labels is not None:
        classes = min(COLUMNS, len(session.classes))
        labels = torch.arange(DRAWN) % classes
        real, real_labels = real[real_labels < classes], real_labels[real_labels < classes]
    floor = diversity(real, None if labels is None else real_labels) or math.nan
    samplers = {
        "the recipe's sampler": sampler,
        "top-k, k = 2": TopK(2),
        "top-p, p = 0.6": TopP(0.6),
        "all tokens (temperature 1)": Temperature(),
    }
    strip, rows, shown = "", [], []
    with session.watcher.phase("drawing by several samplers", len(samplers)) as advance:
        for done, (name, sampler) in enumerate(samplers.items()):
            advance(done, name)
            with seeded("wavekit_embedded_tokenizer", "report", view.step, name):
                asked = None if labels is None else labels.to(session.device)
                tokens = model.generator.sample_with(sampler, DRAWN, asked)
            drawn = quantise(model.invert(tokens), session.space).cpu()
            strip = strip or picture(
                _strip(model, tokens[:SHOWN]),
                "Samples, a row each, after each bit-plane: what a model has written at any time decodes",
                HALF,
            ) + picture(
                _map(model, tokens[:COLUMNS]),
                "Samples, and below them the sizes of their coefficients: logarithms, coarse bands at the top left",
                HALF,
            )
            shown.append(drawn[:COLUMNS])
            length = float((tokens != END).sum(1).double().mean())
            rows.append((name, _number(diversity(drawn, labels) / floor), f"{length:.1f}", _bits(model, tokens, asked)))
    of_class = "of a class " if labels is not None else ""
    return (
        strip
        + table(("sampler", "diversity", "tokens an image", "bits a token"), rows)
        + f"<p class=dim>{DRAWN} samples each, without guidance but for the recipe's own. Diversity: the mean L2 distance "
        f"between two samples {of_class}as a share of that between two held-out images {of_class}(1: as diverse). Bits a token: "
        "how improbable the model itself finds what was drawn.</p>"
        + picture(
            grid(torch.cat(shown), session.space, COLUMNS), f"Samples, a row for each: {'; '.join(samplers)}", HALF
        )
    )


def _bits(model: Pipeline, tokens: Tensor, labels: Tensor | None) -> str:
    """-log2 p of whole sequences, divided by their tokens; nothing for sequences that end early, which have no probability."""
    assert isinstance(model.generator, Autoregressive)
    if not model.has_code:
        return ""
    try:
        model.generator.space.grammar.slots(tokens)
    except ValueError:
        return ""
    nats = model.generator.code(tokens, labels).nats.double().sum()
    return f"{float(nats) / math.log(2) / int((tokens != END).sum()):.3f}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _map(model: Pipeline, tokens: Tensor) -> bytes:
    """Images, and below them log(1 + |α|) of their coefficients, by the largest of each, in Mallat's arrangement."""
    tokenizer = model.transforms[-1]
    assert isinstance(tokenizer, EmbeddedTokenizer)
    assert isinstance(model.space, ImageSpace)
    sizes = tokenizer.inverse(tokens).mallat().abs().log1p()
    sizes = sizes / sizes.amax((-3, -2, -1), keepdim=True).clamp(min=1e-12)
    shades = model.space.low + (model.space.high - model.space.low) * sizes
    return grid(torch.cat([model.invert(tokens), shades]), model.space, len(tokens))


def _strip(model: Pipeline, tokens: Tensor) -> bytes:
    shown = [model.invert(part) for part in prefixes(model, tokens).values()] or [model.invert(tokens)]
    return grid(torch.stack(shown, 1).flatten(0, 1), model.space, len(shown))  # type: ignore[arg-type]
