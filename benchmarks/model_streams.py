"""A trained model as the coder's model, beside the contexts: `python benchmarks/model_streams.py RUN --json FILE`.

Held-out images of a run whose model writes embedded tokens: bytes of the payload, and seconds each way, one image at a time; then
the contexts' bytes at the same PSNR, each image by the wavelet that needs fewest. The folder of data sets is WAVEKIT_DATA_ROOT.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from results import publish
from wavekit_embedded_tokenizer.modelled import ModelCoder
from wavekit_embedded_tokenizer.photo import WAVELETS
from wavekit_embedded_tokenizer.stream import Target, encoded, psnr

from wavekit_core import open_run
from wavekit_core.pictures import levels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    coder = ModelCoder(open_run(given.run))
    images = levels(coder.run.session.held_out(given.count).data, coder.space)
    coder.decode(coder.encode(_pixels(images[0])))
    found = []
    for image in map(_pixels, images):
        moments = [time.perf_counter()]
        entry = coder.encode(image)
        moments.append(time.perf_counter())
        back = coder.decode(entry)
        moments.append(time.perf_counter())
        reached = psnr(back, image)
        others = [len(encoded(image, Target(psnr=reached, wavelet=wavelet)).payload) for wavelet in WAVELETS]
        found.append((len(entry.payload), min(others), reached, *np.diff(moments)))
    units = {"the model's bytes": "bytes an image", "the contexts' bytes": "bytes an image", "PSNR": "dB"}
    units |= {"encode with the model": "s", "decode with the model": "s"}
    means = np.mean(found, axis=0).tolist()
    rows = [
        {"name": name, "value": value, "unit": unit} for (name, unit), value in zip(units.items(), means, strict=True)
    ]
    for row in rows:
        print(f"{row['name']}: {row['value']:.4g} {row['unit']}")
    publish(
        given.json, f"Coding with {given.run.name}", f"python benchmarks/model_streams.py runs/{given.run.name}", rows
    )


def _pixels(image: np.ndarray) -> np.ndarray:
    return image[0] if len(image) == 1 else np.moveaxis(image, 0, 2)


if __name__ == "__main__":
    main()
