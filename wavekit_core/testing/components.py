"""Laws of every component, whatever its kind."""

from __future__ import annotations

import copy
import functools
import importlib.util
import io
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wavekit_core.component import Component, signature_of
from wavekit_core.engine.shards import seeded
from wavekit_core.errors import SpaceError
from wavekit_core.recipe import nodes, resolved, source
from wavekit_core.recipe.faults import Fault
from wavekit_core.registry import Entry, installed
from wavekit_core.spaces import Space
from wavekit_core.testing.cases import Case
from wavekit_core.testing.laws import Law, NotApplicable, described, law

STRANGERS = (  # what no plugin needs to be there, and what takes long to import
    *("IPython", "PIL", "jinja2", "matplotlib", "pandas", "pytest", "rich", "sklearn"),
    *("tkinter", "torchmetrics", "torchvision", "typer", "wavekit_cli"),
)
CORE_ROOMS = ("compare", "grid", "metrics", "report", "run", "runs", "session", "testing")  # above any plugin


def laws(
    component: type[Any], arguments: Sequence[Mapping[str, Any]], imports: Sequence[str] = (), **_: Any
) -> Iterator[Law]:
    """Those of a kind that has no laws of its own."""
    for one in arguments:
        yield from common(Case(component, one, imports=tuple(imports)), *OF_ANY_KIND)


def common(case: Case, *checks: Callable[[Any], str | None]) -> Iterator[Law]:
    """The laws that `checks` state, for a case; those of the class alone without its arguments and space."""
    for check in checks:
        yield law(check, Case(case.component, {}, imports=case.imports) if check in OF_THE_CLASS else case)


def recipe(case: Case) -> str | None:
    """Written as a recipe, resolved, read again and built, it is the same component."""
    if not _plain(case.arguments):
        raise NotApplicable("the arguments hold built components, which no recipe can; give {'use': name, …} instead")
    entry = _entry(case.component)
    first = _checked(case, entry, {"use": entry.name, **case.arguments})
    again = _checked(case, entry, first.plain())
    assert again.plain() == first.plain(), (
        f"its resolved recipe is {json.dumps(first.plain())}, and reads again as {json.dumps(again.plain())}"
    )
    direct = _observed(case, case.ready())
    for checked, which in ((first, "a recipe's component"), (again, "a resolved recipe's component")):
        with seeded("wavekit_core.testing", "build", 0):
            built = nodes.build(checked, case.space)
        same(
            direct,
            _observed(case, case.ready(built)),
            f"{which} does not do what {case.component.__name__}(…) in Python does",
        )
    return None


def no_tensor_is_read(case: Case) -> str | None:
    """The constructor reads no number of any tensor, so that a recipe is checked on the meta device."""
    try:
        with torch.device("meta"):
            instance = case.build()
            case.prepare(instance)
    except Exception as error:
        raise AssertionError(
            f"built on the meta device, {described(error)}; a constructor may use the sizes of a tensor and nothing else"
        ) from error
    state = instance.state_dict() if isinstance(instance, nn.Module) else {}
    real = [name for name, tensor in state.items() if not tensor.is_meta]
    assert not real, (
        f"built on the meta device, it keeps real numbers in {', '.join(real)}; make tensors where torch does"
    )
    return f"{sum(t.numel() for t in state.values())} numbers, none made"


def state(case: Case) -> str | None:
    """A new component with the state of another one does what that one does."""
    instance = moved(case.ready())
    fresh = case.build(seed=1)
    case.prepare(fresh)
    saved = {name: tensor.clone() for name, tensor in instance.state_dict().items()}
    fresh.load_state_dict(saved)
    fresh.eval()
    same(
        _observed(case, instance),
        _observed(case, fresh),
        "with the state_dict of another component it does not do the same; what was learned belongs into buffers",
    )
    return f"{len(saved)} tensors"


def copies(case: Case) -> str | None:
    """A deep copy, and one that was pickled, do what the component does."""
    instance = case.ready()
    expected = _observed(case, instance)
    same(expected, _observed(case, copy.deepcopy(instance)), "its deep copy does not do the same")
    try:
        raw = pickle.dumps(instance)
    except Exception as error:
        raise AssertionError(f"it cannot be pickled, as torch's modules can: {described(error)}") from error
    same(expected, _observed(case, pickle.load(io.BytesIO(raw))), "its pickled copy does not do the same")
    return f"{len(raw)} bytes"


def determinism(case: Case) -> str | None:
    """The same seed and input give the same bytes."""
    instance = case.ready()
    first = _observed(case, instance)
    same(first, _observed(case, instance), "the same seed and input give other bytes the second time")
    same(first, _observed(case, case.ready()), "the same seed and input give other bytes in a second component")
    return None


def imports(case: Case) -> str | None:
    """Importing its module imports nothing that drawing, measuring or testing needs, no other plugin and no command, draws no
    random number and leaves torch's settings alone."""
    module = case.component.__module__
    found = _imported(module)
    if found is None:
        raise NotApplicable(f"the module {module} cannot be imported in a new process")
    if error := found.get("error"):
        raise AssertionError(f"importing {module} in a new process fails: {error}")
    allowed = {"wavekit_core", module.partition(".")[0], *case.imports}
    strangers = {*STRANGERS, *(f"wavekit_core.{room}" for room in CORE_ROOMS), *_plugins()} - set(case.imports)
    names = {name for name in found["modules"] for bad in strangers if name == bad or name.startswith(f"{bad}.")}
    tops = sorted({".".join(n.split(".")[: 2 if n.startswith("wavekit_core.") else 1]) for n in names} - allowed)
    assert not tops, (
        f"importing {module} imports {', '.join(tops)}; import {'it' if len(tops) == 1 else 'them'} in the function that "
        "needs it, and name other plugins' components by node(…)"
    )
    assert not found["changed"], (
        f"importing {module} changes {', '.join(found['changed'])}; a module that is imported does not"
    )
    return f"{len(found['modules'])} modules beside the core's kinds"


def require_reason(error: SpaceError, component: type, space: Space) -> None:
    """Raise AssertionError unless a refusal says why, and its `at` is a parameter."""
    assert len(str(error).split()) > 2, f"{space} is refused with {str(error)!r}; say what was found and what to do"
    bases = [
        base for base in component.__mro__ if issubclass(base, Component)
    ]  # a base may speak of what it takes itself
    keys = dict.fromkeys(key for base in bases for key in signature_of(base).keys)  # type: ignore[arg-type]
    assert error.at in (None, *keys), (
        f"{space} is refused at {error.at!r}, which is no parameter; there are: {', '.join(keys)}"
    )


def moved(module: Any, by: float = 0.2) -> Any:
    """The module after its parameters have moved, as by training; always in the same way."""
    made = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in module.parameters():
            if p.is_floating_point():
                p.add_((by * torch.randn(p.shape, dtype=torch.float64, generator=made)).to(p))
    return module


def same(expected: Sequence[Tensor], found: Sequence[Tensor], otherwise: str) -> None:
    """Raise AssertionError with the sentence `otherwise` unless all tensors are bit for bit the same."""
    assert len(expected) == len(found), f"{otherwise}: {len(found)} tensors, and not {len(expected)}"
    for a, b in zip(expected, found, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{otherwise}: {_form(b)}, and not {_form(a)}"
        equal = torch.equal(a, b) or bool((a.eq(b) | (a.isnan() & b.isnan())).all())
        assert equal, f"{otherwise}: off by up to {float((a.double() - b.double()).abs().max()):.3g}"


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _observed(case: Case, instance: Any) -> list[Tensor]:
    with seeded("wavekit_core.testing", "observe"):
        return [tensor.detach().clone() for tensor in case.observe(instance)]


def _plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _plain(one) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _entry(component: type[Any]) -> Entry:
    """What installs the component, or what could."""
    module, name = component.__module__, component.__qualname__
    for entry in installed().all(component.kind):
        owner, _, attribute = entry.value.partition(":")
        if attribute == name and owner.partition(".")[0] == module.partition(".")[0]:
            return entry
    return Entry(component.kind, name.rpartition(".")[2].lower(), f"{module}:{name}", "unnamed", "0", 1)


def _checked(case: Case, entry: Entry, plain: Mapping[str, Any]) -> nodes.Checked:
    text = resolved.values_text(_listed(plain))
    faults: list[Fault] = []
    checked = nodes.check_arguments(case.component, source.parse(text, f"{entry.name}.yaml"), faults, entry)
    assert not faults, f"its arguments are no recipe: {'; '.join(fault.message for fault in faults)}"
    return checked


def _listed(value: Any) -> Any:
    """YAML has plain mappings and lists only."""
    if isinstance(value, Mapping):
        return {key: _listed(one) for key, one in value.items()}
    return [_listed(one) for one in value] if isinstance(value, (list, tuple)) else value


def _plugins() -> set[str]:
    """The packages of every installed plugin."""
    return {entry.value.partition(":")[0].partition(".")[0] for entry in installed().all()} - {"wavekit_core"}


def _imported(module: str) -> dict[str, Any] | None:
    """What a new process says about importing a module: names of the modules that come with it, and what it changes. The
    package of a module is imported before it; where that imports the module too, one process tells of all of them."""
    if _specification(module) is None:
        return None
    package = module.partition(".")[0]
    if _specification(package).origin is not None:
        found = _in_new_process(package)
        if "error" in found or module in found["modules"]:
            return found
    return _in_new_process(module)


def _specification(module: str) -> Any:
    """Where a module is that can be imported by its name."""
    try:
        return importlib.util.find_spec(module) if module != "__main__" else None
    except (ImportError, ValueError):
        return None


@functools.cache
def _in_new_process(module: str) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-c", _IMPORTING, module, json.dumps(sys.path)], capture_output=True, text=True, check=False
    )
    try:
        return json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": (ran.stderr.strip().splitlines() or ["it says nothing"])[-1][:200]}


_IMPORTING = """
import importlib, json, random, sys
module, sys.path[:] = sys.argv[1], json.loads(sys.argv[2])
import numpy, torch
import wavekit_core.kinds, wavekit_core.registry
def settings():
    return {
        "Python's random numbers": random.getstate(), "NumPy's random numbers": str(numpy.random.get_state()),
        "torch's random numbers": torch.get_rng_state().tolist(), "torch's default dtype": str(torch.get_default_dtype()),
        "torch's threads": torch.get_num_threads(), "torch's gradient mode": torch.is_grad_enabled(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "the CUDA context": torch.cuda.is_initialized(),
    }
before, old = set(sys.modules), settings()
importlib.import_module(module)
new = settings()
print(json.dumps({"modules": sorted(set(sys.modules) - before), "changed": [k for k in new if new[k] != old[k]]}))
"""


LAWS = (determinism, state, copies, no_tensor_is_read, recipe, imports)
OF_ANY_KIND = (recipe, imports)
OF_THE_CLASS = (imports,)
