"""Strict forms: a JSON file of a run is refused although its digests are right."""

import pytest

from tests.runs import run_folders
from wavekit_core.errors import DamagedError
from wavekit_core.runs.verify import verify


@pytest.fixture
def folder(tmp_path):
    return run_folders.make(tmp_path / "run")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format=2),
        lambda d: d.update(format=True),
        lambda d: d.update(step=10),
        lambda d: d.update(step="20"),
        lambda d: d.update(step=20.0),
        lambda d: d.update(step=-1),
        lambda d: d.update(step=True),
        lambda d: d.update(more=1),
        lambda d: d.update(window=[]),
        lambda d: d.update(window={"loss": "1"}),
        lambda d: d.update(window={"loss": float("nan")}),
        lambda d: d.update(window=None),
        lambda d: d.update(optimizer=None),
        lambda d: d.update(metrics={}),
        lambda d: d["metrics"].update(bytes=-1),
        lambda d: d["metrics"].update(bytes=10**30),
        lambda d: d["metrics"].update(bytes=1.0),
        lambda d: d["metrics"].update(sha256="x"),
        lambda d: d["metrics"].update(sha256="0" * 64),
        lambda d: d["metrics"].update(more=1),
        lambda d: d.pop("step"),
        lambda d: d.pop("format"),
        lambda d: d.clear(),
    ],
)
def test_a_forged_state_is_refused_although_its_digests_are_right(folder, change):
    run_folders.rewrite(folder.checkpoint(20), "state.json", change)
    with pytest.raises(DamagedError):
        verify(folder.path)


@pytest.mark.parametrize(
    "change",
    [
        *[lambda d, k=key: d.pop(k) for key in run_folders.LOCK],
        *[lambda d, k=key: d.update({k: [0]}) for key in run_folders.LOCK],
        lambda d: d.update(steps="20"),
        lambda d: d.update(steps=-1),
        lambda d: d.update(threads=0),
        lambda d: d.update(threads=10**9),
        lambda d: d.update(threads=True),
        lambda d: d.update(inexact=0),
        lambda d: d.update(processes=0),
        lambda d: d.update(flops=1.5),
        lambda d: d["space"].update(channels=0),
        lambda d: d["space"].update(low=float("nan")),
        lambda d: d.update(recipe="short"),
        lambda d: d.update(plugins={"x": "1.0"}),
        lambda d: d.update(more=1),
        lambda d: d.update(training="short"),
        lambda d: d.update(trained_in=""),
        lambda d: d.update(trained_in=3),
    ],
)
def test_a_forged_lock_is_refused_although_its_digests_are_right(folder, change):
    run_folders.rewrite(folder.path, "lock.json", change)
    with pytest.raises(DamagedError, match=r"lock\.json"):
        folder.lock()


FIGURES = {"step": 20, "averaged": True, "figures": []}


@pytest.mark.parametrize(
    "form",
    [{}, {"step": "20"}, {"step": 20}, FIGURES | {"averaged": 1}, FIGURES | {"evaluations": {"network": -1}}],
)
def test_a_forged_evaluation_is_refused(folder, form):
    def change(data):
        data.clear()
        data.update(form)

    run_folders.rewrite(folder.path, "evaluation.json", change)
    with pytest.raises(DamagedError, match=r"evaluation\.json"):
        folder.head()
