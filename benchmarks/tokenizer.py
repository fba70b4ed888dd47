"""How fast images become tokens and tokens images: `python benchmarks/tokenizer.py [--json FILE] [--root FOLDER] [--threads N]`.

MNIST's 60,000 training images, padded to 32×32, Haar with four levels, T_f = 1/8, thresholds of their own, float32. `encode` and
`decode` contain the wavelet transform, in batches of 2,000; `tokens alone` begin at pyramids, on one thread. The best of several
rounds, after one that is not counted.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from wavekit_embedded_tokenizer import EmbeddedTokenizer
from wavekit_embedded_tokenizer.language import END
from wavekit_embedded_tokenizer.scan import scan
from wavekit_haar import Haar

from wavekit_core.data.idx import Mnist
from wavekit_core.runs.facts import machine
from wavekit_core.spaces import ImageSpace

BATCH, ROUNDS, LONGEST = 2_000, 3, 1_800  # the longest of MNIST has 1,743 tokens
NOTE = """\
MNIST's 60,000 training images, padded to 32×32, Haar with four levels, T_f = 1/8, adaptive thresholds, lazy refinement, rows of
1,800 tokens, which no image fills. `encode` and `decode` contain the wavelet transform; `tokens alone` do not, and have one
thread. The best of 3 rounds. `goal` is the most seconds, or the least a second, that the specification allows."""


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--root", type=str, help="the folder of data sets; otherwise WAVEKIT_DATA_ROOT")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    train = Mnist(root=given.root).train if given.root else Mnist().train
    pixels = F.pad(torch.from_numpy(train.pixels).reshape(-1, 1, 28, 28).float() / 255, (2, 2, 2, 2))
    measured = mnist_rows(pixels, given.threads) + picture_rows()
    for row in measured:
        print(
            f"{row['name']}, {row['threads']} threads: {row['value']:.4g} {row['unit']} (goal {row.get('goal', '–')})"
        )
    if given.json:
        result = {
            "title": "How fast images become tokens",
            "command": "python benchmarks/tokenizer.py",
            "machine": machine(),
            "commit": None,
            "note": NOTE,
            "rows": measured,
        }
        given.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
