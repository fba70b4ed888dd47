"""The SPIHT that the tokenizer is measured beside: what it guarantees of any coefficients, and how its trees are made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spiht import decode, encode, tree

pyramids = st.tuples(
    st.sampled_from([(4, 4, 1), (8, 12, 1), (16, 8, 2), (32, 16, 3)]),
    st.integers(0, 2**16),
    st.sampled_from([0.0, 0.01, 1.0, 50.0]),
    st.sampled_from([0.0, 0.9]),
    st.integers(-3, 2),
)


def drawn(height: int, width: int, seed: int, scale: float, sparse: float = 0.0) -> np.ndarray:
    """Laplace's, or zero with probability `sparse`."""
    rng = np.random.default_rng(seed)
    return rng.laplace(size=(height, width)) * scale * (rng.random((height, width)) >= sparse)


def planes_of(values: np.ndarray, lowest: int) -> int:
    return max(int(np.abs(values).max() / 2.0**lowest).bit_length(), 1)


@settings(max_examples=60, deadline=None)
@given(pyramids)
def test_all_planes_give_the_middle_of_an_interval_of_one_threshold(case):
    (height, width, levels), seed, scale, sparse, lowest = case
    values, threshold = drawn(height, width, seed, scale, sparse), 2.0**lowest
    found = decode(encode(values, levels, lowest), (height, width), levels, lowest)
    middles = np.sign(values) * (np.floor(np.abs(values) / threshold) + 0.5) * threshold
    assert np.array_equal(found, np.where(np.abs(values) >= threshold, middles, 0.0))


@settings(max_examples=60, deadline=None)
@given(pyramids)
def test_a_coarser_code_is_the_beginning_of_a_finer_one(case):
    (height, width, levels), seed, scale, sparse, lowest = case
    values = drawn(height, width, seed, scale, sparse)
    fine, coarse = encode(values, levels, lowest), encode(values, levels, lowest + 1)
    if planes_of(values, lowest) > 1:
        assert fine[0] == coarse[0] + 1
        assert fine[1 : len(coarse) - 1] == coarse[1:-1]  # its last byte is filled up
    for limit in (1, 2, len(fine) // 2, len(fine)):
        assert encode(values, levels, lowest, limit) == fine[: max(limit, 1)]


@settings(max_examples=60, deadline=None)
@given(pyramids, st.floats(0, 1))
def test_any_prefix_decodes_to_what_is_known(case, share):
    (height, width, levels), seed, scale, sparse, lowest = case
    values = drawn(height, width, seed, scale, sparse)
    data = encode(values, levels, lowest)
    found = decode(data[: int(share * len(data))], (height, width), levels, lowest)
    assert ((found == 0) | (np.sign(found) == np.sign(values))).all()
    assert (np.abs(values - found)[found != 0] <= np.abs(values)[found != 0] / 2).all()  # 3T/2 for T at worst


@pytest.mark.parametrize("seed", range(3))
def test_the_error_falls_with_the_prefix(seed):
    values = drawn(64, 64, seed, 10.0)
    data = encode(values, 4, -2)
    errors = [np.mean((decode(data[: len(data) * k // 16], (64, 64), 4, -2) - values) ** 2) for k in range(17)]
    assert errors[0] == pytest.approx(np.mean(values**2))
    assert (np.diff(errors) < 0).all()
    assert errors[-1] < 0.25**2 / 3  # uniform in an interval of T, and in (-T, T) around 0


def test_every_place_behind_the_coarsest_has_one_parent():
    roots, children = tree(32, 48, 3)
    born = [child for four in children for child in four]
    assert len(born) == len(set(born)) == 32 * 48 - len(roots)
    assert sorted(born + roots) == list(range(32 * 48))
    assert [children[at] for at in (0, 1, 48, 49)] == [
        (),  # LL of 4 rows and 6 columns: what its first four places are parents of stands in LL, HL, LH, HH
        (6, 7, 54, 55),
        (4 * 48, 4 * 48 + 1, 5 * 48, 5 * 48 + 1),
        (4 * 48 + 6, 4 * 48 + 7, 5 * 48 + 6, 5 * 48 + 7),
    ]
    assert children[1 * 48 + 7] == (2 * 48 + 14, 2 * 48 + 15, 3 * 48 + 14, 3 * 48 + 15)


def test_a_code_by_hand():
    values = np.zeros((4, 4))
    values[0, 0], values[0, 3], values[3, 3] = -9, 12, 5
    first = "11 0 0 0" + "1 0 10 0 0" + "0 0"  # 8: LIP; children of (0, 1) in HL; trees of (1, 0), (1, 1)
    second = "000000" + "0" + "1 0 0 0 10" + "0 1"  # 4: LIP, three of them HL's; the same trees; refinement
    bits = (first + second).replace(" ", "")
    data = encode(values, 1, 2)
    assert data == bytes([1]) + int(bits.ljust(32, "0"), 2).to_bytes(4, "big")
    assert decode(data, (4, 4), 1, 2)[[0, 0, 3], [0, 3, 3]].tolist() == [-10, 14, 6]


def test_a_size_that_the_levels_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="12×16 is not divided by 8"):
        encode(np.zeros((12, 16)), 2, 0)
