"""How fast a transformer writes tokens: `python benchmarks/token_sampling.py [--json FILE]`.

Beside Hugging Face's GPT-2 (`pip install transformers`) of the same shape and vocabulary, drawn from by its own `generate` with
its own cache: 6 blocks, 768 wide, 12 heads, 16 sequences of 256 tokens, float32, in turns in one process. And beside a loop that
keeps nothing and reads its sequence anew for every token, as in nanoGPT, at 1,000 tokens: the same network of 6 blocks, 384 wide,
16 sequences. As that takes minutes, its steps are timed at ten lengths, in the middle of each hundred, and added up.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from results import publish
from torch import Tensor
from wavekit_ar_transformer import ARTransformer
from wavekit_ar_transformer.network import whole

from wavekit_core.spaces import TokenSpace
from wavekit_core.tokens import Temperature

VOCABULARY, BATCH = 16, 16
PLAIN = {"positions": "learned", "next_slot": False, "qk_norm": False}  # what GPT-2 has
PARTS = 10  # lengths at which a step without a memory is timed


def seconds(function: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def in_turns(rounds: int, *functions: Callable[[], float]) -> list[float]:
    """The median of what each gives, over rounds in which all of them run; the first one warms up."""
    found = [[function() for function in functions] for _ in range(rounds + 1)][1:]
    return [statistics.median(column) for column in zip(*found, strict=True)]


def ours(
    width: int, depth: int, heads: int, length: int, batch: int = BATCH
) -> tuple[ARTransformer, Callable[[], float]]:
    model = ARTransformer(TokenSpace(VOCABULARY, length), width=width, depth=depth, heads=heads, **PLAIN).eval()
    return model, lambda: seconds(lambda: Temperature().sample(model, batch))


def hugging_face(width: int, depth: int, heads: int, length: int) -> Callable[[], float]:
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"n_embd": width, "n_layer": depth, "n_head": heads, "n_positions": length}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=None, **shape)).eval()
    start = torch.zeros(BATCH, 1, dtype=torch.int64)
    settings = {"max_new_tokens": length - 1, "do_sample": True, "top_k": 0, "pad_token_id": 0}

    def write() -> None:
        found = model.generate(start, attention_mask=torch.ones_like(start), **settings)
        assert found.shape == (BATCH, length)

    return lambda: seconds(write)


@torch.no_grad()
def anew(model: ARTransformer, length: int) -> float:
    """Seconds for a batch by a loop that keeps nothing: every step reads all places, and asks the head of the last one."""

    def step(at: int) -> None:
        places = torch.arange(at).expand(BATCH, at).reshape(-1, 1)
        tokens = torch.zeros(BATCH * at, dtype=torch.int64)
        rows = model.inputs.rows(tokens, places, places, None)
        x = model.inputs(rows, model.inputs.table())
        attend = whole(torch.ones(BATCH, at, dtype=torch.bool))
        for block in model.decoder.blocks:
            x = block(x, attend)
        last: Tensor = model.decoder.head(model.decoder.norm(x.unflatten(0, (BATCH, at))[:, -1]))
        last.softmax(1).multinomial(1)

    part = length // PARTS
    return sum(part * seconds(lambda at=at: step(at)) for at in range(part // 2, length, part))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)

    rows: list[dict[str, Any]] = []

    def row(name: str, value: float, unit: str, asked: str | None = None) -> None:
        rows.append({"name": name, "value": value, "unit": unit} | ({"asked": asked} if asked else {}))
        print(f"{name}: {value:.4g} {unit}", flush=True)

    shape = (768, 6, 12, 256)
    theirs, mine = in_turns(given.rounds, hugging_face(*shape), ours(*shape)[1])
    row("GPT-2's shape: Hugging Face", BATCH * 256 / theirs, "tokens a second")
    row("GPT-2's shape: ar-transformer", BATCH * 256 / mine, "tokens a second")
    row("GPT-2's shape: ratio", theirs / mine, "times", "at least 2, goal 4")
    model, run = ours(384, 6, 6, 1000)
    theirs, mine = in_turns(max(1, given.rounds // 3), lambda: anew(model, 1000), run)
    row("1,000 tokens: a loop that keeps nothing", BATCH * 1000 / theirs, "tokens a second")
    row("1,000 tokens: ar-transformer", BATCH * 1000 / mine, "tokens a second")
    row("1,000 tokens: ratio", theirs / mine, "times", "at least 10")
    (mine,) = in_turns(given.rounds, ours(64, 4, 4, 256, 100)[1])
    row("small (4 blocks, 64 wide, batch 100): ar-transformer", 100 * 256 / mine, "tokens a second")
    command = "python benchmarks/token_sampling.py --json docs/results/token-sampling.json"
    publish(given.json, "Speed of writing tokens", command, rows)


if __name__ == "__main__":
    main()
