"""pip, in the environment that this Python runs in: what it would change, doing it, and why it refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from wavekit_cli.console import watcher
from wavekit_core.engine import interrupts
from wavekit_core.errors import Interrupted, PluginError, RecipeError, ResourceError, WavekitError

KEPT = ("torch", "numpy", "wavekit-core", "wavekit-cli")  # what runs were recorded with: it never moves unasked

_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|Failed to establish a new connection|Temporary failure in name resolution|"
    r"connection broken by|Max retries exceeded|ConnectTimeout|ReadTimeout|Read timed out|ProxyError|SSLError|"
    r"CERTIFICATE_VERIFY_FAILED|Network is unreachable"
)
_CAUSE = re.compile(
    r"(Failed to establish a new connection|Failed to resolve|Temporary failure|certificate verify failed|timed out)"
    r"[^'\"()]{0,200}"
)
_COMPONENTS = """
import json
from wavekit_core.registry import installed
found = installed()
print(json.dumps([[(e.kind, e.name, e.distribution, e.version) for e in found.all()], found.faults]))
"""


@dataclass(frozen=True)
class Change:
    """A distribution that pip would install; `before` is the version that is there."""

    name: str
    before: str | None
    after: str


class Conflict(RecipeError):
    """No set of versions satisfies every requirement."""


def canonical(name: str) -> str:
    """A distribution's name as pip compares them (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def version_of(name: str) -> str | None:
    """The version of an installed distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def resolve(requirements: Sequence[str]) -> list[Change]:
    """What installing the requirements would change; nothing is changed yet.

    Releases that go with the present versions of `KEPT` are preferred; others come only if there are none. Raises
    RecipeError, PluginError or ResourceError with pip's own reason.
    """
    pins = [f"{name}=={version}" for name in KEPT if (version := version_of(name))]
    try:
        return _resolved(requirements, pins)
    except Conflict:
        return _resolved(requirements, [])


def _resolved(requirements: Sequence[str], pins: Sequence[str]) -> list[Change]:
    with tempfile.TemporaryDirectory(prefix="wavekit-pip-") as folder:
        report, constraints = Path(folder, "report.json"), Path(folder, "constraints.txt")
        constraints.write_text("".join(f"{pin}\n" for pin in pins))
        _pip("asking pip", "install", "--dry-run", "--report", str(report), "-c", str(constraints), *requirements)
        found = [one["metadata"] for one in json.loads(report.read_text())["install"]]
    changes = [Change(canonical(one["name"]), version_of(one["name"]), one["version"]) for one in found]
    return sorted(changes, key=lambda change: change.name)


def install(requirements: Sequence[str], changes: Sequence[Change]) -> None:
    """Install exactly what was resolved. Raises as `resolve`; ^C lets pip take back what it has begun."""
    with tempfile.TemporaryDirectory(prefix="wavekit-pip-") as folder:
        constraints = Path(folder, "constraints.txt")
        constraints.write_text("".join(f"{change.name}=={change.after}\n" for change in changes))
        _changing("installing", "install", "-c", str(constraints), *requirements)


def uninstall(names: Sequence[str]) -> None:
    """Remove distributions. Raises ResourceError for one that pip leaves where it is."""
    said = _changing("removing", "uninstall", "--yes", *names)
    for line in said.splitlines():
        if line.startswith(("Not uninstalling", "Can't uninstall")):
            raise ResourceError(f"pip leaves it: {line}; remove it in the environment that it belongs to")


def components() -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """Kind, name, distribution and version of everything registered, and the faults: as a new process finds them.

    Raises PluginError if wavekit cannot be imported any more.
    """
    ended = subprocess.run(
        [sys.executable, "-c", _COMPONENTS], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PluginError(f"wavekit cannot be imported any more: {last[:300]}; install what was there before")
    entries, faults = json.loads(ended.stdout.splitlines()[-1])
    return [tuple(entry) for entry in entries], faults


def agreed(yes: bool, question: str) -> bool:
    """Whether the user says yes: by --yes, or on the terminal. Raises RecipeError where there is none."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RecipeError("nothing is changed: there is no terminal to ask on; agree with --yes")
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _changing(what: str, *arguments: str) -> str:
    """pip, undisturbed: on a terminal ^C reaches it directly, and it takes back what it has begun."""
    with interrupts.deferred():
        try:
            return _pip(what, *arguments)
        finally:
            if (signum := interrupts.received()) is not None:
                raise Interrupted(signum)


def _pip(what: str, *arguments: str) -> str:
    """What pip says. Raises for its refusals."""
    quiet = {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "pip", *arguments]
    with watcher().phase(what, total=1):
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, env=os.environ | quiet
        )
    if os.environ.get("WAVEKIT_DEBUG"):
        print(ended.stdout, ended.stderr, sep="\n", file=sys.stderr)
    if ended.returncode:
        raise refusal(ended.stdout, ended.stderr)
    return f"{ended.stdout}\n{ended.stderr}"


def refusal(out: str, err: str) -> WavekitError:
    """pip's reason as one of our faults."""
    errors = [line.removeprefix("ERROR: ").strip() for line in err.splitlines() if line.startswith("ERROR: ")]
    reason = errors[0] if errors else (err.strip().splitlines() or ["no reason given"])[-1]
    if "No module named pip" in err:
        return ResourceError(f"{sys.executable} has no pip; `{sys.executable} -m ensurepip` brings it")
    if "externally-managed-environment" in err:
        return ResourceError(
            f"{sys.prefix} is managed by the system, which lets no pip install into it (PEP 668); "
            "make an environment of your own, `python -m venv .venv`, and install wavekit there"
        )
    if "no such option: --report" in err:
        return ResourceError(f"this pip is too old to say what it would do; `{sys.executable} -m pip install -U pip`")
    if network := _NETWORK.search(err):
        said = _CAUSE.search(err) or network
        return ResourceError(
            f"the package index cannot be reached: {said[0].strip()}; see to the network, or name a local file"
        )
    if "ResolutionImpossible" in err:
        told = out.partition("The conflict is caused by:")[2].partition("\n\n")[0]
        causes = [line.strip() for line in told.splitlines() if line.strip()]
        return Conflict(f"the requirements contradict each other: {'; '.join(causes) or reason}; loosen one of them")
    if "subprocess-exited-with-error" in err or "Failed building" in err or "Failed to build" in err:
        before = err.partition("[end of output]")[0].splitlines()
        cause = next((line.strip(" │") for line in reversed(before) if line.strip(" │")), reason)
        return PluginError(f"the package cannot be built: {cause[:300]}; that is for its author to mend")
    if (
        "Invalid requirement" in err
        or "Invalid wheel" in err
        or "is not a valid wheel" in err
        or "not installable" in err
    ):
        hint = next((line.removeprefix("Hint: ") for line in err.splitlines() if line.startswith("Hint: ")), "")
        return RecipeError(f"{reason}{f' ({hint})' if hint else ''}; give a name, a file or a folder as pip takes them")
    if "No matching distribution" in err:
        return RecipeError(f"{reason}; see the name, and which releases suit this Python")
    return ResourceError(f"pip refuses: {reason[:500]}; with --debug you see all that it says")
