"""wavekit doctor"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version

from typer import echo

from wavekit_core.errors import WavekitError
from wavekit_core.registry import installed

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "PyWavelets",
    "numba",
    "triton",
    "pydantic",
    "safetensors",
    "scikit-learn",
    "torchmetrics",
)


def command() -> None:
    """What this machine and environment offer, and what is wrong with them. Imports no plugin."""
    import torch

    echo(f"python {platform.python_version()} at {sys.prefix}")
    for package in PACKAGES:
        try:
            echo(f"{package} {version(package)}")
        except PackageNotFoundError:
            echo(f"{package}: not installed")
    echo(f"CPU: {os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        echo(f"cuda:{index}: {torch.cuda.get_device_name(index)}")
    if not torch.cuda.is_available():
        echo("CUDA: none")
    _kernels()
    free = shutil.disk_usage(".").free
    echo(f"disk here: {free / 1e9:.1f} GB free{'' if os.access('.', os.W_OK) else ', and not writable'}")
    echo(f"data root: {os.environ.get('WAVEKIT_DATA_ROOT', 'not set (WAVEKIT_DATA_ROOT or --data-root)')}")
    registry = installed()
    plugins = {entry.distribution: entry.version for entry in registry.all()}
    echo("plugins: " + ", ".join(f"{name} {number}" for name, number in sorted(plugins.items())))
    for fault in registry.faults:
        echo(f"broken: {fault}")


def _kernels() -> None:
    """What can compute the wavelet transforms here, in the order in which it is tried, and what is forced."""
    from wavekit_core.wavelets import kernels

    usable = {kernel.name for kernel in kernels.available()}
    for name in kernels.names():
        echo(f"transform kernel {name}: {'usable' if name in usable else _native(name)}")
    if usable & {"haar", "lifting", "polyphase"}:
        from wavekit_core.wavelets.kernels import haar

        kept = getattr(getattr(haar.split, "stats", None), "cache_path", None)
        echo(f"compiled kernels: {kept or 'nowhere to keep them, compiled in every process; set NUMBA_CACHE_DIR'}")
    try:
        wanted = kernels.forced_name()
        echo(f"forced kernel: {f'{wanted} ({kernels.VARIABLE})' if wanted else 'none'}")
    except WavekitError as error:
        echo(f"broken: {kernels.VARIABLE}: {error}")


def _native(name: str) -> str:
    from wavekit_core.wavelets import kernels, peers

    if name == "torch":
        return "usable"
    if name == "pytorch-wavelets":
        try:
            peers.pytorch_wavelets()
            return "usable, where it is forced"
        except WavekitError as error:
            return str(error)
    return kernels.unavailable().get(name, "cannot be used here")
