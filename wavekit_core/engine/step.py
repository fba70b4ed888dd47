"""The root module: every loss goes through `Step.forward`, so that whatever wraps it sees all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from wavekit_core.kinds import Batch, Generator, Loss, Objective


class Step(nn.Module):
    """A generator with its objectives and their optimizers; `forward(name, batch)` is one loss, computed in bfloat16 where
    torch's autocast allows it if `mixed` is set."""

    def __init__(self, generator: Generator, mixed: bool = False):
        super().__init__()
        self.generator = generator
        self.mixed = mixed
        self.objectives: dict[str, Objective] = {o.name: o for o in generator.objectives()}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: o.optimizer(list(o.parameters)) for name, o in self.objectives.items()
        }
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])

    def forward(self, objective: str, batch: Batch) -> Loss:
        if not self.mixed:
            return self.objectives[objective].loss(batch)
        with torch.autocast(batch.data.device.type, torch.bfloat16):
            return self.objectives[objective].loss(batch)

    def parameters_of(self, objective: str) -> Sequence[nn.Parameter]:
        """The parameters that an objective trains."""
        return [p for group in self.optimizers[objective].param_groups for p in group["params"]]

    def trained(self) -> dict[str, nn.Parameter]:
        """Every parameter that some objective trains, by its name in the generator."""
        ours = {id(p) for name in self.objectives for p in self.parameters_of(name)}
        return {name: p for name, p in self.generator.named_parameters() if id(p) in ours}

    def names_of(self, objective: str) -> Sequence[str]:
        """The names in the generator of the parameters that an objective trains."""
        ours = {id(p) for p in self.parameters_of(objective)}
        return [name for name, p in self.generator.named_parameters() if id(p) in ours]

    def set_rate(self, factor: float) -> None:
        """Every group's rate as a multiple of the one that it was made with."""
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor

    def optimizer_tensors(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """The optimizers' states as tensors by name, and the rest as plain data."""
        tensors: dict[str, torch.Tensor] = {}
        plain: dict[str, Any] = {}
        for name, optimizer in self.optimizers.items():
            for index, state in optimizer.state_dict()["state"].items():
                for key, value in state.items():
                    path = f"{name}/{index}/{key}"
                    if isinstance(value, torch.Tensor):
                        tensors[path] = value
                    else:
                        plain[path] = value
            for index, group in enumerate(optimizer.param_groups):  # some optimizers count there
                options = {k: v for k, v in group.items() if isinstance(v, (int, float, str)) and not k.endswith("lr")}
                plain |= {f"{name}/group{index}/{key}": value for key, value in options.items()}
        return tensors, plain

    def load_optimizer_tensors(self, tensors: dict[str, torch.Tensor], plain: dict[str, Any]) -> None:
        """The inverse of `optimizer_tensors`."""
        for name, optimizer in self.optimizers.items():
            state: dict[int, dict[str, Any]] = {}
            for path, value in {**tensors, **plain}.items():
                owner, index, key = path.rsplit("/", 2)
                if owner == name and index.startswith("group"):
                    optimizer.param_groups[int(index[5:])][key] = value
                elif owner == name:
                    state.setdefault(int(index), {})[key] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
