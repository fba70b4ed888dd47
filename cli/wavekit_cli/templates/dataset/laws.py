"""What every data set owes, and a closed form of this one. Data sets have no suite: what one contains is its own."""

import numpy as np
import pytest
import torch

from wavekit_my_part import DIRECTIONS, MyPart


@pytest.mark.parametrize("side", ["train", "held_out"])
def test_batches_are_of_the_declared_space_and_class(side):
    dataset = MyPart(size=8, count=120)
    split = getattr(dataset, side)
    batch = split.batch([len(split) - 1, 0, 0])
    assert dataset.space == MyPart.declares(size=8, count=120)
    assert dataset.space.holds(batch.data, 3)
    assert batch.data.dtype == torch.float32
    assert dataset.space.low <= batch.data.min() < batch.data.max() <= dataset.space.high
    assert set(batch.labels.tolist()) <= set(range(len(dataset.classes)))
    assert torch.equal(batch.data[1], batch.data[2])


def test_both_parts_have_every_class_and_no_image_is_in_both():
    dataset = MyPart(size=8, count=120)
    parts = [split.batch(range(len(split))) for split in (dataset.train, dataset.held_out)]
    assert [len(part.data) for part in parts] == [100, 20]
    assert all(len(part.labels.unique()) == len(DIRECTIONS) for part in parts)
    train, held_out = ({image.numpy().tobytes() for image in part.data} for part in parts)
    assert not train & held_out


def test_the_digest_is_that_of_the_images():
    assert MyPart(8, 60).digest() == MyPart(8, 60).digest()
    assert len({MyPart(8, 60).digest(), MyPart(8, 61).digest(), MyPart(8, 60, seed=1).digest()}) == 3


def test_a_horizontal_grating_varies_along_the_height_alone():
    split = MyPart(size=8, count=120).train
    batch = split.batch(range(len(split)))
    images = batch.data[batch.labels == list(DIRECTIONS).index("horizontal")].numpy()
    assert np.ptp(images, axis=3).max() == 0
    assert np.ptp(images, axis=2).min() > 0.5
