"""The facts of the environment that a run depends on: recorded in lock.json, compared when a run goes on."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from wavekit_core.registry import Entry
from wavekit_core.wavelets import kernels

# A change of one of these can change the results: an exact resume needs them equal.
KEY_FACTS = ("python", "torch", "numpy", "transforms", "plugins", "device", "threads", "data", "recipe")


def gather(entries: Iterable[Entry], device: torch.device, data: str, recipe: str, seed: int) -> dict[str, Any]:
    """Every fact, for components of `entries`; `data` and `recipe` are their SHA-256."""
    modules = {"wavekit-core": {"wavekit_core"}}
    for entry in entries:
        modules.setdefault(entry.distribution, set()).add(entry.value.partition(":")[0].partition(".")[0])
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": importlib.metadata.version("numpy"),
        "transforms": kernels.described(),
        "plugins": {name: _distribution(name, modules[name]) for name in sorted(modules)},
        "device": device.type if device.type == "cpu" else torch.cuda.get_device_name(device),
        "threads": torch.get_num_threads(),
        "data": data,
        "recipe": recipe,
        "seed": seed,
        "platform": platform.platform(terse=True),
        "git": _git(),
    }


def machine() -> str:
    """The machine in words, to stand beside published figures."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else _processor()
    threads = torch.get_num_threads()
    return f"{name}, {threads} of {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}"


def arithmetic(device: torch.device) -> dict[str, Any]:
    """What the last digits of floating-point results depend on."""
    return {
        "torch": torch.__version__,
        "device": "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device),
        "threads": torch.get_num_threads(),
        "processor": f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}",
    }


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return f"{platform.machine()} CPU"


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Key facts that differ, a line each."""
    lines = []
    for key in KEY_FACTS:
        before, after = then.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += [_plugin(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]
        elif before != after:
            lines.append(f"{key}: {str(before)[:60]} then, {str(after)[:60]} now")
    return [line for line in lines if line]


def _plugin(name: str, before: dict[str, str] | None, after: dict[str, str] | None) -> str:
    """What became of a plugin; nothing if it is the same."""
    if before == after:
        return ""
    then, now = (fact["version"] if fact else "not in use" for fact in (before, after))
    return f"the sources of {name} {now} changed" if then == now else f"{name}: {then} then, {now} now"


def _distribution(name: str, modules: Iterable[str]) -> dict[str, str]:
    """Version of a distribution and the SHA-256 of the Python sources of its modules."""
    total = hashlib.sha256()
    for module in sorted(modules):
        for path in sorted(_sources(module)):
            total.update(path.name.encode() + path.read_bytes())
    return {"version": importlib.metadata.version(name), "sha256": total.hexdigest()}


def _sources(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.submodule_search_locations:
        return [path for root in spec.submodule_search_locations for path in Path(root).rglob("*.py")]
    return [Path(spec.origin)] if spec is not None and spec.origin and spec.origin.endswith(".py") else []


def _git() -> str | None:
    """Commit of the folder where the command runs, with `+` if it has changes; None outside a checkout."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return commit.stdout.strip() or None
