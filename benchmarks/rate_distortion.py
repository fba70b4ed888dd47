"""PSNR on Kodak beside JPEG and JPEG 2000: `python benchmarks/rate_distortion.py [--json FILE] [--picture FILE]`.

The images are Kodak's 24, in colour, from $WAVEKIT_DATA_ROOT/kodak (or --data-root). PSNR is over the three channels of 8 bits,
the mean of the images'. Every file is counted whole, with its header, and is no larger than the rate. The streams are one for
each image: coded once, at the highest rate, and cut.
"""

from __future__ import annotations

import argparse
import io
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from results import publish
from wavekit_embedded_tokenizer.container import header_size
from wavekit_embedded_tokenizer.photo import MODES
from wavekit_embedded_tokenizer.stream import Target, decoded, encoded, prefix, psnr

from wavekit_core.data.files import data_root

RATES = (0.25, 0.5, 1.0, 2.0)
NOTE = """\
Kodak's 24 images, PSNR of the three channels together, mean of the images', at equal size of the files, headers included.
Streams: bior4.4, whole-symmetric, 5 levels, one stream an image, cut. JPEG: Pillow, 4:2:0 or 4:4:4, whichever is better, the
best quality that fits, optimised tables. JPEG 2000: Pillow (OpenJPEG), irreversible 9/7, with its colour transform, the rate as
target. An empty cell: not reached by any quality in every image. Seconds: medians of an image, to and from 2 bits a pixel."""

Pixels = NDArray[np.uint8]


def ours(pixels: Pixels, mode: str) -> tuple[list[float], float, float]:
    """PSNR at each rate; seconds of encoding and of decoding at the highest."""
    room = [int(pixels.shape[0] * pixels.shape[1] * rate / 8) - header_size(1) for rate in RATES]
    started = time.perf_counter()
    entry = encoded(pixels, Target(limit=room[-1]), mode)
    took = time.perf_counter() - started
    found = [psnr(decoded(prefix(entry, min(n, len(entry.payload)))), pixels) for n in room]
    started = time.perf_counter()
    decoded(entry)
    return found, took, time.perf_counter() - started


def jpeg(pixels: Pixels) -> list[float]:
    """Of all qualities and both samplings, the best within each rate; not a number where none is."""
    tried = []
    for quality in range(1, 101):
        for sampling in (0, 2):
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=sampling, optimize=True)
            size = 8 * file.tell() / (pixels.shape[0] * pixels.shape[1])
            if size <= RATES[-1]:
                tried.append((size, psnr(np.asarray(Image.open(file)), pixels)))
    return [max((value for size, value in tried if size <= rate), default=math.nan) for rate in RATES]


def jpeg2000(pixels: Pixels) -> tuple[list[float], float, float]:
    """As `ours`."""
    found = []
    for rate in RATES:
        file = io.BytesIO()
        started = time.perf_counter()
        options: dict[str, Any] = {
            "quality_mode": "rates",
            "quality_layers": [24 / rate],
            "irreversible": True,
            "mct": 1,
        }
        Image.fromarray(pixels).save(file, "JPEG2000", **options)
        written = time.perf_counter()
        back = np.asarray(Image.open(file))
        found.append(psnr(back, pixels))
        took = written - started, time.perf_counter() - written
    return found, *took


def measured(files: list[Path]) -> list[dict[str, Any]]:
    values: dict[str, list[list[float]]] = {}
    seconds: dict[str, list[tuple[float, float]]] = {}
    for file in files:
        pixels = np.asarray(Image.open(file).convert("RGB"))
        for mode in MODES:
            found, *took = ours(pixels, mode)
            values.setdefault(f"wavekit, {mode}", []).append(found)
            seconds.setdefault(f"wavekit, {mode}", []).append((took[0], took[1]))
        found, *took = jpeg2000(pixels)
        values.setdefault("JPEG 2000", []).append(found)
        seconds.setdefault("JPEG 2000", []).append((took[0], took[1]))
        values.setdefault("JPEG", []).append(jpeg(pixels))
        print(
            f"{file.name}: " + "; ".join(f"{name} {found[-1][2]:.2f} dB" for name, found in values.items()), flush=True
        )
    rows = []
    for name, found_all in values.items():
        table = np.array(found_all)
        away = table - np.array(values["JPEG 2000"])
        for k, rate in enumerate(RATES):
            rows.append({"name": f"{name}, {rate:g} bits a pixel", "value": _number(table[:, k].mean()), "unit": "dB"})
            if name.startswith("wavekit"):
                rows[-1] |= {"beside JPEG 2000": _number(away[:, k].mean()), "worst image": _number(away[:, k].min())}
    for name, took_all in seconds.items():
        for k, what in enumerate(("encode", "decode")):
            rows.append({"name": f"{name}, {what}", "value": _number(np.median([t[k] for t in took_all])), "unit": "s"})
    return rows


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 4)


def drawn(rows: list[dict[str, Any]]) -> bytes:
    """A picture of PSNR over the rate."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    decibels = {row["name"]: row["value"] for row in rows if row["unit"] == "dB"}
    for name, style in (("wavekit, whole-symmetric", "o-"), ("JPEG 2000", "s--"), ("JPEG", "^:")):
        points = [(rate, decibels[f"{name}, {rate:g} bits a pixel"]) for rate in RATES]
        shown = [point for point in points if point[1] is not None]
        axes.plot(*zip(*shown, strict=True), style, label=name.partition(",")[0])
    axes.set_xscale("log", base=2)
    axes.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    axes.set_xlabel("bits a pixel")
    axes.set_ylabel("PSNR (dB)")
    axes.grid(alpha=0.3)
    axes.legend()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--data-root")
    parser.add_argument("--images", type=int, default=24, help="only the first so many")
    given = parser.parse_args()
    root = data_root(given.data_root)
    files = sorted((root / "kodak").glob("*.png")) if root else []
    if not files:
        parser.error("no images in kodak below --data-root or $WAVEKIT_DATA_ROOT")
    encoded(np.asarray(Image.open(files[0])), Target(limit=1000))  # compiles
    rows = measured(files[: given.images])
    for row in rows:
        beside = f", {row['beside JPEG 2000']:+.2f} beside JPEG 2000" if "beside JPEG 2000" in row else ""
        print(f"{row['name']}: {row['value']} {row['unit']}{beside}")
    publish(given.json, "Rate and distortion on Kodak", "python benchmarks/rate_distortion.py", rows, note=NOTE)
    if given.picture:
        given.picture.write_bytes(drawn(rows))


if __name__ == "__main__":
    main()
