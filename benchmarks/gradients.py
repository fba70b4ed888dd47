"""Which libraries' gradients are the adjoint: `python benchmarks/gradients.py [--json FILE]`.

A transform W is linear, so its gradient has to be its transpose: ⟨W x, y⟩ = ⟨x, Wᵀ y⟩ for all x and y. For every mode, wavelet
and kind of size, in float64, y is drawn at random, x runs over all unit vectors, and the error is the largest difference of the
two sides over the largest left side: rounding is about 1e-15, a wrong formula about 1. Analysis and synthesis are both
measured, and the worse counts.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from results import publish
from torch import Tensor

from wavekit_core.report.cells import Cells
from wavekit_core.wavelets import MODES, FilterBank, Mode, analysis, synthesis
from wavekit_core.wavelets.peers import PEERS, Peer, found

WAVELETS = ("haar", "db2", "bior2.2", "bior4.4")
EVEN, ODD, BELOW = "even", "odd", "below the filter"
EXACT = 1e-10
OURS = "wavekit"
Linear = Callable[[Sequence[Tensor]], Sequence[Tensor]]


def size_of(kind: str, length: int) -> tuple[tuple[int, int], int] | None:
    """(height, width) and levels; None where there is none of the kind."""
    if kind == BELOW:
        return ((length - 2, length - 2), 1) if length > 2 else None
    return ((24, 28), 2) if kind == EVEN else ((25, 27), 2)


def ours(wavelet: str, mode: Mode, levels: int, size: tuple[int, int]) -> tuple[Linear, Linear]:
    bank = FilterBank.from_pywt(wavelet)

    def split(given: Sequence[Tensor]) -> Sequence[Tensor]:
        approx, details = analysis(given[0], bank, mode, levels)
        return [approx, *details]

    return split, lambda bands: [synthesis(bands[0], bands[1:], bank, mode, size)]


def error_of(linear: Linear, shapes: Sequence[torch.Size]) -> float:
    """The largest difference of the gradient from the adjoint of a linear map of tensors (1, 1, …) of these shapes."""
    numbers = [shape.numel() for shape in shapes]
    units = torch.eye(sum(numbers), dtype=torch.float64).split(numbers, 1)
    images = [part.reshape(-1, *shape[1:]) for part, shape in zip(units, shapes, strict=True)]
    with torch.no_grad():
        columns = linear(images)
    leaves = [torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    made = linear(leaves)
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(one.shape, dtype=torch.float64, generator=generator) for one in made]
    left = sum((column * y).flatten(1).sum(1) for column, y in zip(columns, drawn, strict=True))
    gradients = torch.autograd.grad(list(made), leaves, drawn)
    right = torch.cat([gradient.flatten() for gradient in gradients])
    assert isinstance(left, Tensor)
    return float((left - right).abs().max() / left.abs().max())


def worst(split: Linear, join: Linear, size: tuple[int, int]) -> float:
    """Of analysis and synthesis."""
    with torch.no_grad():
        bands = split([torch.zeros(1, 1, *size, dtype=torch.float64)])
    return max(error_of(split, [torch.Size((1, 1, *size))]), error_of(join, [band.shape for band in bands]))


def theirs(library: type[Peer], wavelet: str, mode: str, levels: int, size: tuple[int, int]) -> float | str | None:
    """A library's error, "fails: …" where it raises, None where it has no such mode."""
    if mode not in library.modes:
        return None
    peer = library(wavelet, mode, levels, torch.zeros(1, dtype=torch.float64))

    def split(given: Sequence[Tensor]) -> Sequence[Tensor]:
        return peer.split(given[0])

    def join(bands: Sequence[Tensor]) -> Sequence[Tensor]:
        return [peer.join(bands)]

    try:
        return worst(split, join, size)
    except Exception as error:
        return f"fails: {error}"[:200]


def measured() -> list[dict[str, Any]]:
    """A row a mode, wavelet and kind of size, with every library's error."""
    rows = []
    libraries = [peer for peer in PEERS if peer.gradients and peer.name in found()]
    for mode, kind, wavelet in product(MODES, (EVEN, ODD, BELOW), WAVELETS):
        bank = FilterBank.from_pywt(wavelet)
        form = size_of(kind, bank.length)
        if form is None or (mode == "whole-symmetric" and not bank.whole_symmetric):
            continue
        size, levels = form
        row: dict[str, Any] = {"mode": mode, "wavelet": wavelet, "sizes": kind, "size": [*size], "levels": levels}
        row[OURS] = worst(*ours(wavelet, mode, levels, size), size)
        rows.append(row | {one.name: theirs(one, wavelet, mode, levels, size) for one in libraries})
    return rows


def table(rows: Sequence[dict[str, Any]]) -> Cells:
    """A line a mode and kind of size; a cell is the worst over the wavelets, with the wavelets that are wrong."""
    names = [OURS, *(peer.name for peer in PEERS if peer.name in rows[0])]
    lines = []
    for mode in MODES:
        for kind in (EVEN, ODD, BELOW):
            some = [row for row in rows if (row["mode"], row["sizes"]) == (mode, kind)]
            lines.append([mode, kind, *(cell([(row["wavelet"], row[name]) for row in some]) for name in names)])
    return Cells(["mode", "sizes", *names], lines)


def cell(errors: Sequence[tuple[str, Any]]) -> str:
    """The worst of errors by wavelet."""
    values = [value for _, value in errors if isinstance(value, float)]
    failing = [wavelet for wavelet, value in errors if isinstance(value, str)]
    wrong = [wavelet for wavelet, value in errors if isinstance(value, float) and not value < EXACT]
    parts = []
    if wrong:
        parts.append(f"**wrong, {max(values):.2g}**" + (f" ({', '.join(wrong)})" if len(wrong) < len(errors) else ""))
    elif values:
        parts.append(f"{max(values):.0e}")
    if failing:
        parts.append("fails" + (f" ({', '.join(failing)})" if len(failing) < len(errors) else ""))
    return "; ".join(parts) or "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with warnings.catch_warnings(action="ignore"):
        rows = measured()
    cells = table(rows)
    for line in (cells.head, *cells.lines):
        print(
            "  ".join(
                f"{text.replace('**', ''):{width}}" for text, width in zip(line, (16, 17, *(32,) * 9), strict=False)
            ).rstrip()
        )
    figures = [
        {"figure": f"{row['wavelet']}, {row['mode']}, {row['sizes']}", "value": row[OURS], "unit": "relative error"}
        | row
        for row in rows
    ]
    publish(
        given.json,
        "Whose gradients are the adjoint",
        "python benchmarks/gradients.py",
        figures,
        versions=found(),
        notes=[
            "The largest difference of the gradient from the adjoint, over the largest value, of analysis and synthesis, in "
            f"float64; the worst of {', '.join(WAVELETS)}. Even: 24×28, odd: 25×27, two levels each; below the filter: two "
            "samples shorter than the filter, one level (not Haar). “–”: the library has no such mode; “fails”: it raises. "
            + ", ".join(f"{name} {number}" for name, number in found().items() if name != "PyWavelets")
            + "."
        ],
        tables=[{"head": list(cells.head), "lines": [list(line) for line in cells.lines]}],
    )


if __name__ == "__main__":
    main()
