"""A run folder made by hand, without training: for tests that damage one."""

import json

from wavekit_core.runs import manifest
from wavekit_core.runs.folder import RunFolder
from wavekit_core.runs.publish import publish_folder, publish_listed

LOCK = {
    "python": "3.11.1",
    "torch": "2.6.0",
    "numpy": "2.0.0",
    "transforms": "numba 0.68.1",
    "plugins": {"wavekit-core": {"version": "0.1.0", "sha256": "0" * 64}},
    "device": "cpu",
    "threads": 1,
    "data": "a data set",
    "recipe": "1" * 64,
    "seed": 0,
    "platform": "Linux",
    "git": None,
    "name": "made",
    "steps": 20,
    "inexact": False,
    "processes": 1,
    "parameters": {"make": 10},
    "flops": 1000,
    "latent": None,
    "space": {"channels": 1, "height": 8, "width": 8, "low": 0.0, "high": 1.0},
    "classes": ["a", "b"],
}


def make(path, steps=(10, 20)):
    """A run folder with a checkpoint and samples at each of `steps`."""
    head = {"recipe.yaml": b"name: made\n", "resolved.yaml": b"name: made\n", "lock.json": json.dumps(LOCK).encode()}
    publish_folder(path, head)
    folder = RunFolder(path)
    for step in steps:
        folder.log({"step": step, "make/loss": 0.5})
        folder.save_checkpoint(step, checkpoint(folder, step), keep=9)
        folder.publish_samples(step, {"grid.png": b"picture" * step, "sampler.safetensors": b""})
    publish_listed(path, "evaluation.json", json.dumps({"step": steps[-1], "averaged": True, "figures": []}).encode())
    return folder


def state(folder, step):
    """What state.json holds."""
    optimizer = {"make/0/step": 3.0}
    return {"format": 1, "step": step, "window": {"steps": 1}, "metrics": folder.log_facts(), "optimizer": optimizer}


def checkpoint(folder, step):
    """The files of a checkpoint."""
    return {
        "model.safetensors": bytes(range(256)) * 2 + b"%d" % step,
        "averaged.safetensors": bytes(range(255, -1, -1)),
        "optimizer.safetensors": b"optimizer" * 40,
        "state.json": json.dumps(state(folder, step)).encode(),
    }


def rewrite(folder, name, change):
    """Change a JSON file of a published folder, and its manifest with it, as a forger would."""
    data = json.loads((folder / name).read_bytes())
    change(data)
    content = json.dumps(data).encode()
    written = manifest.changed(folder, name, content)
    (folder / name).write_bytes(content)
    (folder / manifest.NAME).write_bytes(written)
