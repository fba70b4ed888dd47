"""A checkpoint: full tensors as safetensors, and JSON. Nothing is ever unpickled.

    model.safetensors      parameters and buffers of the generator, without its samplers
    averaged.safetensors   averaged weights (absent without averaging)
    optimizer.safetensors  tensors of the optimizers' states
    state.json             step, counters, the length and digest of metrics.jsonl, the rest of the optimizers' states

What samplers learn from trained weights is no training state: `sampler.safetensors` stands with the samples drawn from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors
from torch import Tensor, nn

from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.step import Step
from wavekit_core.errors import DamagedError
from wavekit_core.kinds import Sampler

FORMAT = 1


def contents(step: Step, averaged: Averaged, state: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a checkpoint."""
    tensors, plain = step.optimizer_tensors()
    files = {"model.safetensors": _bytes(_split(step.generator)[0])}
    if averaged.tensors:
        files["averaged.safetensors"] = _bytes(averaged.tensors)
    files["optimizer.safetensors"] = _bytes(tensors)
    files["state.json"] = json.dumps({"format": FORMAT, **state, "optimizer": plain}, indent=1).encode() + b"\n"
    return files


def state_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    """state.json of a checkpoint whose files were checked."""
    state = json.loads(files["state.json"])
    if state.get("format") != FORMAT:
        raise DamagedError(
            f"checkpoint format {state.get('format')!r} is not {FORMAT}; it is from another version of wavekit"
        )
    return dict(state)


def restore(step: Step, averaged: Averaged, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Put a checkpoint's files into place and return its state."""
    load_weights(step.generator, files)
    if averaged.tensors:
        averaged.load(_tensors(files, "averaged.safetensors"))
    state = state_of(files)
    step.load_optimizer_tensors(_tensors(files, "optimizer.safetensors"), state["optimizer"])
    return state


def load_weights(generator: nn.Module, files: Mapping[str, bytes], averaged: bool = False) -> None:
    """Parameters and buffers of a generator; with `averaged`, the averaged weights where there are any."""
    tensors = _tensors(files, "model.safetensors")
    if averaged and "averaged.safetensors" in files:
        tensors |= _tensors(files, "averaged.safetensors")
    try:
        generator.load_state_dict(tensors | _split(generator)[1], strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise DamagedError(f"model.safetensors does not fit the recipe's model: {detail}") from None


def _bytes(tensors: Mapping[str, Tensor]) -> bytes:
    # tied parameters appear under each of their names
    return serialise_tensors({name: t.detach().cpu().contiguous().clone() for name, t in sorted(tensors.items())})


def _tensors(files: Mapping[str, bytes], name: str) -> dict[str, Tensor]:
    try:
        return parse_tensors(files[name]) if name in files else {}
    except (SafetensorError, ValueError) as error:
        raise DamagedError(f"{name}: {error}") from None


def sampler_files(generator: nn.Module) -> dict[str, bytes]:
    """What the samplers of a generator have learned, as a file."""
    return {"sampler.safetensors": _bytes(_split(generator)[1])}


def load_samplers(generator: nn.Module, files: Mapping[str, bytes]) -> None:
    """The inverse of `sampler_files`."""
    tensors = _tensors(files, "sampler.safetensors")
    try:
        generator.load_state_dict(_split(generator)[0] | tensors, strict=True)
    except RuntimeError as error:
        raise DamagedError(
            f"sampler.safetensors does not fit the sampler: {' '.join(str(error).split())[:300]}"
        ) from None


def _split(generator: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A generator's state without its samplers' part, and that part."""
    prefixes = tuple(f"{name}." for name, module in generator.named_modules() if isinstance(module, Sampler))
    state = generator.state_dict()
    return (
        {name: tensor for name, tensor in state.items() if not name.startswith(prefixes)},
        {name: tensor for name, tensor in state.items() if name.startswith(prefixes)},
    )
