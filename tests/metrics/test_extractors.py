import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from tests.metrics.sets import Part, data_root, dataset_of, measured, random_images
from wavekit_core.data.idx import FashionMnist, Mnist
from wavekit_core.errors import DamagedError, SpaceError
from wavekit_core.metrics.extractors import SHIPPED, extractor, resized
from wavekit_core.metrics.frechet import FrechetDistance
from wavekit_core.metrics.kernel import KernelDistance
from wavekit_core.metrics.manifold import Manifold
from wavekit_core.metrics.resnet20 import ResNet20
from wavekit_core.spaces import ImageSpace


class Script(nn.Module):
    """Stands for Inception's file: 8-bit RGB images of any size, 8 features."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, images: Tensor, return_features: bool = False) -> Tensor:
        assert images.dtype == torch.uint8
        assert images.shape[1] == 3
        x = self.conv(images.float() / 255)
        assert return_features
        return nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "inception-2015-12-05.pt"
    with warnings.catch_warnings(action="ignore"):  # torch wants it replaced; the file that defines FID is one of these
        torch.jit.script(Script()).save(str(path))
    return path


def refused(metric, space=ImageSpace(1, 32, 32)):  # noqa: B008
    with pytest.raises(SpaceError) as caught:
        metric.require(space)
    return str(caught.value), caught.value.at


@pytest.mark.parametrize("metric", [FrechetDistance, KernelDistance, Manifold])
def test_missing_weights_and_wrong_images_are_refused_before_training(metric, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WAVEKIT_DATA_ROOT", raising=False)
    message, at = refused(metric("inception"))
    assert "not part of wavekit; write weights: PATH, the path of inception-2015-12-05.pt" in message
    assert at == "features"
    message, at = refused(metric("resnet20-cifar", weights="w.npz"))
    assert (
        "weights w.npz: there is no such file in the working folder; no data root is set by --data-root or WAVEKIT_DATA_ROOT"
        in message
    )
    assert at == "weights"
    message, at = refused(metric("lenet-mnist", weights="w.npz"))
    assert ("leave weights out" in message, at) == (True, "weights")
    assert "leave weights out" in refused(metric("class-cnn", weights="w.npz"))[0]
    assert "takes grey images, not images 3×32×32" in refused(metric("lenet-fashion"), ImageSpace(3, 32, 32))[0]
    (tmp_path / "w.npz").write_bytes(b"")
    assert "grey or RGB images" in refused(metric("resnet20-cifar", weights="w.npz"), ImageSpace(4, 32, 32))[0]


def test_a_check_names_the_line_of_weights_that_are_missing(wavekit, recipe):
    path = recipe(
        """
        data: {use: digits, size: 8}
        generator: {use: gmm, components: 1}
        evaluate:
          - {use: frechet, features: lenet-mnist}
          - {use: kernel, features: inception, weights: nowhere.pt}
        """
    )
    code, _, error = wavekit("check", path)
    assert code == 2
    assert "recipe.yaml:5:" in error
    assert "weights nowhere.pt: there is no such file" in error
    assert "Traceback" not in error


def test_weights_are_looked_for_in_the_working_folder_and_below_the_data_root(tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
    metric = FrechetDistance("inception", weights=script.name)
    monkeypatch.setenv("WAVEKIT_DATA_ROOT", str(tmp_path / "elsewhere"))
    assert "in the working folder and the data root" in refused(metric)[0]
    monkeypatch.setenv("WAVEKIT_DATA_ROOT", str(script.parent))
    metric.require(ImageSpace(3, 8, 8))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04garbage", b"\x08\0\0\0\0\0\0\0{}      "])
@pytest.mark.parametrize(
    ("features", "name"), [("inception", "i.pt"), ("resnet20-cifar", "r.npz"), ("resnet20-cifar", "r.safetensors")]
)
def test_files_of_something_else_are_damaged(features, name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=name):
        FrechetDistance(features, weights=str(path)).require(ImageSpace(3, 32, 32))


def test_pickled_arrays_are_not_read(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, **{"conv1.weight": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(DamagedError, match="no weights of a ResNet20"):
        FrechetDistance("resnet20-cifar", weights=str(path)).require(ImageSpace(3, 32, 32))


@pytest.mark.parametrize("device", ["cpu", "meta"])  # a check builds everything on the meta device
def test_shipped_networks_need_nothing(device):
    with torch.device(device):
        for name in SHIPPED:
            FrechetDistance(name).require(ImageSpace(1, 16, 28))
    assert extractor("lenet-mnist", None, 0).features(random_images(3, 1, 16, 28), grey(3)).shape == (3, 64)


def grey(count, side=28, low=0.0, high=1.0):
    part = Part(random_images(count, 1, side, side) * (high - low) + low)
    return dataset_of(part, part, low=low, high=high)


def test_features_do_not_depend_on_the_range_of_the_data_nor_on_the_number_of_images():
    lenet = extractor("lenet-fashion", None, 0)
    images = random_images(300, 1, 28, 28)
    expected = lenet.features(images, grey(1))
    assert np.allclose(lenet.features(images * 2 - 1, grey(1, low=-1)), expected, atol=1e-4)
    assert np.allclose(lenet.features(images[260:], grey(1)), expected[260:], atol=1e-5)


def test_images_are_resized_with_antialiasing():
    board = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    assert resized(board[None, None].float(), 32).numpy() == pytest.approx(0.5, abs=0.05)
    ramp = torch.linspace(0, 1, 32).expand(1, 1, 32, 32)
    assert resized(ramp, 32) is ramp


@pytest.mark.parametrize("channels", [1, 3])
def test_the_figures_of_inception_are_torchmetrics_on_its_file(script, channels):
    held_out, samples = random_images(60, channels, 8, 8), random_images(60, channels, 8, 8, seed=1) ** 2
    samples = (samples * 255).round() / 255
    dataset = dataset_of(Part(random_images(300, channels, 8, 8, seed=2)), Part(held_out))
    metric = FrechetDistance("inception", weights=str(script))
    metric.require(dataset.space)
    (figure,) = measured(metric, dataset, samples).values()
    assert figure.name == "gfid"
    assert hashlib.sha256(script.read_bytes()).hexdigest()[:8] in figure.unit

    class Features(nn.Module):
        num_features = 8

        def forward(self, images):
            return net(images, return_features=True).double()

    torch.manual_seed(0)
    net = Script()  # the same weights
    theirs = FrechetInceptionDistance(feature=Features(), input_img_size=(3, 8, 8)).double()
    for images, real in ((held_out, True), (samples, False)):
        theirs.update((images.expand(-1, 3, -1, -1) * 255).round().to(torch.uint8), real=real)
    assert figure.value == pytest.approx(float(theirs.compute()), rel=1e-4, abs=1e-6)
    assert [*measured(KernelDistance("inception", weights=str(script)), dataset, samples)] == ["gkid"]
    names = [f"{name}[inception]" for name in ("precision", "recall", "density", "coverage")]
    assert [*measured(Manifold("inception", weights=str(script)), dataset, samples)] == names


def test_resnet20_reads_both_formats_alike(tmp_path):
    torch.manual_seed(0)
    state = {name: t for name, t in ResNet20().state_dict().items() if "num_batches" not in name}
    np.savez(tmp_path / "w.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    save_file(state, tmp_path / "w.safetensors")
    images = random_images(3, 3, 32, 32)
    dataset = dataset_of(Part(images), Part(images))
    first, second = (
        extractor("resnet20-cifar", str(tmp_path / name), 0).features(images, dataset)
        for name in ("w.npz", "w.safetensors")
    )
    assert first.shape == (3, 64)
    assert np.array_equal(first, second)
    assert sum(p.numel() for p in ResNet20().parameters()) == 269_722  # 0.27 million, He et al. 2016, table 6


@pytest.mark.parametrize("count", [500, pytest.param(4000, marks=pytest.mark.long)])
def test_resnet20_knows_the_real_images(count):
    root = data_root()
    path = root / "weights" / "resnet20_cifar10.npz"
    records = np.fromfile(root / "cifar10" / "data_batch_1_first4000.bin", np.uint8).reshape(-1, 3073)[:count]
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32)) / 255
    found = extractor("resnet20-cifar", str(path), 0).features(images, dataset_of(Part(images), Part(images)))
    with np.load(path, allow_pickle=False) as weights:
        logits = found @ weights["linear.weight"].T + weights["linear.bias"]
    assert (logits.argmax(1) == records[:, 0]).mean() >= 0.995  # .998 of all, says the data's README


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_weights_are_those_of_their_record(name):
    path = SHIPPED[name]
    record = json.loads(path.with_suffix(".json").read_text())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == record["sha256"]
    published = Path(__file__).parents[2] / "docs" / "results" / f"{name}.json"
    assert published.read_text() == path.with_suffix(".json").read_text()


@pytest.mark.parametrize(("name", "kind"), [("lenet-mnist", Mnist), ("lenet-fashion", FashionMnist)])
def test_real_images_lie_at_the_floor_and_blurred_ones_do_not(name, kind):
    dataset = kind(str(data_root() / ("mnist" if kind is Mnist else "fashion-mnist")), 28)
    real = dataset.train.batch(range(1000)).data
    figures = measured(FrechetDistance(name), dataset, real) | measured(Manifold(name), dataset, real)
    distance = figures[f"gfd[{name}]"]
    assert 0.4 < distance.value / distance.floor < 2.5
    for measure in ("precision", "recall", "coverage"):
        figure = figures[f"{measure}[{name}]"]
        assert figure.value == pytest.approx(figure.floor, abs=0.05)
        assert 0.88 < figure.floor < 1
    blurred = nn.functional.avg_pool2d(real, 3, stride=1, padding=1)
    (figure,) = measured(FrechetDistance(name), dataset, blurred).values()
    assert figure.value > 2 * figure.floor
