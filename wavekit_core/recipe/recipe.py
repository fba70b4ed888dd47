"""The recipe: what a run is made of, as one signature."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from wavekit_core.component import STRICT, Component, Slot
from wavekit_core.kinds import Dataset, Generator, Metric, Sampler, Transform
from wavekit_core.recipe.compose import compose
from wavekit_core.recipe.faults import Fault, RecipeFaults
from wavekit_core.recipe.grid import single
from wavekit_core.recipe.nodes import Checked, check_arguments
from wavekit_core.recipe.source import Value

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
NOT_TRAINING = ("name", "sampler", "samples", "evaluate", "control")  # what training does not read


class Train(BaseModel):
    """How the loop trains. Steps and the global batch are the units.

    The global batch is cut into `shards` fixed parts, one after the other on one device: the unit of randomness, and of
    accumulation. `ema` is the decay of the averaged weights that are evaluated (0: none); `clip` the largest gradient norm
    of an objective (0: no bound). The rate rises over `warmup` steps and then follows `schedule`. Every `checkpoint_every`
    steps the run is saved and a preview drawn (0: at the end only); the newest `keep` checkpoints are kept. `threads` are the
    CPU's (0: torch's own choice); they change the bits, and small networks are fastest with one. `precision` is that of the
    losses' networks: bfloat16 is torch's autocast, with weights and optimizers in float32. `compile` hands the losses to
    torch.compile, which needs a C++ compiler on the CPU.
    """

    model_config = STRICT

    steps: Annotated[int, Field(ge=0, le=1_000_000_000)] = 1000
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 128
    shards: Annotated[int, Field(ge=1, le=65_536)] = 1
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    clip: Annotated[float, Field(ge=0)] = 1.0
    warmup: Annotated[int, Field(ge=0)] = 0
    schedule: Literal["constant", "cosine"] = "constant"
    checkpoint_every: Annotated[int, Field(ge=0)] = 0
    log_every: Count = 20
    threads: Annotated[int, Field(ge=0, le=4096)] = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    keep: Annotated[int, Field(ge=2, le=1000)] = 2


class Draw(BaseModel):
    """How samples are drawn: `count` for the evaluation, in chunks of `batch_size`, which are the unit of randomness. Drawing of
    100 images is timed `timed` times at the end (0: not at all)."""

    model_config = STRICT

    count: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 100
    timed: Annotated[int, Field(ge=0, le=1000)] = 0


class RunParts(Component):
    """The top level of a recipe. Its signature is the schema; see `docs/recipes.md`."""

    def __init__(
        self,
        data: Dataset,
        generator: Slot[Generator],
        transform: Sequence[Transform] = (),
        sampler: Sampler | None = None,
        name: Name = "run",
        seed: Annotated[int, Field(ge=0, lt=2**63)] = 0,
        train: Train = Train(),  # noqa: B008
        samples: Draw = Draw(),  # noqa: B008
        evaluate: Sequence[Metric] = (),
        control: Slot[Generator] | None = None,
    ):
        """`control` is a generator without training, measured beside the model."""


@dataclass(frozen=True)
class Recipe:
    """A recipe whose names and values are right; nothing is built yet."""

    checked: Checked

    @property
    def name(self) -> str:
        return str(self.checked.values["name"])

    @property
    def seed(self) -> int:
        return int(self.checked.values["seed"])

    @property
    def train(self) -> Train:
        train = self.checked.values["train"]
        assert isinstance(train, Train)
        return train

    @property
    def samples(self) -> Draw:
        samples = self.checked.values["samples"]
        assert isinstance(samples, Draw)
        return samples

    def part(self, name: str) -> Any:
        """The checked node, list of nodes or None of a component parameter."""
        return self.checked.children[name]

    def plain(self) -> dict[str, Any]:
        """The recipe with every default written out."""
        return self.checked.plain()

    def digest(self) -> str:
        """SHA-256 of the resolved recipe."""
        return _digest(self.plain())

    def training(self) -> str:
        """SHA-256 of what training reads of it: recipes with the same train the same weights."""
        return _digest({key: value for key, value in self.plain().items() if key not in NOT_TRAINING})


def _digest(plain: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def load(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe file, or a shipped recipe by its name. Raises RecipeFaults with every fault."""
    return from_value(compose(path, settings))


def _unclaimed(alone: Value, value: Value) -> Value:
    """A recipe that is no grid without the claims of the grid that it was (`grid: null`). Raises RecipeFaults if it was none."""
    claims = alone.get("claims")
    if claims is None:
        return alone
    if claims.data is not None and value.get("grid") is None:
        what = "`claims` are of the cells of a grid; write a `grid`, or take them away"
        raise RecipeFaults([Fault(value.keys.get("claims", claims.mark), what, len("claims"))])
    return Value({key: child for key, child in alone.data.items() if key != "claims"}, alone.mark, alone.keys)


def from_value(value: Value) -> Recipe:
    """Check a composed recipe that is no grid. Raises RecipeFaults with every fault."""
    faults: list[Fault] = []
    checked = check_arguments(RunParts, _unclaimed(single(value), value), faults)
    train = checked.values.get("train")
    if train and train.batch_size % train.shards:
        mark = value.at(["train", "shards"]).mark
        faults.append(
            Fault(mark, f"{train.shards} shards do not divide batch_size {train.batch_size}; choose a divisor")
        )
    if faults:
        raise RecipeFaults(faults)
    return Recipe(checked)
