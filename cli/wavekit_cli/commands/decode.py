"""wavekit decode"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option, echo

from wavekit_cli.commands.run import Device

PLUGIN = "wavekit_embedded_tokenizer"
At = Annotated[int | None, Option(metavar="STEP", help="The run's checkpoint (default: the newest).")]


def command(
    stream: Annotated[Path, Argument(metavar="FILE", help="A stream, a .wkt.")],
    output: Annotated[
        Path,
        Option("-o", "--output", metavar="IMAGE", help="The image to write: PNG, or another format by its suffix."),
    ],
    image: Annotated[int, Option(metavar="N", min=1, help="Which of the stream's images.")] = 1,
    partial: Annotated[bool, Option("--partial", help="Take a cut stream too, and decode what is there.")] = False,
    model: Annotated[
        Path | None, Option(metavar="RUN", help="The run that a stream was coded with (`wavekit info` names it).")
    ] = None,
    at: At = None,
    device: Device = "auto",
) -> None:
    """Write an image of a stream as a file."""
    from wavekit_core.errors import RecipeError
    from wavekit_core.runs.publish import publish_file, require_place

    require_place(output)
    kind = _kind(output)
    if model is None and (at is not None or device != "auto"):
        raise RecipeError("--at and --device are of the run that --model names; give that too, or leave them out")
    modelled = plugin("modelled").is_modelled(stream)
    if modelled and model is None:
        raise RecipeError(f"{stream}: was coded with a trained model; give its run with --model")
    if not modelled and model is not None:
        raise RecipeError(f"{stream}: was coded without a trained model; leave --model out")
    head, entries = (
        plugin("modelled").opened(stream, partial) if modelled else (None, plugin("container").opened(stream, partial))
    )
    entry = chosen(entries, image, stream)
    if model is None:
        pixels = plugin("stream").decoded(entry)
    else:
        coder = coder_of(model, at, device)
        try:
            coder.require(head)
        except RecipeError as error:
            raise RecipeError(f"{stream}: {error}") from None
        pixels = coder.decode(entry)
    publish_file(output, _file(pixels, kind))
    if entry.cut:
        echo(f"{stream}: is cut: {len(entry.payload):,} of {entry.length:,} bytes of the image are there", err=True)
    echo(output)


def chosen(entries: list[Any], number: int, stream: Path) -> Any:
    """The image of this number, from 1."""
    from wavekit_core.errors import RecipeError

    if number > len(entries):
        raise RecipeError(f"{stream} holds {len(entries)} image{'s' * (len(entries) > 1)}; give a number up to that")
    return entries[number - 1]


def coder_of(model: Path, at: int | None, device: str) -> Any:
    """A coder with the probabilities of a run."""
    from wavekit_core.opened import open_run

    return plugin("modelled").ModelCoder(open_run(model, at, device))


def plugin(module: str) -> Any:
    """A module of the tokenizer's plugin. Raises PluginError if it is not installed."""
    try:
        return importlib.import_module(f"{PLUGIN}.{module}")
    except ModuleNotFoundError as error:
        if error.name != PLUGIN:
            raise
        from wavekit_core.errors import PluginError

        raise PluginError(
            "streams are the work of the plugin wavekit-embedded-tokenizer, which is not installed; "
            "install it with `wavekit plugins install embedded-tokenizer`"
        ) from None


def _kind(output: Path) -> str:
    from PIL import Image

    from wavekit_core.errors import RecipeError

    kind = Image.registered_extensions().get(output.suffix.lower(), "PNG" if not output.suffix else "")
    if kind not in ("PNG", "JPEG", "WEBP", "BMP", "TIFF"):
        raise RecipeError(f"{output}: images are written as PNG, JPEG, WEBP, BMP or TIFF; give one of their suffixes")
    return kind


def _file(pixels: Any, kind: str) -> bytes:
    import io

    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()
