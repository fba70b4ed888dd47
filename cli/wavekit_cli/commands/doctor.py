"""wavekit doctor"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version

from typer import echo

from wavekit_core.registry import installed

PACKAGES = ("torch", "numpy", "scipy", "PyWavelets", "pydantic", "safetensors", "scikit-learn", "torchmetrics")


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
    free = shutil.disk_usage(".").free
    echo(f"disk here: {free / 1e9:.1f} GB free{'' if os.access('.', os.W_OK) else ', and not writable'}")
    echo(f"data root: {os.environ.get('WAVEKIT_DATA_ROOT', 'not set (WAVEKIT_DATA_ROOT or --data-root)')}")
    registry = installed()
    plugins = {entry.distribution: entry.version for entry in registry.all()}
    echo("plugins: " + ", ".join(f"{name} {number}" for name, number in sorted(plugins.items())))
    for fault in registry.faults:
        echo(f"broken: {fault}")
