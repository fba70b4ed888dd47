import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavekit_core.engine.order import indices

lengths = st.integers(1, 40)
batches = st.integers(1, 90)
seeds = st.integers(0, 2**64 - 1)


@settings(max_examples=60, deadline=None)
@given(lengths, batches, seeds)
def test_every_epoch_is_a_permutation(length, batch_size, seed):
    steps = -(-3 * length // batch_size)
    stream = np.concatenate([indices(length, batch_size, step, seed) for step in range(steps)])
    for epoch in range(3):
        assert sorted(stream[epoch * length : (epoch + 1) * length]) == list(range(length))


@settings(max_examples=60, deadline=None)
@given(lengths, batches, st.integers(0, 10**12), seeds)
def test_a_step_asked_for_directly_is_a_piece_of_the_stream(length, batch_size, step, seed):
    one_by_one = [indices(length, 1, step * batch_size + i, seed)[0] for i in range(batch_size)]
    assert indices(length, batch_size, step, seed).tolist() == one_by_one


def test_orders_differ_between_epochs_and_seeds():
    first = indices(1000, 1000, 0, seed=3)
    assert not np.array_equal(first, indices(1000, 1000, 1, seed=3))
    assert not np.array_equal(first, indices(1000, 1000, 0, seed=4))


def test_what_a_step_needs_does_not_depend_on_earlier_calls():
    later = indices(7, 5, 11, 0)
    for step in range(11):
        indices(7, 5, step, 0)
    assert np.array_equal(indices(7, 5, 11, 0), later)


def test_all_orders_of_three_are_about_equally_frequent():
    orders = [tuple(indices(3, 3, step, 0)) for step in range(1200)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert sum((count - 200) ** 2 / 200 for count in counts) < 20.5  # chi-squared, 5 degrees, p = 0.001


def test_a_caller_cannot_damage_the_order():
    batch = indices(5, 5, 0, 0)
    expected = batch.copy()
    batch[:] = 0
    assert np.array_equal(indices(5, 5, 0, 0), expected)


@pytest.mark.parametrize("arguments", [(0, 1, 0, 0), (1, 0, 0, 0), (1, 1, -1, 0), (1, 1, 0, -1), (1, 1, 0, 2**64)])
def test_nonsense_is_refused(arguments):
    with pytest.raises(ValueError, match=r"from 1|outside"):
        indices(*arguments)
