import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.ndimage import zoom
from sklearn.datasets import load_digits

from wavekit_core.data.digits import Digits, enlarge
from wavekit_core.spaces import ImageSpace


def everything(split):
    return split.batch(range(len(split)))


@pytest.mark.parametrize("size", [8, 16, 32])
def test_space_range_and_counts(size):
    digits = Digits(size=size)
    assert digits.space == ImageSpace(1, size, size)
    assert (len(digits.train), len(digits.held_out)) == (1497, 300)
    batch = everything(digits.held_out)
    assert batch.data.shape == (300, 1, size, size)
    assert batch.data.dtype == torch.float32
    assert batch.data.min() >= 0
    assert batch.data.max() <= 1
    assert batch.labels.dtype == torch.int64
    assert len(digits.classes) == 10


def test_the_splits_hold_every_image_once_and_are_balanced():
    digits, source = Digits(size=8), load_digits()
    held_out, train = everything(digits.held_out), everything(digits.train)
    images = np.empty((1797, 8, 8), np.float32)
    labels = np.empty(1797, np.int64)
    held = np.arange(1797) % 6 == 0
    images[held], images[~held] = held_out.data[:, 0], train.data[:, 0]
    labels[held], labels[~held] = held_out.labels, train.labels
    assert np.abs(images * 16 - source.images).max() < 16 * 0.5 / 255 + 1e-5
    assert np.array_equal(labels, source.target)
    assert held_out.labels.bincount().min() >= 25


def test_enlarging_keeps_constants_and_straight_lines():
    assert np.array_equal(enlarge(np.full((1, 8, 8), 0.3125), 4), np.full((1, 32, 32), 0.3125))
    ramp = np.broadcast_to(np.arange(8.0), (1, 8, 8))
    inner = enlarge(ramp, 2)[0, 8, 4:12]  # edges are repeated, so the line bends there
    assert np.array_equal(inner, (np.arange(4, 12) + 0.5) / 2 - 0.5)


def test_enlarging_agrees_with_pillow():
    from PIL import Image

    image = load_digits().images[17]
    ours = enlarge(image[None], 2)[0, 6:10, 6:10]
    theirs = np.asarray(Image.fromarray(image.astype(np.float32)).resize((16, 16), Image.Resampling.BICUBIC))
    assert np.abs(ours - theirs[6:10, 6:10]).max() < 1e-4


def test_digest_is_stable_and_tells_sizes_apart():
    assert Digits(size=8).digest() == Digits(size=8).digest()
    assert len({Digits(size=size).digest() for size in (8, 16, 32)}) == 3


def test_batches_follow_the_indices():
    split = Digits().train
    assert torch.equal(split.batch([5, 3, 5]).data[1], split.batch([3]).data[0])
    assert split.batch([]).data.shape == (0, 1, 16, 16)
    for wrong in ([-1], [1497]):
        with pytest.raises(IndexError, match="1497"):
            split.batch(wrong)


def test_other_sizes_are_refused():
    with pytest.raises(ValidationError):
        Digits(size=12)


def test_zoomed_ink_is_where_it_was():
    digits = Digits(size=32)
    small, large = Digits(size=8).train.batch([0]).data[0, 0], digits.train.batch([0]).data[0, 0]
    nearest = torch.from_numpy(zoom(small.numpy(), 4, order=0))
    assert torch.corrcoef(torch.stack([nearest.flatten(), large.flatten()]))[0, 1] > 0.9
