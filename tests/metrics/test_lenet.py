import gzip
import json
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.metrics.sets import data_root, random_images
from wavekit_core.data.idx import FashionMnist, Mnist
from wavekit_core.metrics import lenet
from wavekit_core.metrics.extractors import SHIPPED
from wavekit_core.metrics.lenet import LeNet, accuracy, pixels, seen_at, train


def test_the_network_is_small():
    net = LeNet().eval()
    assert sum(p.numel() for p in net.parameters()) == 90_026
    assert net.features(torch.rand(2, 1, 32, 32)).shape == (2, 64)


def test_the_three_sizes_are_those_of_the_data_set(tmp_path):
    write_set(tmp_path)
    padded, _ = pixels(Mnist(str(tmp_path), 32).train, np.arange(5))
    assert padded.dtype == torch.uint8
    for size in (32, 28, 16):
        images = Mnist(str(tmp_path), size).train.batch(range(5)).data
        images = (images * 255).round() / 255
        expected = torch.nn.functional.interpolate(images, size=(32, 32), mode="bilinear")
        assert torch.allclose(seen_at(padded, size), expected, atol=1e-6)


def test_training_is_repeatable_and_leaves_the_world_as_it_was():
    images, labels = (random_images(50, 1, 32, 32) * 255).to(torch.uint8), torch.arange(50) % 10
    state = torch.get_rng_state()
    first, again, other = (train(images, labels, 2, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def write_set(folder):
    """Forty and ten images whose brightness tells the class."""
    for part, count in (("train", 40), ("t10k", 10)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.random.default_rng(0).integers(0, 20, (count, 28, 28)).astype(np.uint8) + 20 * labels[:, None, None]
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{name}.gz").write_bytes(gzip.compress(header + array.tobytes()))


def test_the_command_writes_weights_and_their_record(tmp_path, monkeypatch, capsys):
    (tmp_path / "mnist").mkdir()
    write_set(tmp_path / "mnist")
    monkeypatch.setattr(lenet, "STEPS", 5)
    output = tmp_path / "lenet-mnist.safetensors"
    lenet.main(["mnist", "--data-root", str(tmp_path), "-o", str(output)])
    record = json.loads(output.with_suffix(".json").read_text())
    net = LeNet()
    net.load_state_dict(load_file(output))
    held_out = pixels(Mnist(str(tmp_path / "mnist"), 32).held_out, np.arange(10))
    assert accuracy(net.eval(), *held_out, 32) == record["rows"][0]["value"]
    assert record["rows"][0]["name"] == "accuracy, 32 pixels"
    assert "accuracy, 16 pixels" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "kind"), [("lenet-mnist", Mnist), ("lenet-fashion", FashionMnist)])
def test_the_shipped_networks_have_their_accuracy_on_real_images(name, kind):
    folder = data_root() / ("mnist" if kind is Mnist else "fashion-mnist")
    held_out = pixels(kind(str(folder), 32).held_out, np.arange(2000))
    net = LeNet()
    net.load_state_dict(load_file(SHIPPED[name]))
    record = json.loads(SHIPPED[name].with_suffix(".json").read_text())
    assert accuracy(net.eval(), *held_out, 32) == pytest.approx(record["rows"][-1]["value"], abs=0.0011)
