"""The range coder: its size beside another's, its end, its tables."""

import hashlib

import numpy as np
import pytest
from numba import njit
from wavekit_embedded_tokenizer import rangecoder
from wavekit_embedded_tokenizer.rangecoder import SQUASH, STRETCH, UNDETERMINED, WINDOW, code_with, finish, start


@njit
def _written(bits, chances, coder, data):
    for i in range(len(bits)):
        code_with(False, bits[i], chances[i], coder, data)


@njit
def _read(chances, coder, data, bits):
    for i in range(len(chances)):
        bit = code_with(True, 0, chances[i], coder, data)
        if bit < 0:
            return i
        bits[i] = bit
    return len(chances)


def write(bits: np.ndarray, chances: np.ndarray) -> bytes:
    coder, data = np.zeros(10, np.int64), np.zeros(len(bits) * 2 + 64, np.uint8)
    start(coder, data, False, False)
    _written(bits, chances, coder, data)
    return data[: finish(coder, data)].tobytes()


def read(data: bytes, chances: np.ndarray, partial: bool = False) -> np.ndarray:
    coder, bits = np.zeros(10, np.int64), np.zeros(len(chances), np.int64)
    array = np.frombuffer(data, np.uint8).copy()
    start(coder, array, partial, True)
    return bits[: _read(chances, coder, array, bits)]


def drawn(count: int, seed: int, sharp: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Bits and the probabilities that they come from."""
    rng = np.random.default_rng(seed)
    chances = (65536 / (1 + np.exp(-sharp * rng.normal(size=count)))).astype(np.int64).clip(16, 65520)
    return (rng.random(count) * 65536 < chances).astype(np.int64), chances


@pytest.mark.parametrize("sharp", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("count", [0, 1, 7, 20_000])
def test_what_is_written_is_read(count, sharp):
    bits, chances = drawn(count, count, sharp)
    assert np.array_equal(read(write(bits, chances), chances), bits)


def test_unlikely_bits_in_a_row_carry_and_are_read():
    for bit in (0, 1):
        chances = np.full(5000, 16 if bit else 65520)
        for bits in (np.full(5000, bit), np.full(5000, 1 - bit)):
            assert np.array_equal(read(write(bits, chances), chances), bits)


@pytest.mark.parametrize("sharp", [0.3, 2.0, 5.0])
def test_the_size_is_that_of_constriction(sharp):
    constriction = pytest.importorskip("constriction")
    bits, chances = drawn(50_000, 5, sharp)
    p = chances / 65536
    encoder = constriction.stream.queue.RangeEncoder()
    family = constriction.stream.model.Bernoulli()
    encoder.encode(bits.astype(np.int32), family, p)
    theirs = encoder.get_compressed()
    decoder = constriction.stream.queue.RangeDecoder(theirs)
    data = write(bits, chances)
    assert np.array_equal(decoder.decode(family, p), read(data, chances))
    assert len(data) == pytest.approx(4 * len(theirs), rel=0.01)


def test_the_size_is_the_information():
    bits, chances = drawn(50_000, 6)
    trace = np.stack([bits, chances, bits], 1).astype(np.int32)
    assert 8 * len(write(bits, chances)) == pytest.approx(rangecoder.costs(trace).sum(), rel=1e-3)


@pytest.mark.parametrize("sharp", [0.5, 6.0])
def test_a_cut_stream_is_read_as_far_as_its_bytes_determine(sharp):
    """That is as far as the least and the greatest continuation agree, because the code orders streams as it orders bits."""
    bits, chances = drawn(400, 8, sharp)
    data = write(bits, chances)
    for cut in range(len(data) + 1):
        got = read(data[:cut], chances, partial=True)
        least, greatest = (read(data[:cut] + filling * 400, chances) for filling in (b"\0", b"\xff"))
        agree = int(np.argmin(np.append(least == greatest, False)))
        assert np.array_equal(got, bits[: len(got)])
        assert len(got) == agree


def test_tables_are_whole_numbers_and_always_the_same():
    assert SQUASH.dtype == STRETCH.dtype == rangecoder.RECIPROCAL.dtype == np.int32
    exact = 65536 / (1 + np.exp(-np.arange(-2047, 2048) / 256))
    assert np.abs(SQUASH - exact).max() <= 0.5 + 1e-9
    assert (np.diff(STRETCH) >= 0).all()
    middle = 1024 + np.arange(2048)
    above = SQUASH[STRETCH[middle] + 2047] - (middle * 16 + 8)
    assert 0 <= above.min() <= above.max() <= 64  # the next one up, at most a step of x away
    tables = b"".join(table.astype("<i4").tobytes() for table in (SQUASH, STRETCH, rangecoder.RECIPROCAL))
    assert hashlib.sha256(tables).hexdigest()[:16] == "cfb307d28272315e"


def test_nothing_is_determined_by_no_bytes():
    coder = np.zeros(10, np.int64)
    start(coder, np.zeros(0, np.uint8), True, True)
    assert code_with(True, 0, 32768, coder, np.zeros(0, np.uint8)) == UNDETERMINED
    assert WINDOW == 4
