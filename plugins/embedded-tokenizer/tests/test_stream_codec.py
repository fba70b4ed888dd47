"""Coefficients to bytes: the stream is the language's sequence, and any cut of it a prefix."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wavekit_embedded_tokenizer import codec, language, rangecoder
from wavekit_embedded_tokenizer.layout import Layout, layout
from wavekit_embedded_tokenizer.scan import scan

from wavekit_core.pyramid import PyramidSpace
from wavekit_core.spaces import ImageSpace

MOST = 1_000_000


def placed(of: Layout, seed: int, scale: float, sparse: float = 0.0, rounded: float = 0.0) -> np.ndarray:
    """Coefficients by place: Laplace's, or zero with probability `sparse`, or multiples of `rounded`."""
    rng = np.random.default_rng(seed)
    bands = [
        rng.laplace(size=band.shape) * scale * (rng.random(band.shape) >= sparse)
        for band in of.views(np.zeros(of.places))
    ]
    if rounded:
        bands = [np.rint(band / rounded) * rounded for band in bands]
    values = np.zeros(of.places, np.float32)
    of.into(bands, values)
    return values


def in_scan_order(of: Layout, values: np.ndarray) -> np.ndarray:
    sizes = tuple((of.height >> k, of.width >> k) for k in range(of.levels, 0, -1))
    space = PyramidSpace(ImageSpace(of.channels, of.height, of.width), "haar", "periodization", "ortho", sizes)
    approx, *details = of.views(values)
    order = [approx, *(details[i + k] for i in range(0, len(details), 3) for k in (1, 0, 2))]  # LH, HL, HH
    return np.concatenate([band.reshape(-1) for band in order])[scan(space).element].astype(np.float64)


def sequence(of: Layout, values: np.ndarray, lowest: float) -> np.ndarray:
    tokens = np.empty(MOST, np.int64)
    return tokens[: language.write(in_scan_order(of, values), lowest, -1, False, tokens)]


cases = st.tuples(
    st.sampled_from([(4, 4, 1), (8, 12, 1), (16, 16, 2), (16, 32, 3), (64, 64, 4), (96, 160, 2)]),
    st.sampled_from([1, 3]),
    st.integers(0, 2**16),
    st.sampled_from([0.0, 0.01, 0.3, 4.0, 100.0]),
    st.sampled_from([0.0, 0.9, 0.999]),
    st.sampled_from([0.0, 0.25, 1.0]),
)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_a_stream_is_the_sequence_of_the_language(case):
    size, channels, seed, *kind = case
    of = layout(*size, channels)
    values = placed(of, seed, *kind)
    made = codec.encode(values, 0.25, of)
    found = codec.decode(made.data, made.top, of, True, tokens=MOST)
    assert found.whole
    assert not found.damaged
    assert np.array_equal(found.tokens, sequence(of, values, 0.25))
    decoded = np.zeros(of.count)
    language.read(found.tokens.astype(np.int64), decoded, 0.25, False)
    assert np.array_equal(in_scan_order(of, found.known * found.sign.astype(np.float64)) * 0.125, decoded)


@settings(max_examples=25, deadline=None)
@given(cases.filter(lambda case: case[0][0] <= 16))
def test_any_cut_decodes_to_a_prefix_and_to_all_that_its_bytes_determine(case):
    size, channels, seed, *kind = case
    of = layout(*size, channels)
    values = placed(of, seed, *kind)
    made = codec.encode(values, 0.25, of)
    tokens = sequence(of, values, 0.25)
    step = max(1, len(made.data) // 40)
    for cut in [*range(0, len(made.data), step), len(made.data)]:
        found = codec.decode(made.data[:cut], made.top, of, False, tokens=MOST)
        assert np.array_equal(found.tokens, tokens[: found.count])
        ends = [
            codec.decode(made.data[:cut] + filling * 4 * len(tokens), made.top, of, False, traced=MOST).trace
            for filling in (b"\0", b"\xff")
        ]
        short = min(map(len, ends))
        agree = int(np.argmin(np.append((ends[0][:short] == ends[1][:short]).all(1), False)))
        assert found.decisions == agree


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_limit_is_a_cut_of_a_stream(share):
    of = layout(64, 64, 3, 3)
    values = placed(of, 1, 5.0)
    whole = codec.encode(values, 0.25, of)
    limit = int(len(whole.data) * share)
    cut = codec.encode(values, 0.25, of, limit)
    assert not cut.whole
    assert len(cut.data) == limit
    assert cut.data[:-8] == whole.data[: limit - 8]  # what the range coder had yet to write may differ
    assert cut.top == whole.top
    assert codec.encode(values, 0.25, of, len(whole.data)).whole


def test_the_size_is_the_information_of_the_decisions():
    of = layout(64, 64, 3, 3)
    made = codec.encode(placed(of, 2, 3.0), 0.25, of, traced=MOST)
    assert 8 * len(made.data) == pytest.approx(rangecoder.costs(made.trace).sum(), rel=2e-3)
    again = codec.decode(made.data, made.top, of, True, traced=MOST)
    assert np.array_equal(again.trace, made.trace)


def test_what_varies_little_from_place_to_place_costs_less():
    """The contexts know the neighbours: the same coefficients in random places cost more."""
    of = layout(128, 128, 3, 1)
    values = placed(of, 3, 1.0)
    rng = np.random.default_rng(3)
    smooth, shuffled = np.zeros(of.places, np.float32), np.zeros(of.places, np.float32)
    bands = [
        band * (4.0 if i else 1.0) ** (np.arange(band.shape[2]) > band.shape[2] / 2)
        for i, band in enumerate(of.views(values))
    ]
    of.into(bands, smooth)
    of.into([rng.permutation(band.reshape(-1)).reshape(band.shape) for band in bands], shuffled)
    assert len(codec.encode(smooth, 0.5, of).data) < 0.96 * len(codec.encode(shuffled, 0.5, of).data)


def test_many_areas_of_several_levels_are_told_apart():
    """Coarser bands of more than one area, of which few hold anything."""
    of = layout(576, 192, 3, 3)
    values = placed(of, 4, 6.0, sparse=0.9997)
    made = codec.encode(values, 0.25, of)
    found = codec.decode(made.data, made.top, of, True, tokens=MOST)
    assert np.array_equal(found.tokens, sequence(of, values, 0.25))


def test_bytes_that_no_stream_begins_with_are_damaged():
    for whole in (False, True):
        assert codec.decode(b"\xff" * 9, 5, layout(64, 64, 3, 1), whole).damaged


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 12), st.booleans())
def test_random_bytes_end_in_a_sequence_or_are_said_to_be_damaged(data, top, whole):
    of = layout(16, 16, 2, 3)
    found = codec.decode(data, top, of, whole, tokens=MOST)
    if found.damaged or not found.count or not found.whole:
        return
    again = codec.encode(found.known * found.sign.astype(np.float32) * 0.125, 0.25, of)
    assert again.top == top or not top
    assert np.array_equal(codec.decode(again.data, again.top, of, True, tokens=MOST).tokens, found.tokens)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_coefficients_that_have_no_plane_are_refused(value):
    of = layout(8, 8, 1, 1)
    values = placed(of, 0, 1.0)
    of.views(values)[2][0, 1, 1] = value
    with pytest.raises(ValueError, match="not finite, or reaches"):
        codec.encode(values, 0.25, of)


def test_the_bytes_are_the_same_on_every_machine():
    """Multiples of 1/8 from whole numbers: nothing before the coder rounds."""
    of = layout(32, 48, 3, 3)
    values = np.zeros(of.places, np.float32)
    state, bands = 1, []
    for band in of.views(values):
        numbers = []
        for _ in range(band.size):
            state = state * 1103515245 + 12345 & 0x7FFFFFFF
            numbers.append((state >> 8) % (1 + (state >> 20) % 97) - 40)
        bands.append(np.array(numbers).reshape(band.shape) / 8)
    of.into(bands, values)
    data = codec.encode(values, 0.25, of).data
    assert (len(data), hashlib.sha256(data).hexdigest()[:16]) == (2976, "e433fb835f796cab")
