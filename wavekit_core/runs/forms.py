"""The forms of the JSON files of a run: strict types, no unknown keys."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wavekit_core.errors import DamagedError

FORMAT = 1
STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=1 << 50)]


class Log(BaseModel):
    """The part of metrics.jsonl that a checkpoint refers to."""

    model_config = STRICT

    bytes: Count
    sha256: Sha256


class State(BaseModel):
    """state.json of a checkpoint."""

    model_config = STRICT | ConfigDict(allow_inf_nan=False)

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    step: Count
    window: dict[str, int | float]
    metrics: Log
    optimizer: dict[str, Any]


class Plugin(BaseModel):
    """A distribution that a run used."""

    model_config = STRICT

    version: str
    sha256: Sha256


class Space(BaseModel):
    """The images of a run."""

    model_config = STRICT | ConfigDict(allow_inf_nan=False)

    channels: Annotated[int, Field(ge=1, le=1 << 20)]
    height: Annotated[int, Field(ge=1, le=1 << 20)]
    width: Annotated[int, Field(ge=1, le=1 << 20)]
    low: float
    high: float


class Lock(BaseModel):
    """lock.json: what a run was started with.

    `parameters` by objective, `flops` of a step (None where they cannot be counted), `latent` the numbers of an autoencoder's
    latent; `space` and `classes` of the images, so that samples need no data. `training` is the digest of what training reads of
    the recipe; `trained_in` the run of the same grid that trained the weights, if not this one.
    """

    model_config = STRICT

    python: str
    torch: str
    numpy: str
    transforms: str
    plugins: dict[str, Plugin]
    device: str
    threads: Annotated[int, Field(ge=1, le=4096)]
    data: str
    recipe: Sha256
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    platform: str
    git: str | None
    name: str
    steps: Count
    inexact: bool
    processes: Annotated[int, Field(ge=1, le=1 << 20)]
    parameters: dict[str, Count]
    flops: Count | None
    latent: Count | None
    space: Space
    classes: list[str]
    training: Sha256 | None = None
    trained_in: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class Evaluation(BaseModel):
    """evaluation.json: the figures of the last checkpoint. `evaluations` are those of each stage's network for one image."""

    model_config = STRICT

    step: Count
    averaged: bool
    evaluations: dict[str, Count] = {}
    figures: list[dict[str, Any]]


Form = TypeVar("Form", bound=BaseModel)


def read(form: type[Form], content: bytes, where: object) -> Form:
    """JSON in one of these forms. Raises DamagedError that names the first value that does not fit."""
    try:
        return form.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise DamagedError(
            f"{where}: is damaged or from another version of wavekit ({place[:80]}: {first['msg'][:120]})"
        ) from None
