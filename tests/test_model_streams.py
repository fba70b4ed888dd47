"""Streams coded with a trained model: the images come back, any cut decodes, and no other model or machine takes them."""

import json
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from wavekit_cli import main
from wavekit_embedded_tokenizer import modelled
from wavekit_embedded_tokenizer.language import END
from wavekit_embedded_tokenizer.modelled import ModelCoder

from wavekit_core import open_run
from wavekit_core.errors import DamagedError, RecipeError
from wavekit_core.pictures import levels
from wavekit_core.spaces import ImageSpace

RECIPE = """\
name: tiny
data: {use: digits, size: 8}
transform:
  - {use: haar, levels: 2}
  - {use: embedded-tokenizer, lowest: 0.03125, max_tokens: 1024}
generator: {use: ar-transformer, width: 16, depth: 1, heads: 2, classes: 10, lr: 1e-2}
sampler: {use: temperature}
train: {steps: 20, batch_size: 16, checkpoint_every: 10, keep: 2, threads: 1}
samples: {count: 4, batch_size: 4}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "tiny.yaml").write_text(RECIPE)
    assert main(["run", str(folder / "tiny.yaml"), "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def coder(run):
    return ModelCoder(open_run(run, device="cpu"))


@pytest.fixture(scope="module")
def images(coder):
    batch = coder.run.session.held_out(6)
    return [image[0] for image in levels(batch.data, coder.space)]


def coded(coder, image):
    """Its tokens, without any stream."""
    return coder.pipeline.represent(coder._images(image))


def test_the_tokens_come_back(coder, images):
    for image in images:
        entry = coder.encode(image)
        assert torch.equal(coder.tokens(entry), coded(coder, image))
        assert np.array_equal(coder.decode(entry), coder._pixels(coded(coder, image)))


def test_a_stream_is_as_long_as_the_model_says(coder, images):
    """The nats of the model, and what ends a stream: no more than two bytes."""
    for image in images:
        nats = float(coder.generator.code(coded(coder, image)).nats[0])
        assert 0 <= len(coder.encode(image).payload) - nats / np.log(2) / 8 < 2


def test_every_cut_decodes_to_a_beginning_of_the_sequence(coder, images):
    entry, tokens = coder.encode(images[0]), coded(coder, images[0])[0]
    before = 0
    for size in range(len(entry.payload)):
        found = coder.tokens(modelled.Entry(entry.image, entry.payload[:size]))[0]
        count = int((found != END).sum())
        assert torch.equal(found[:count], tokens[:count])
        assert count >= before
        before = count
    assert before > int((tokens != END).sum()) // 2


def test_targets_are_met(coder, images):
    for limit in (0, 3):
        assert len(coder.encode(images[0], limit=limit).payload) == limit
    whole = modelled.psnr(coder.decode(coder.encode(images[0])), images[0])
    for less in (1, 6, 12):
        entry = coder.encode(images[0], reach=whole - less)
        assert len(entry.payload) < len(coder.encode(images[0]).payload)
        assert modelled.psnr(coder.decode(entry), images[0]) >= whole - less
        shorter = modelled.Entry(entry.image, entry.payload[:-1])
        assert modelled.psnr(coder.decode(shorter), images[0]) < whole - less
    with pytest.raises(RecipeError, match="is not reached"):
        coder.encode(images[0], reach=90.0)


def test_grey_goes_into_a_model_of_colours_and_colour_into_none_of_grey(coder, images):
    colours = ModelCoder(coder.run)
    colours.space = ImageSpace(3, 8, 8)
    assert torch.equal(colours._images(images[0]), coder._images(images[0]).expand(1, 3, 8, 8))
    colours.space = ImageSpace(4, 8, 8)
    for space, image in ((colours.space, images[0]), (coder.space, np.stack([images[0]] * 3, 2))):
        colours.space = space
        with pytest.raises(RecipeError, match="and the model knows images of 8×8"):
            colours.encode(image)


def test_other_models_and_other_machines_are_refused(run, coder, images, tmp_path):
    path = tmp_path / "a.wkt"
    path.write_bytes(modelled.written(coder.facts, [coder.encode(images[0])]))
    head, _ = modelled.opened(path, False)
    coder.require(head)
    for name, value in (("torch", "1.0"), ("threads", 7), ("processor", "another"), ("device", "NVIDIA")):
        with pytest.raises(RecipeError, match=f"{name} {value}"):
            coder.require(head.model_copy(update={name: value}))
    with pytest.raises(RecipeError, match="coded with the model"):
        ModelCoder(open_run(run, step=10, device="cpu")).require(head)


def test_every_change_of_a_file_is_noticed_and_every_cut_is(coder, images, tmp_path):
    path = tmp_path / "a.wkt"
    whole = modelled.written(coder.facts, [coder.encode(image) for image in images[:2]])
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        for partial in (False, True):
            with pytest.raises(DamagedError):
                modelled.opened(path, partial)
        path.write_bytes(whole[:at])
        with pytest.raises(DamagedError):
            modelled.opened(path, False)
    path.write_bytes(whole + b"\0")
    with pytest.raises(DamagedError, match="behind its end"):
        modelled.opened(path, True)


@pytest.mark.parametrize(
    "change",
    [
        {"threads": 0},
        {"images": []},
        {"model": "x"},
        {"more": 1},
        {"threads": "1"},
        {"torch": "\x1b[2J"},
        {"images": [{"bytes": -1}]},
    ],
)
def test_a_forged_header_is_refused(coder, images, tmp_path, change):
    whole = modelled.written(coder.facts, [coder.encode(images[0])])
    size = struct.unpack("<I", whole[4:8])[0]
    text = json.dumps(json.loads(whole[8 : 8 + size]) | change).encode()
    head = whole[:4] + struct.pack("<I", len(text)) + text
    (tmp_path / "a.wkt").write_bytes(head + struct.pack("<I", zlib.crc32(head)) + whole[12 + size :])
    with pytest.raises(DamagedError, match="values that no stream has"):
        modelled.opened(tmp_path / "a.wkt", False)


def test_forged_data_are_noticed_when_they_are_decoded(coder, images):
    """With all checksums of bytes right: the tokens are not those that were written, or the bytes end elsewhere."""
    for entry in (coder.encode(images[0]), coder.encode(images[0], limit=20)):
        for at in range(0, len(entry.payload) - 4, 5):
            bad = entry.payload[:at] + bytes([entry.payload[at] ^ 16]) + entry.payload[at + 1 :]
            with pytest.raises(DamagedError):
                coder.decode(modelled.Entry(entry.image, bad))
    entry = coder.encode(images[0])
    for bad in (entry.payload + b"abc", b"\xff" * 20):
        with pytest.raises(DamagedError):
            coder.decode(modelled.Entry(entry.image, bad))


def test_commands_write_and_read_them(run, images, tmp_path, capsys):
    for name, image in (("a.png", images[0]), ("b.png", images[1])):
        Image.fromarray(image).save(tmp_path / name)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8) + np.uint8([1, 2, 3])).save(tmp_path / "other.png")
    wkt, back = tmp_path / "a.wkt", tmp_path / "back.png"
    assert main(["encode", str(tmp_path / "a.png"), "-o", str(wkt), "--model", str(run)]) == 0
    assert main(["decode", str(wkt), "-o", str(back), "--model", str(run)]) == 0
    assert Image.open(back).size == (8, 8)
    capsys.readouterr()
    assert main(["info", str(wkt)]) == 0
    assert "coded with the model" in capsys.readouterr().out
    assert main(["decode", str(wkt), "-o", str(back)]) == 2
    assert "--model" in capsys.readouterr().err
    assert main(["encode", str(tmp_path / "other.png"), "-o", str(wkt), "--model", str(run)]) == 2
    assert "other.png: is 9×9, RGB, and the model knows images of 8×8, grey" in capsys.readouterr().err
    assert main(["encode", str(tmp_path / "a.png"), "-o", str(wkt), "--model", str(run), "--lossless"]) == 2
    pair = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    for target in (["--bits-per-pixel", "1.5"], ["--psnr", "20"]):
        assert main(["encode", *pair, "-o", str(wkt), "--model", str(run), *target]) == 0
        assert main(["decode", str(wkt), "-o", str(back), "--model", str(run), "--image", "2"]) == 0
    assert modelled.psnr(np.asarray(Image.open(back)), images[1]) >= 20
    wkt.write_bytes(wkt.read_bytes()[:-3])
    assert main(["decode", str(wkt), "-o", str(back), "--model", str(run), "--image", "2"]) == 5
    assert main(["decode", str(wkt), "-o", str(back), "--model", str(run), "--image", "2", "--partial"]) == 0
    assert main(["encode", str(tmp_path / "a.png"), "-o", str(wkt), "--at", "10"]) == 2
    assert main(["encode", str(tmp_path / "a.png"), "-o", str(wkt)]) == 0
    assert main(["decode", str(wkt), "-o", str(back), "--model", str(run)]) == 2
