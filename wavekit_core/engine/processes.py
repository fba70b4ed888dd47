"""Several processes that train one model: which one this is, and what all of them agree on.

The shards of a batch are divided among the processes, gradients are averaged by DistributedDataParallel, and everything else
is computed by every process alike. The first one alone writes, draws and measures. The environment variables are those of
`torchrun`: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from wavekit_core.errors import RecipeError, ResourceError
from wavekit_core.kinds import Sampler

# the first process may evaluate for long while the others wait; one that is gone is noticed by its connection, not by time
PATIENCE = timedelta(days=7)


class Processes:
    """Process `index` of `count`, the `local`-th of its machine. `Processes()` is one alone, and talks to nobody."""

    def __init__(self, index: int = 0, count: int = 1, local: int = 0):
        self.index, self.count, self.local = index, count, local

    @property
    def first(self) -> bool:
        return self.index == 0

    def mine(self, shards: int) -> range:
        """The shards that this process computes: consecutive ones. Raises RecipeError if they cannot be divided equally."""
        if shards % self.count:
            raise RecipeError(
                f"{self.count} processes cannot share train.shards: {shards}; choose a multiple of {self.count} that divides "
                "train.batch_size, such as -s train.shards=" + str(self.count)
            )
        share = shards // self.count
        return range(self.index * share, (self.index + 1) * share)

    def wrap(self, step: nn.Module, device: torch.device) -> nn.Module:
        """The module to call for a loss whose gradients are averaged over the processes. Parameters and buffers become those
        of the first one."""
        if self.count == 1:
            return step
        samplers = [f"{name}." for name, module in step.named_modules() if isinstance(module, Sampler)]
        theirs = [
            name for name in step.state_dict() if name.startswith(tuple(samplers))
        ]  # the first alone fits samplers
        parallel = nn.parallel.DistributedDataParallel
        parallel._set_params_and_buffers_to_ignore_for_model(step, theirs)
        with peers():
            return parallel(step, [device] if device.type == "cuda" else None, find_unused_parameters=True)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the processes."""
        if self.count > 1:
            with peers():
                dist.all_reduce(values)
        return values

    def range_of(self, value: float) -> tuple[float, float]:
        """The smallest and the largest of the processes' values."""
        ends = torch.tensor([-value, value], dtype=torch.float64)
        if self.count > 1:
            with peers():
                dist.all_reduce(ends, dist.ReduceOp.MAX)
        return -float(ends[0]), float(ends[1])

    def any(self, flag: bool) -> bool:
        """Whether it holds for any process."""
        return self.range_of(float(flag))[1] > 0

    def share(self, files: Mapping[str, bytes] | None) -> dict[str, bytes]:
        """The first process's files, in every process; the others' argument is ignored."""
        if self.count == 1:
            return dict(files or {})
        names = json.dumps({name: len(content) for name, content in (files or {}).items()}).encode()
        lengths = torch.tensor([len(names)])
        with peers():
            dist.broadcast(lengths, 0)
            listing = _broadcast(names, int(lengths), self.first)
            sizes: dict[str, int] = json.loads(listing)
            return {name: _broadcast((files or {}).get(name, b""), size, self.first) for name, size in sizes.items()}


def _broadcast(content: bytes, length: int, first: bool) -> bytes:
    tensor = torch.frombuffer(bytearray(content), dtype=torch.uint8) if first and length else torch.empty(0)
    if not first:
        tensor = torch.empty(length, dtype=torch.uint8)
    if length:
        dist.broadcast(tensor, 0)
    return tensor.numpy().tobytes() if length else b""


@contextlib.contextmanager
def peers() -> Iterator[None]:
    """Faults of the connection, as ours."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error) or "peer" in str(error):
            raise ResourceError("another process of this run is gone; the same command goes on") from error
        raise


def environment() -> Processes:
    """What the environment says: who this process is among how many. Raises RecipeError for half an environment."""
    if "WORLD_SIZE" not in os.environ:
        return Processes()
    try:
        index, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        local = int(os.environ.get("LOCAL_RANK", index))
        if not 0 <= index < count:
            raise ValueError(f"RANK {index} of {count}")
    except (KeyError, ValueError) as error:
        raise RecipeError(
            f"WORLD_SIZE is set, and RANK and LOCAL_RANK are not as torchrun sets them ({error}); unset all of them, or start "
            "with --processes or torchrun"
        ) from None
    return Processes(index, count, local)


@contextlib.contextmanager
def joined(processes: Processes) -> Iterator[None]:
    """Within the block the processes can talk. Raises ResourceError if they cannot meet."""
    if processes.count == 1:
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        dist.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise ResourceError(
            f"the {processes.count} processes cannot meet: {' '.join(str(error).split())[:200]}"
        ) from None
    try:
        yield
    finally:
        dist.destroy_process_group()
