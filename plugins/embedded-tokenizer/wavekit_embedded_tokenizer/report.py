"""The report's section on embedded tokens: images plane by plane, and what each plane costs and gives."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure as Plot
from torch import Tensor

from wavekit_core.engine.shards import seeded
from wavekit_core.hooks import hookimpl
from wavekit_core.pictures import grid, quantise
from wavekit_core.pipeline import Pipeline
from wavekit_core.report.sections import HALF, Section, View, picture, plot, table
from wavekit_embedded_tokenizer.language import END
from wavekit_embedded_tokenizer.tokenizer import EmbeddedTokenizer

IMAGES = 256
SHOWN = 5


@hookimpl
@torch.no_grad()
def report_section(view: View) -> Section | None:
    """For runs whose generator models embedded tokens."""
    model = view.session.pipeline
    if not len(model.transforms) or not isinstance(model.transforms[-1], EmbeddedTokenizer):
        return None
    images = view.session.held_out(IMAGES).data.to(view.session.device)
    tokens = model.represent(images)
    body = _planes(model, images, tokens)
    if model.samples:
        with seeded("wavekit_embedded_tokenizer", "report", view.step):
            labels = torch.arange(SHOWN, device=images.device) if model.conditional else None
            drawn = model.generator.sample_with(model.sampler, SHOWN, labels)
        caption = "Samples, a row each, after each bit-plane: what a model has written at any time decodes"
        body += picture(_strip(model, drawn), caption, HALF)
    return Section("Tokens, plane by plane", body)


def prefixes(model: Pipeline, tokens: Tensor) -> dict[str, Tensor]:
    """Sequences (B, L) up to the end of each plane, by the plane's threshold, in the order of the planes that any of them has."""
    grammar = model.spaces[-1].grammar  # type: ignore[attr-defined]
    plane = grammar.slots(tokens).features[..., list(grammar.features).index("plane")]
    last = grammar.features["plane"] - 1  # what comes after the end
    first = int(plane[(plane < last - 1)].max())
    return {grammar.called("plane", p): torch.where(plane >= p, tokens, END) for p in range(first, -1, -1)}


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


def _strip(model: Pipeline, tokens: Tensor) -> bytes:
    shown = [model.invert(part) for part in prefixes(model, tokens).values()]
    return grid(torch.stack(shown, 1).flatten(0, 1), model.space, len(shown))  # type: ignore[arg-type]
