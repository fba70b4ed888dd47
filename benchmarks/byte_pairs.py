"""Longer tokens, shorter sequences: `python benchmarks/byte_pairs.py RECIPE --json FILE` (S3, Figure 6).

The sequences of a recipe's tokenizer under byte-pair merging (Gage 1994; Sennrich et al. 2016), by the library tokenizers: the
mean length of held-out sequences against the size of the vocabulary, learned on training sequences. No part of the product: the
grammar tells a model what may come next of the seven tokens, and would have to be asked token by token of each merged one.
The folder of data sets is WAVEKIT_DATA_ROOT.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from results import publish
from tokenizers import Tokenizer, models, trainers
from torch import Tensor
from wavekit_embedded_tokenizer.language import END

from wavekit_core.recipe.recipe import load
from wavekit_core.session import Session, choose_device

SIZES = (0, 16, 32, 64, 128, 256, 512, 1024)  # merged tokens
FIRST = 0x100  # the letter of token 0
COUNT = 5_000


def texts(tokens: Tensor) -> list[str]:
    """A letter a token, a string a sequence."""
    return ["".join(chr(FIRST + t) for t in row if t != END) for row in tokens.tolist()]


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    session = Session(load(given.recipe), choose_device("cpu"))
    session.fit()
    parts = []
    for batch in session.batches():
        parts.append(session.pipeline.represent(batch.data))
        if sum(map(len, parts)) >= COUNT:
            break
    learned, held_out = texts(torch.cat(parts)), texts(session.pipeline.represent(session.held_out(1000).data))
    letters = sorted(set("".join(learned + held_out)))
    alone = sum(map(len, held_out)) / len(held_out)
    rows = []
    for size in SIZES:
        coder = Tokenizer(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=len(letters) + size, initial_alphabet=letters, show_progress=False, special_tokens=[]
        )
        coder.train_from_iterator(learned, trainer)
        lengths = [len(one.ids) for one in coder.encode_batch(held_out)]
        mean = sum(lengths) / len(lengths)
        rows.append({"name": f"{coder.get_vocab_size()} tokens", "value": mean, "unit": "tokens an image"})
        rows[-1] |= {"share of the length": mean / alone}
        print(
            f"vocabulary {coder.get_vocab_size()}: {mean:.1f} tokens an image, {mean / alone:.3f} of {alone:.1f}",
            flush=True,
        )
    publish(given.json, f"Byte-pair merging, {given.recipe}", f"python benchmarks/byte_pairs.py {given.recipe}", rows)


if __name__ == "__main__":
    main()
