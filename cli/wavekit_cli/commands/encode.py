"""wavekit encode"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option, echo

from wavekit_cli.commands.decode import At
from wavekit_cli.commands.run import Device

if TYPE_CHECKING:
    from wavekit_embedded_tokenizer.stream import Pixels, Target


def command(
    images: Annotated[list[Path], Argument(metavar="IMAGE…", help="PNG, JPEG, WEBP, BMP or TIFF files.")],
    output: Annotated[Path, Option("-o", "--output", metavar="FILE", help="The stream to write, a .wkt.")],
    lossless: Annotated[bool, Option("--lossless", help="The very pixels back.")] = False,
    quality: Annotated[
        Literal["draft", "good", "high"] | None,
        Option(help="The last threshold: 64, 16 or 4 grey levels (default: good)."),
    ] = None,
    bits_per_pixel: Annotated[
        float | None,
        Option(metavar="X", help="Cut each stream to this size, the header included (with --model: without it)."),
    ] = None,
    psnr: Annotated[float | None, Option(metavar="DB", help="Cut each stream where it reaches this PSNR.")] = None,
    wavelet: Annotated[
        Literal["haar", "bior2.2", "bior4.4"] | None,
        Option(help="The wavelet (default: bior4.4; bior2.2 if lossless)."),
    ] = None,
    model: Annotated[
        Path | None,
        Option(
            metavar="RUN", help="Code with the probabilities of a run that writes tokens, images of its kind alone."
        ),
    ] = None,
    at: At = None,
    device: Device = "auto",
) -> None:
    """Write images as one stream, which may be cut anywhere and still decodes, coarser."""
    from wavekit_core.errors import RecipeError
    from wavekit_core.runs.publish import publish_file, require_place

    given = [name for name, value in (("--bits-per-pixel", bits_per_pixel), ("--psnr", psnr)) if value is not None]
    given += ["--quality"] * (quality is not None)
    if len(given) > 1:
        raise RecipeError(f"{' and '.join(given)} are given; each says where to stop, so give one")
    if lossless and quality:
        raise RecipeError("--lossless and --quality are given; a lossless stream has all planes, so give one of them")
    if lossless and wavelet == "bior4.4":
        raise RecipeError("bior4.4 has no reversible transform of whole numbers; take --wavelet bior2.2 or haar")
    for name, value in (("--bits-per-pixel", bits_per_pixel), ("--psnr", psnr)):
        if value is not None and not 0 < value < 1000:
            raise RecipeError(f"{name} {value:g}: give a number above 0 and below 1000")
    if model is None and (at is not None or device != "auto"):
        raise RecipeError("--at and --device are of the run that --model names; give that too, or leave them out")
    if model is not None and (quality or lossless or wavelet):
        raise RecipeError("--model says wavelet and thresholds; leave --quality, --lossless and --wavelet out")
    require_place(output)
    from wavekit_cli.commands.decode import coder_of, plugin
    from wavekit_cli.console import watcher

    container, stream = plugin("container"), plugin("stream")
    coder = None if model is None else coder_of(model, at, device)
    if len(images) > container.MOST_IMAGES:
        raise RecipeError(f"{len(images)} images are given, and a stream holds {container.MOST_IMAGES} at most")
    chosen = wavelet or ("bior2.2" if lossless else "bior4.4")
    target = stream.Target(quality or "good", lossless, None, psnr, chosen)
    entries: list[Any] = []
    pixels = 0
    with watcher().phase("encode", len(images), unit="image") as advance:
        for number, path in enumerate(images):
            image = _pixels(path, lossless)
            if coder is None:
                limit = _limit(image, bits_per_pixel, container, len(images)) if bits_per_pixel else None
                entries.append(_encoded(path, image, target, limit, stream))
            else:
                limit = int(image.shape[0] * image.shape[1] * bits_per_pixel / 8) if bits_per_pixel else None
                entries.append(_modelled(path, image, coder, limit, psnr))
            pixels += image.shape[0] * image.shape[1]
            advance(number + 1, "")
    content = container.written(entries) if coder is None else plugin("modelled").written(coder.facts, entries)
    publish_file(output, content)
    echo(f"{output}: {len(content):,} bytes, {8 * len(content) / pixels:.3f} bits a pixel")


def _encoded(path: Path, image: Pixels, target: Target, limit: int | None, stream: Any) -> Any:
    from dataclasses import replace

    from wavekit_core.errors import RecipeError

    entry = stream.encoded(image, replace(target, limit=limit))
    if target.psnr is not None:
        reached = stream.psnr(stream.decoded(entry), image)
        if reached < target.psnr:
            raise RecipeError(f"{path}: {target.psnr:g} dB is not reached, {reached:.2f} dB is; take --lossless")
    return entry


def _modelled(path: Path, image: Pixels, coder: Any, limit: int | None, psnr: float | None) -> Any:
    from wavekit_core.errors import DataError, RecipeError

    try:
        return coder.encode(image, limit, psnr)
    except (DataError, RecipeError) as error:
        raise type(error)(f"{path}: {error}") from None


def _limit(image: Pixels, bits_per_pixel: float, container: Any, images: int) -> int:
    """The bytes of an image's payload: of its size, less its share of the header."""
    share = -(-container.header_size(images) // images)
    return max(0, int(image.shape[0] * image.shape[1] * bits_per_pixel / 8) - share)


def _pixels(path: Path, lossless: bool) -> Pixels:
    """8 bits, (H, W) if all channels agree, otherwise (H, W, 3)."""
    import numpy as np

    from wavekit_core.data.files import open_regular, shown
    from wavekit_core.data.image_file import upright
    from wavekit_core.errors import DataError

    with open_regular(path) as file:
        pixels = np.array(upright(file, str(path), 3))
        if lossless and (kind := _more_than_kept(file)):
            raise DataError(
                f"{shown(path)}: {kind}, and a lossless stream keeps 8 bits of grey or RGB; convert it first"
            )
    grey = (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all()
    return np.ascontiguousarray(pixels[..., 0]) if grey else pixels


def _more_than_kept(file: Any) -> str:
    from PIL import Image

    file.seek(0)
    with Image.open(file) as image:
        if image.has_transparency_data:
            return "has transparency"
        return "" if image.mode in ("1", "L", "P", "RGB") else f"has pixels of kind {image.mode}"
