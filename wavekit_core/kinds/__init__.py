"""The kinds of component: one file a kind, with its base class and its contract."""

from wavekit_core.component import Component
from wavekit_core.kinds.autoregressive import Autoregressive
from wavekit_core.kinds.dataset import Batch, Dataset, Split
from wavekit_core.kinds.denoiser import Denoiser
from wavekit_core.kinds.details import DetailGenerator, DetailSpace, Scales
from wavekit_core.kinds.generator import Autoencoder, Generator, Loss, Objective, PosteriorState
from wavekit_core.kinds.metric import Code, Evidence, Figure, Metric
from wavekit_core.kinds.regularizer import Regularizer
from wavekit_core.kinds.sampler import Sampler
from wavekit_core.kinds.transform import Transform

KINDS: dict[str, type[Component]] = {
    base.kind: base for base in (Transform, Regularizer, Generator, Sampler, Dataset, Metric)
}

__all__ = [
    "KINDS",
    "Autoencoder",
    "Autoregressive",
    "Batch",
    "Code",
    "Dataset",
    "Denoiser",
    "DetailGenerator",
    "DetailSpace",
    "Evidence",
    "Figure",
    "Generator",
    "Loss",
    "Metric",
    "Objective",
    "PosteriorState",
    "Regularizer",
    "Sampler",
    "Scales",
    "Split",
    "Transform",
]
