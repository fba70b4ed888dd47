"""Averaged weights: an exponential moving average of what is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn


class Averaged:
    """The average of `parameters` with a decay that grows as (1 + step) / (10 + step) up to `decay`. A decay of 0 keeps the
    parameters themselves."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float):
        self.parameters = dict(parameters)
        self.decay = decay
        self.tensors: dict[str, Tensor] = {}
        if decay:
            self.tensors = {name: p.detach().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def update(self, step: int, names: Sequence[str] | None = None) -> None:
        """Take in the parameters of these names (all, by default), which have been trained in `step` steps."""
        if self.tensors:
            weight = 1 - min(self.decay, (1 + step) / (10 + step))
            chosen = list(self.tensors) if names is None else names
            averages = [self.tensors[name] for name in chosen]
            torch._foreach_lerp_(averages, [self.parameters[name] for name in chosen], weight)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The averaged weights in place of the parameters, for a block."""
        kept = {name: self.parameters[name].data for name in self.tensors}
        for name, tensor in self.tensors.items():
            self.parameters[name].data = tensor
        try:
            yield
        finally:
            for name, data in kept.items():
                self.parameters[name].data = data

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of reading `tensors`."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])
