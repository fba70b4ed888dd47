"""How fast images become tokens and tokens images: `python benchmarks/tokenizer.py [--json FILE] [--root FOLDER] [--threads N]`.

MNIST's 60,000 training images, padded to 32×32, Haar with four levels, T_f = 1/8, thresholds of their own, float32. `encode` and
`decode` contain the wavelet transform, in batches of 2,000; `tokens alone` begin at pyramids, on one thread. The best of several
rounds, after one that is not counted.

Then Kodak's first pictures, where the folder has them: in colour beside Pillow's JPEG 2000 at equal PSNR, and their luma beside
SPIHT in plain Python (`spiht.py`) at the same coefficients; by turns in one process, on one thread.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import spiht
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from results import publish
from torch import Tensor
from wavekit_embedded_tokenizer import EmbeddedTokenizer, codec
from wavekit_embedded_tokenizer.container import header_size
from wavekit_embedded_tokenizer.language import END
from wavekit_embedded_tokenizer.photo import Coding, coefficients, levels_for
from wavekit_embedded_tokenizer.scan import scan
from wavekit_embedded_tokenizer.stream import QUALITIES, Target, decoded, encoded, psnr
from wavekit_haar import Haar

from wavekit_core.data.files import data_root
from wavekit_core.data.idx import Mnist
from wavekit_core.spaces import ImageSpace

BATCH, ROUNDS, LONGEST = 2_000, 3, 1_800  # the longest of MNIST has 1,743 tokens
PICTURES, TURNS, RATE = 3, 7, 2.0  # how many, how often each is coded in both ways, and at how many bits a pixel
RATIO = "ratio, less is better"
NOTE = """\
MNIST's 60,000 training images, padded to 32×32, Haar with four levels, T_f = 1/8, adaptive thresholds, lazy refinement, rows of
1,800 tokens, which no image fills. `encode` and `decode` contain the wavelet transform; `tokens alone` do not, and have one
thread. The best of 3 rounds. `goal` is the most seconds, or the least a second, that the specification allows.

Pictures beside another codec: Kodak's first three, both by turns, 7 times, on one thread; the medians of seconds, the means of
bytes. The ratio is ours divided by the peer's, of seconds the median turn by turn. In colour: pixels to a file of 2 bits a pixel
and back, whole-symmetric, beside Pillow's JPEG 2000 (OpenJPEG), irreversible 9/7, with its colour transform, the smallest file
of our PSNR (docs/streams.md has all 24 pictures). In grey, the luma: coefficients of bior4.4 to bytes and back, all planes to
T_f = 16 (good) or 4 (high), beside SPIHT without arithmetic coding; both decode to the same coefficients, headers are not
counted. That SPIHT is plain Python, and ours is compiled: its seconds are no measure of the algorithm."""

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating]
Beside = tuple[list[list[float]], tuple[int, int]]  # seconds turn by turn (ours, theirs, encoding; decoding), bytes


def best(work: Callable[[], Any]) -> float:
    """Seconds of the fastest of ROUNDS rounds."""
    work()
    seconds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def mnist_rows(pixels: Tensor, threads: int) -> list[dict[str, Any]]:
    wavelet, tokenizer = Haar(levels=4), EmbeddedTokenizer(max_tokens=LONGEST)
    space = tokenizer.target(wavelet.target(ImageSpace(1, 32, 32)))
    parts = pixels.split(BATCH)
    torch.set_num_threads(threads)
    tokens = [tokenizer(wavelet(part)) for part in parts]
    count = sum(int((part != END).sum()) for part in tokens)
    encode = best(lambda: [tokenizer(wavelet(part)) for part in parts])
    decode = best(lambda: [wavelet.inverse(tokenizer.inverse(part)) for part in tokens])
    torch.set_num_threads(1)
    pyramids = [wavelet(part) for part in parts]
    alone = best(lambda: [tokenizer(part) for part in pyramids])
    back = best(lambda: [tokenizer.inverse(part) for part in tokens])
    forced = best(lambda: space.grammar.slots(tokens[0]))
    some = int((tokens[0] != END).sum())
    images = len(pixels)
    return [
        {"name": "encode 60,000 images", "value": encode, "unit": "s", "threads": threads, "goal": 3.0},
        {"name": "decode 60,000 images", "value": decode, "unit": "s", "threads": threads, "goal": 4.0},
        {"name": "encode, tokens alone", "value": images / alone, "unit": "images/s", "threads": 1, "goal": 50_000},
        {"name": "decode, tokens alone", "value": images / back, "unit": "images/s", "threads": 1},
        {
            "name": "encode, tokens alone, by tokens",
            "value": count / alone / 1e6,
            "unit": "million tokens/s",
            "threads": 1,
        },
        {
            "name": "grammar of given tokens",
            "value": some / forced / 1e6,
            "unit": "million tokens/s",
            "threads": 1,
            "goal": 2,
        },
    ]


def picture_rows() -> list[dict[str, Any]]:
    """What a picture of 768×512 in colour takes before it is coded the first time."""
    space = Haar(levels=5).target(ImageSpace(3, 512, 768))

    def order() -> None:
        scan.cache_clear()
        scan(space)

    return [{"name": "order of 768×512×3 places", "value": best(order), "unit": "s", "threads": 1, "goal": 0.5}]


def by_turns(*works: Callable[[], Any]) -> list[list[float]]:
    """Seconds of each work in each of TURNS turns, after one that is not counted."""
    turns = []
    for _ in range(TURNS + 1):
        moments = [time.perf_counter()]
        for work in works:
            work()
            moments.append(time.perf_counter())
        turns.append(np.diff(moments).tolist())
    return turns[1:]


def jpeg2000(pixels: Pixels, ratio: float) -> bytes:
    file = io.BytesIO()
    options: dict[str, Any] = {"quality_mode": "rates", "quality_layers": [ratio], "irreversible": True, "mct": 1}
    Image.fromarray(pixels).save(file, "JPEG2000", **options)
    return file.getvalue()


def opened(file: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(file)))


def smallest(pixels: Pixels, wanted: float) -> float:
    """The strongest compression, to a thousandth, with which JPEG 2000 still reaches `wanted` dB."""
    low, high = 1.0, 100.0
    while high > 1.001 * low:
        middle = (low * high) ** 0.5
        if psnr(opened(jpeg2000(pixels, middle)), pixels) >= wanted:
            low = middle
        else:
            high = middle
    return low


def in_colour(pixels: Pixels) -> Beside:
    """To and from RATE bits a pixel, and JPEG 2000 of the same PSNR."""
    target = Target(limit=int(pixels.shape[0] * pixels.shape[1] * RATE / 8) - header_size(1))
    entry = encoded(pixels, target)
    ratio = smallest(pixels, psnr(decoded(entry), pixels))
    file = jpeg2000(pixels, ratio)
    seconds = by_turns(
        lambda: encoded(pixels, target),
        lambda: jpeg2000(pixels, ratio),
        lambda: decoded(entry),
        lambda: opened(file),
    )
    return seconds, (len(entry.payload) + header_size(1), len(file))


def in_grey(pixels: Pixels, quality: str) -> Beside:
    """All planes of a quality, coefficients to bytes and back, and SPIHT of the same. Raises RuntimeError if they do not
    decode to the same."""
    exponent = QUALITIES[quality]
    lowest, how = 2.0**exponent, Coding(*pixels.shape, 1, levels_for(*pixels.shape))
    of, values = how.layout, coefficients(pixels, how)
    matrix = mallat([band[0] for band in of.views(values)])
    ours, theirs = codec.encode(values, lowest, of), spiht.encode(matrix, how.levels, exponent)
    found, back = codec.decode(ours.data, ours.top, of, True), np.zeros(of.places)
    of.into(bands_of(spiht.decode(theirs, matrix.shape, how.levels, exponent), how.levels), back)
    if not np.array_equal(back, found.known * found.sign * (lowest / 2)):
        raise RuntimeError("ours and SPIHT decode to different coefficients, so that their sizes do not compare")
    seconds = by_turns(
        lambda: codec.encode(values, lowest, of),
        lambda: spiht.encode(matrix, how.levels, exponent),
        lambda: codec.decode(ours.data, ours.top, of, True),
        lambda: spiht.decode(theirs, matrix.shape, how.levels, exponent),
    )
    return seconds, (len(ours.data), len(theirs))


def mallat(bands: list[Floats]) -> Floats:
    """LL and the details, coarse to fine, HL, LH, HH, in one matrix."""
    matrix, *rest = bands
    for hl, lh, hh in zip(*[iter(rest)] * 3, strict=True):
        matrix = np.block([[matrix, hl], [lh, hh]])
    return matrix


def bands_of(matrix: Floats, levels: int) -> list[Floats]:
    """The inverse of `mallat`."""
    details: list[Floats] = []
    for _ in range(levels):
        h, w = matrix.shape[0] // 2, matrix.shape[1] // 2
        details = [matrix[:h, w:], matrix[h:, :w], matrix[h:, w:], *details]
        matrix = matrix[:h, :w]
    return [matrix, *details]


def beside_rows(what: str, size: str, peer: str, found: list[Beside], **goal: float) -> list[dict[str, Any]]:
    """Of all pictures, the median of seconds and of ratios turn by turn, and the mean of bytes."""
    encode, decode = np.split(np.array([turn for turns, _ in found for turn in turns]), 2, axis=1)
    rows: list[dict[str, Any]] = []
    for verb, pairs in (("encode", encode), ("decode", decode)):
        ours, theirs = np.median(pairs, axis=0).tolist()
        rows.append({"name": f"{verb} {what}, beside {peer}", "value": ours, "unit": "s", "threads": 1} | goal)
        rows[-1] |= {"peer": theirs, RATIO: float(np.median(pairs[:, 0] / pairs[:, 1]))}
    ours, theirs = np.mean([sizes for _, sizes in found], axis=0).tolist()
    rows.append({"name": f"{size}, beside {peer}", "value": ours, "unit": "bytes", "threads": 1})
    rows[-1] |= {"peer": theirs, RATIO: ours / theirs}
    return rows


def peer_rows(files: list[Path]) -> list[dict[str, Any]]:
    """Kodak's pictures beside JPEG 2000 and SPIHT."""
    torch.set_num_threads(1)
    pictures = [Image.open(file) for file in files]
    found = [in_colour(np.asarray(picture.convert("RGB"))) for picture in pictures]
    what = f"768×512×3 at {RATE:g} bits a pixel"
    rows = beside_rows(what, "size of 768×512×3 at equal PSNR", "JPEG 2000", found, goal=0.2)
    for quality in ("good", "high"):
        found = [in_grey(np.asarray(picture.convert("L")), quality) for picture in pictures]
        what = f"768×512, quality {quality}"
        rows += beside_rows(f"{what}, tokens alone", f"size of {what}", "SPIHT", found)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--root", type=str, help="the folder of data sets; otherwise WAVEKIT_DATA_ROOT")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    train = Mnist(root=given.root).train if given.root else Mnist().train
    pixels = F.pad(torch.from_numpy(train.pixels).reshape(-1, 1, 28, 28).float() / 255, (2, 2, 2, 2))
    measured = mnist_rows(pixels, given.threads) + picture_rows()
    root = data_root(given.root)
    if files := sorted((root / "kodak").glob("*.png"))[:PICTURES] if root else []:
        measured += peer_rows(files)
    else:
        print("no images in kodak below --root or $WAVEKIT_DATA_ROOT: nothing beside JPEG 2000 and SPIHT")
    for row in measured:
        beside = f"; the peer's {row['peer']:.4g}, ratio {row[RATIO]:.3g}" if "peer" in row else ""
        goal = row.get("goal", "–")
        print(f"{row['name']}, {row['threads']} threads: {row['value']:.4g} {row['unit']} (goal {goal}){beside}")
    publish(given.json, "How fast images become tokens", "python benchmarks/tokenizer.py", measured, note=NOTE)


if __name__ == "__main__":
    main()
