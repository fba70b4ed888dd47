"""wavekit info"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, echo

if TYPE_CHECKING:
    from wavekit_core.report.cells import Cells

MOST_TRACED = 1 << 26  # 3 GB


def command(
    stream: Annotated[Path, Argument(metavar="FILE", help="A stream, a .wkt.")],
    image: Annotated[int, Option(metavar="N", min=1, help="Which of the stream's images.")] = 1,
) -> None:
    """What a stream holds: sizes, wavelet, planes, bits a pixel, and where the bytes go. A cut one is read as far as it goes."""
    from wavekit_cli.commands.decode import chosen, plugin
    from wavekit_cli.console import out
    from wavekit_cli.figures import print_table

    if plugin("modelled").is_modelled(stream):
        return _modelled(stream, image)
    container = plugin("container")
    entries = container.opened(stream, partial=True)
    entry = chosen(entries, image, stream)
    how, pixels = entry.how, entry.how.height * entry.how.width
    found = plugin("stream").tokens_of(entry)
    many = found.decisions > MOST_TRACED
    if not many:
        found = plugin("stream").tokens_of(entry, traced=found.decisions)
    colour = "grey" if how.channels == 1 else "YCoCg-R" if how.lossless else "YCbCr"
    padded = f", filled up to {how.layout.height}×{how.layout.width}"
    number = f"image {image} of {len(entries)}: " if len(entries) > 1 else ""
    echo(
        f"{number}{how.height}×{how.width}{padded if how.layout.height * how.layout.width != pixels else ''}, {colour}, "
        f"{how.wavelet}, {how.levels} level{'s' * (how.levels > 1)}, {how.mode}, "
        f"{'lossless' if how.lossless else 'lossy'}"
    )
    echo(
        f"planes from {2.0**entry.lowest * 2**entry.top:g} to {entry.threshold:g}; {found.count:,} tokens, "
        f"{'to the end' if found.whole else 'cut'}"
    )
    if entry.cut:
        echo(f"the file is cut: {len(entry.payload):,} of {entry.length:,} bytes of the image are there")
    size = container.header_size(len(entries))
    echo(
        f"{len(entry.payload):,} bytes and {size} of header, {8 * len(entry.payload) / pixels:.3f} bits a pixel without it"
    )
    if many:
        echo(f"where the bytes go is shown of up to {MOST_TRACED:,} decisions, and this image has {found.decisions:,}")
    elif len(found.trace):
        print_table(out(), _table(found, entry, plugin("rangecoder"), plugin("codec")))


def _modelled(stream: Path, number: int) -> None:
    from wavekit_cli.commands.decode import chosen, plugin

    head, entries = plugin("modelled").opened(stream, partial=True)
    entry = chosen(entries, number, stream)
    number_of = f"image {number} of {len(entries)}: " if len(entries) > 1 else ""
    echo(f"{number_of}coded with the model {head.model}")
    echo(f"torch {head.torch}, {head.device}, {head.threads} thread{'s' * (head.threads > 1)}, {head.processor}")
    echo(f"{len(entry.payload):,} of {entry.length:,} bytes, {'to the end' if entry.whole else 'cut'}")


def _table(found: Any, entry: Any, rangecoder: Any, codec: Any) -> Cells:
    """Bytes by plane: in all, and for each kind of decision and each channel."""
    import numpy as np

    from wavekit_core.report.cells import Cells

    bits = np.bincount(found.trace[:, 2], rangecoder.costs(found.trace), minlength=int(np.prod(codec.LABELS)))
    spent = bits.reshape(codec.LABELS) / 8
    channels = ("grey",) if entry.how.channels == 1 else ("Y", "Co", "Cg") if entry.how.lossless else ("Y", "Cb", "Cr")
    rows = []
    reached = [plane for plane in range(entry.top, -1, -1) if spent[plane].any()]
    for plane in [*reached, None]:
        part = spent.sum(0) if plane is None else spent[plane]
        label = "all" if plane is None else f"{entry.threshold * 2**plane:g}"
        figures = [part.sum(), *part.sum((0, 1)), *part.sum((1, 2))[: len(channels)]]
        rows.append([label, *(f"{figure:,.0f}" for figure in figures)])
    return Cells(["plane", "bytes", *codec.KINDS, *channels], rows)
