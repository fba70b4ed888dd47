"""A checkpoint: full tensors as safetensors, and JSON. Nothing is ever unpickled.

    model.safetensors      parameters and buffers of the generator, without its samplers
    averaged.safetensors   averaged weights (absent without averaging)
    optimizer.safetensors  tensors of the optimizers' states
    state.json             step, counters, the length and digest of metrics.jsonl, the rest of the optimizers' states

What samplers learn from trained weights is no training state: `sampler.safetensors` stands with the samples drawn from it.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from itertools import chain
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors
from torch import Tensor, nn

from wavekit_core.engine.averaging import Averaged
from wavekit_core.engine.step import Step
from wavekit_core.errors import DamagedError, DivergedError
from wavekit_core.kinds import Sampler
from wavekit_core.runs import forms
from wavekit_core.runs.forms import State


def contents(step: Step, averaged: Averaged, state: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a checkpoint. Raises DivergedError that names a weight that is not finite."""
    tensors, plain = step.optimizer_tensors()
    weights = _split(step.generator)[0]
    for name, tensor in chain(step.generator.named_parameters(), averaged.tensors.items(), tensors.items()):
        if not _finite(tensor):
            raise DivergedError(
                f"step {state['step']}: {name} is not finite any more, so it is not saved; lower the rate (lr) or clip harder "
                "(train.clip), and start again or go on from the last checkpoint"
            )
    files = {"model.safetensors": _bytes(weights)}
    if averaged.tensors:
        files["averaged.safetensors"] = _bytes(averaged.tensors)
    files["optimizer.safetensors"] = _bytes(tensors)
    files["state.json"] = json.dumps({"format": forms.FORMAT, **state, "optimizer": plain}, indent=1).encode() + b"\n"
    return files


def size(step: Step, averaged: Averaged) -> int:
    """About how many bytes a checkpoint takes, with two tensors of optimizer state for each that is trained."""
    trained = sum(p.nbytes for p in step.trained().values())
    return sum(t.nbytes for t in _split(step.generator)[0].values()) + trained * (3 if averaged.tensors else 2)


def state_of(files: Mapping[str, bytes]) -> State:
    """state.json of a checkpoint whose files were checked. Raises DamagedError."""
    return forms.read(State, files["state.json"], "state.json")


def restore(step: Step, averaged: Averaged, files: Mapping[str, bytes]) -> State:
    """Put a checkpoint's files into place and return its state. Raises DamagedError that names the tensor."""
    state = state_of(files)
    load_weights(step.generator, files)
    if averaged.tensors:
        averaged.load(_fitting(files, "averaged.safetensors", averaged.tensors, averaged.tensors))
    tensors = _tensors(files, "optimizer.safetensors")
    for name, tensor in tensors.items():
        if not _finite(tensor):
            raise DamagedError(f"optimizer.safetensors: {name} is not finite")
    try:
        step.load_optimizer_tensors(tensors, state.optimizer)
    except (KeyError, ValueError, IndexError, TypeError, RuntimeError) as error:
        raise DamagedError(f"optimizer.safetensors does not fit the recipe's optimizers: {_short(error)}") from None
    return state


def load_weights(generator: nn.Module, files: Mapping[str, bytes], averaged: bool = False) -> None:
    """Parameters and buffers of a generator; with `averaged`, the averaged weights where there are any.

    Raises DamagedError that names the tensor that is missing, foreign, of another shape or type, or not finite.
    """
    expected, samplers = _split(generator)
    parameters = dict(generator.named_parameters())
    tensors = _fitting(files, "model.safetensors", expected, parameters)
    if averaged and "averaged.safetensors" in files:
        names = parameters.keys() & _tensors(files, "averaged.safetensors").keys()
        tensors |= _fitting(files, "averaged.safetensors", {name: parameters[name] for name in names}, parameters)
    _load(generator, tensors | samplers, "model.safetensors")


def _fitting(
    files: Mapping[str, bytes], file: str, expected: Mapping[str, Tensor], parameters: Container[str]
) -> dict[str, Tensor]:
    """The tensors of a file: exactly the expected names; parameters of the expected shapes and types, and finite. A fitted
    module may give its buffers any shape while it loads."""
    found = _tensors(files, file)
    for name in sorted(set(found) ^ set(expected)):
        raise DamagedError(
            f"{file}: {name} {'is foreign to' if name in found else 'is missing for'} the recipe's model"
        )
    for name, tensor in found.items():
        if name not in parameters:
            continue
        if _kind(tensor) != _kind(expected[name]):
            raise DamagedError(f"{file}: {name} is {_kind(tensor)}, the recipe's model has {_kind(expected[name])}")
        if not _finite(tensor):
            raise DamagedError(f"{file}: {name} is not finite (it holds NaN or infinity)")
    return found


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _load(module: nn.Module, tensors: Mapping[str, Tensor], file: str) -> None:
    try:
        module.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise DamagedError(f"{file} does not fit the recipe's model: {_short(error)}") from None


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


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
    expected = _split(generator)[0]
    _load(generator, expected | _tensors(files, "sampler.safetensors"), "sampler.safetensors")


def _split(generator: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A generator's state without its samplers' part, and that part."""
    prefixes = tuple(f"{name}." for name, module in generator.named_modules() if isinstance(module, Sampler))
    state = generator.state_dict()
    return (
        {name: tensor for name, tensor in state.items() if not name.startswith(prefixes)},
        {name: tensor for name, tensor in state.items() if name.startswith(prefixes)},
    )
