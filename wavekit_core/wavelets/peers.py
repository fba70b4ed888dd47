"""Other libraries' transforms of images behind one form, to be measured and tested beside ours. None of them is needed.

A peer is asked for in its own way and gives what it gives, as a list of tensors in its own order, so that it is measured as its
users call it. `bands` brings that list into our form.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

import pywt
import torch
from torch import Tensor

from wavekit_core.errors import PluginError

Bands = tuple[Tensor, tuple[Tensor, ...]]
INSTALL = "`pip install 'wavekit-core[peers]'` installs it"


class Peer:
    """The transform of `wavelet` in `mode` by another library, for images (N, C, H, W) like `like` (dtype and device).

    `split(x)` gives the library's tensors, `join(tensors)` the image or one that is a sample larger where the size is odd,
    `bands(tensors)` approximation and details, coarse to fine. Raises PluginError if the library cannot be imported.
    """

    name: str
    modes: Sequence[str]
    gradients = True
    devices: Sequence[str] = ("cpu", "cuda")

    split: Callable[[Tensor], list[Tensor]]
    join: Callable[[Sequence[Tensor]], Tensor]

    def __init__(self, wavelet: str, mode: str, levels: int, like: Tensor):
        raise NotImplementedError

    def bands(self, tensors: Sequence[Tensor]) -> Bands:
        return tensors[0], tuple(tensors[:0:-1])


class PytorchWavelets(Peer):
    """pytorch-wavelets, with its filters in the dtype of `like`."""

    name = "pytorch-wavelets"
    modes = ("periodization", "zero", "symmetric", "reflect", "periodic")

    def __init__(self, wavelet: str, mode: str, levels: int, like: Tensor):
        module = pytorch_wavelets()
        with default_dtype(like.dtype):
            forward = module.DWTForward(levels, wavelet, mode).to(like.device)
            inverse = module.DWTInverse(wavelet, mode).to(like.device)
        self.split, self.join = _finest_first(forward, inverse)


class Torchwavelets(Peer):
    """torchwavelets."""

    name = "torchwavelets"
    modes = ("periodization", "zero", "symmetric", "reflect", "periodic", "constant")

    def __init__(self, wavelet: str, mode: str, levels: int, like: Tensor):
        module = _imported(self.name, "torchwavelets")
        forward = module.DWT2D(levels, wavelet, mode).to(like.device)
        inverse = module.IDWT2D(wavelet, mode).to(like.device)
        self.split, self.join = _finest_first(forward, inverse)


class Ptwt(Peer):
    """ptwt, whose bands are tensors of their own. It has no periodization."""

    name = "ptwt"
    modes = ("zero", "symmetric", "reflect", "periodic", "constant")

    def __init__(self, wavelet: str, mode: str, levels: int, like: Tensor):
        module = _imported(self.name, "ptwt")
        bank = pywt.Wavelet(wavelet)

        def split(x: Tensor) -> list[Tensor]:
            approx, *details = module.wavedec2(x, bank, mode=mode, level=levels)
            return [approx, *(band for level in details for band in level)]

        def join(tensors: Sequence[Tensor]) -> Tensor:
            details = [tuple(tensors[i : i + 3]) for i in range(1, len(tensors), 3)]
            return module.waverec2((tensors[0], *details), bank)

        self.split, self.join = split, join

    def bands(self, tensors: Sequence[Tensor]) -> Bands:
        return tensors[0], tuple(torch.stack(list(tensors[i : i + 3]), -3) for i in range(1, len(tensors), 3))


class PyWavelets(Peer):
    """PyWavelets, the reference: on the CPU, without gradients. Its tensors are NumPy's arrays seen as tensors."""

    name = "PyWavelets"
    modes = ("periodization", "zero", "symmetric", "reflect", "periodic", "constant")
    gradients = False
    devices = ("cpu",)

    def __init__(self, wavelet: str, mode: str, levels: int, like: Tensor):
        def split(x: Tensor) -> list[Tensor]:
            approx, *details = pywt.wavedec2(x.numpy(), wavelet, mode, levels)
            return [torch.from_numpy(band) for band in (approx, *(band for level in details for band in level))]

        def join(tensors: Sequence[Tensor]) -> Tensor:
            arrays = [tensor.numpy() for tensor in tensors]
            details = [tuple(arrays[i : i + 3]) for i in range(1, len(arrays), 3)]
            return torch.from_numpy(pywt.waverec2([arrays[0], *details], wavelet, mode))

        self.split, self.join = split, join

    bands = Ptwt.bands


PEERS: tuple[type[Peer], ...] = (PytorchWavelets, Torchwavelets, Ptwt, PyWavelets)


def _finest_first(forward: Any, inverse: Any) -> tuple[Any, Any]:
    """Of modules that give (approximation, [details, finest first])."""

    def split(x: Tensor) -> list[Tensor]:
        approx, details = forward(x)
        return [approx, *details]

    return split, lambda tensors: inverse((tensors[0], list(tensors[1:])))


def found() -> dict[str, str]:
    """The version of each peer that is installed."""
    versions = {}
    for peer in PEERS:
        try:
            versions[peer.name] = version(peer.name)
        except PackageNotFoundError:
            continue
    return versions


def pytorch_wavelets() -> Any:
    """The module pytorch_wavelets. It asks setuptools for `pkg_resources`, which is gone since setuptools 81: while it is
    imported, a module with the one function that it needs stands in. Raises PluginError if it cannot be imported."""
    if "pytorch_wavelets" in sys.modules or importlib.util.find_spec("pkg_resources"):
        return _imported("pytorch-wavelets", "pytorch_wavelets")
    stand_in = types.ModuleType("pkg_resources")
    stand_in.resource_stream = lambda package, name: files(package).joinpath(name).open("rb")  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = stand_in
    try:
        return _imported("pytorch-wavelets", "pytorch_wavelets")
    finally:
        del sys.modules["pkg_resources"]


def _imported(distribution: str, module: str) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise PluginError(f"{distribution} cannot be imported: {error}; install what it needs") from error
        raise PluginError(f"{distribution} is not installed; {INSTALL}") from error
    except Exception as error:
        raise PluginError(
            f"{distribution} cannot be imported: {type(error).__name__}: {error}; install it anew"
        ) from error


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Within, new tensors are of `dtype`: pytorch-wavelets fixes that of its filters when it is built."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
