"""The named networks in whose features sets of images are compared. Nothing is ever downloaded."""

from __future__ import annotations

import functools
import hashlib
import warnings
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from wavekit_core.data.files import data_root, shown
from wavekit_core.errors import DamagedError, SpaceError
from wavekit_core.kinds.dataset import Dataset
from wavekit_core.metrics.class_cnn import judge_of
from wavekit_core.metrics.real_images import CHUNK
from wavekit_core.spaces import ImageSpace

Features = Literal["lenet-mnist", "lenet-fashion", "class-cnn", "resnet20-cifar", "inception"]
Forward = Callable[[Tensor], Tensor]
WEIGHTS = Path(__file__).parent / "weights"


class Extractor(ABC):
    """Maps 8-bit images of a data set to feature vectors. `key` tells it from others, `note` is what a unit says of it."""

    key: tuple[Any, ...]

    @property
    def note(self) -> str:
        return ""

    @abstractmethod
    def require(self, metric: object, space: ImageSpace) -> None:
        """Raise `SpaceError` for images that the network does not take or weights that are not there, `DamagedError` for
        weights of something else. Reads no image and keeps nothing."""

    @abstractmethod
    def features(self, images: Tensor, dataset: Dataset) -> NDArray[np.float64]:
        """(N, C, H, W) in the range of `dataset` to (N, d)."""


def extractor(features: Features, weights: str | None, seed: int) -> Extractor:
    """The extractor of this name. `weights` is the path of its weights where they are not part of the package; a relative one
    is looked for in the working folder, then below the data root. `seed` is for `class-cnn` alone."""
    if features == "class-cnn":
        return _ClassCnn(weights, seed)
    return _Fixed(features, weights)


class _ClassCnn(Extractor):
    """The judge that is trained on the data set's own classes; its 64 features."""

    def __init__(self, weights: str | None, seed: int):
        self._weights, self._seed = weights, seed
        self.key = ("class-cnn", seed)

    def require(self, metric: object, space: ImageSpace) -> None:
        _refuse_weights(metric, "class-cnn", self._weights)

    def features(self, images: Tensor, dataset: Dataset) -> NDArray[np.float64]:
        judge = judge_of(dataset, self._seed)
        return judge.features(judge.shrunk(images.float().cpu())).double().numpy()


class _Fixed(Extractor):
    """A network whose weights lie in a file."""

    def __init__(self, name: Features, weights: str | None):
        self._name, self._weights = name, weights
        self.key = (name, weights)

    def require(self, metric: object, space: ImageSpace) -> None:
        if self._name in SHIPPED:
            _refuse_weights(metric, self._name, self._weights)
            if space.channels != 1:
                reason = f"{self._name} takes grey images, not {space}"
                raise SpaceError(metric, reason, "use class-cnn, resnet20-cifar or inception", at="features")
        elif self._weights is None:
            remedy = f"write weights: PATH, the path of {EXPECTED[self._name]}"
            raise SpaceError(metric, f"the weights of {self._name} are not part of wavekit", remedy, at="features")
        elif _path(self._weights) is None:
            places = "the working folder" + (
                " and the data root" if data_root(None) else "; no data root is set by --data-root or WAVEKIT_DATA_ROOT"
            )
            reason = f"weights {shown(self._weights)}: there is no such file in {places}"
            raise SpaceError(metric, reason, f"give the path of {EXPECTED[self._name]}", at="weights")
        elif space.channels not in (1, 3):
            raise SpaceError(
                metric, f"{self._name} takes grey or RGB images, not {space}", "use class-cnn", at="features"
            )
        if self._name == "inception":
            _check_archive(self._file)  # the rest is read when it is needed: it is large
        else:
            _forward(self._name, self._file)

    @property
    def note(self) -> str:
        return "" if self._name in SHIPPED else f" (weights {_hash(self._file)[:8]})"

    @property
    def _file(self) -> Path:
        found = SHIPPED.get(self._name) or _path(self._weights or "")
        if found is None:
            raise SpaceError(self, f"the weights of {self._name} are not there", "write weights: PATH")
        return found

    @torch.no_grad()
    def features(self, images: Tensor, dataset: Dataset) -> NDArray[np.float64]:
        forward = _forward(self._name, self._file)
        low, high = dataset.space.low, dataset.space.high
        parts = [forward((part.float().cpu() - low) / (high - low)) for part in images.split(CHUNK)]
        return torch.cat(parts).flatten(1).double().numpy()


SHIPPED = {"lenet-mnist": WEIGHTS / "lenet-mnist.safetensors", "lenet-fashion": WEIGHTS / "lenet-fashion.safetensors"}
EXPECTED = {
    "resnet20-cifar": "the weights of a ResNet-20 for CIFAR-10 as .npz or .safetensors, named as in pytorch_resnet_cifar10",
    "inception": "inception-2015-12-05.pt, the TorchScript file of the Inception network that FID is defined by",
}


@functools.lru_cache(maxsize=4)
def _forward(name: str, path: Path) -> Forward:
    """Images (B, C, H, W) in [0, 1] to features (B, d) or (B, d, 1, 1)."""
    if name == "inception":
        script = _inception(path)  # it resizes to 299 by itself, with the bilinear filter that FID is defined by
        return lambda images: script((_rgb(images) * 255).round().to(torch.uint8), return_features=True)
    from wavekit_core.metrics.lenet import LeNet
    from wavekit_core.metrics.resnet20 import ResNet20

    with torch.device("cpu"), torch.random.fork_rng(devices=[]):  # initial weights are replaced
        net: LeNet | ResNet20 = ResNet20() if name == "resnet20-cifar" else LeNet()
    _fill(net, path)
    return lambda images: net.features(resized(_rgb(images) if name == "resnet20-cifar" else images, 32))


def resized(images: Tensor, side: int) -> Tensor:
    """(B, C, H, W) to (B, C, side, side), bilinear with antialiasing. The shape of an image is not kept."""
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)


def _rgb(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def _fill(net: nn.Module, path: Path) -> None:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                state = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        else:
            state = load_file(path)
        net.load_state_dict(state)
    except (OSError, ValueError, RuntimeError, EOFError, SafetensorError, zipfile.BadZipFile) as error:
        fault = " ".join(str(error).split())[:120]
        kind = type(net).__name__
        raise DamagedError(f"{shown(path)}: no weights of a {kind} ({fault}); give the right file") from error
    net.eval().requires_grad_(False)


def _inception(path: Path) -> Any:
    _check_archive(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # torch wants TorchScript replaced; the file is what it is
            return torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise DamagedError(f"{shown(path)}: not TorchScript; give {EXPECTED['inception']}") from error


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                return
    except (OSError, zipfile.BadZipFile):
        pass
    raise DamagedError(f"{shown(path)}: not a TorchScript file; give {EXPECTED['inception']}")


def _refuse_weights(metric: object, name: str, weights: str | None) -> None:
    if weights is not None:
        reason = f"{name} takes no file of weights; it {'is trained here' if name == 'class-cnn' else 'has its own'}"
        raise SpaceError(metric, reason, "leave weights out", at="weights")


def _path(weights: str) -> Path | None:
    """The file in the working folder, or below the data root."""
    folders = [Path(), data_root(None)]
    return next((f / weights for f in folders if f is not None and (f / weights).is_file()), None)


@functools.lru_cache(maxsize=4)
def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
