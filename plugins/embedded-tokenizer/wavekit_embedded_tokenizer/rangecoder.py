"""An adaptive binary range coder: integers only, so that a stream is the same bytes on every machine.

A decision has three contexts. Each keeps a probability (22 bits, beside it a count of 10 bits that slows its adaptation down),
and the three are mixed in the logistic domain with weights that are learned on the way (Mattern 2012; Mahoney's lpaq). The coder
has 32 bits and carries into the bytes already written (Martin 1979; Schindler 1998).

What the bytes present determine: bytes that are missing make the code an interval [code, code + slack]. A decision is taken only
if the whole interval lies on one side of its bound.

The functions are numba's. `coder` (10,) int64 is the coder, `probs` (3, CONTEXTS) uint32 and `weights` (SETS, 3) int64 the model.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from wavekit_core.compiled import compiled, inlined

CONTEXTS, SETS = 1 << 14, 256
# places in `coder`; of the last three, decisions traced, tokens and whether anything is found are the codec's
LOW, RANGE, PLACE, SLACK, PARTIAL, CODE, TRACED, TOKENS, FOUND = range(9)
RUNNING, UNDETERMINED, EXHAUSTED = 0, -1, -2
FLUSHED, WINDOW = 1, 4  # bytes that end a stream, bytes that a decoder looks ahead
TOP = 1 << 24
LARGEST = 2047  # of a probability in the logistic domain, log(p / (1 - p)) · 256
RATE = 6  # of the weights


def _squash() -> NDArray[np.int32]:
    """65536 / (1 + exp(-x / 256)) for x = -2047 … 2047, rounded; in decimal arithmetic, which is the same everywhere."""
    with localcontext() as context:
        context.prec = 30
        values = [Decimal(65536) / (1 + (Decimal(-x) / 256).exp()) for x in range(-LARGEST, LARGEST + 1)]
    return np.array([int(v.to_integral_value()) for v in values], dtype=np.int32)


SQUASH = _squash()
# the logistic domain's x for a probability of 12 bits: the first whose probability is not smaller than the cell's middle
STRETCH = (np.searchsorted(SQUASH, np.arange(4096, dtype=np.int32) * 16 + 8).clip(0, 2 * LARGEST) - LARGEST).astype(
    np.int32
)
LIMIT = 255  # of the count: the slowest adaptation
RECIPROCAL = np.array([65536 * 2 // (2 * n + 3) for n in range(LIMIT + 1)], dtype=np.int32)


def model() -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Probabilities and weights of a model that has seen nothing."""
    return np.full((3, CONTEXTS), 1 << 31, np.uint32), np.full((SETS, 3), 26000, np.int64)


@compiled
def start(coder, data, partial, decoding):  # type: ignore[no-untyped-def]
    """`data` uint8 is what is written to or read from; `partial`: bytes that are missing at its end are not known. Otherwise
    they are zeros. False for bytes that no stream begins with."""
    coder[:] = 0
    coder[RANGE] = (1 << 32) - 1
    coder[PARTIAL] = partial
    if decoding:
        for _ in range(WINDOW):
            _take(coder, data)
    return coder[CODE] < coder[RANGE]


@inlined
def _take(coder, data):  # type: ignore[no-untyped-def]
    n = coder[PLACE]
    coder[CODE] <<= 8
    coder[SLACK] <<= 8
    if n < len(data):
        coder[CODE] |= data[n]
    elif coder[PARTIAL]:
        coder[SLACK] |= 255
    coder[PLACE] = n + 1


@inlined
def _add(value, n, data):  # type: ignore[no-untyped-def]
    """`value`, 32 bits and a carry, whose carry goes into the `n` bytes already written. The value without it."""
    if value >> 32:
        n -= 1
        while data[n] == 255:
            data[n] = 0
            n -= 1
        data[n] += 1
    return value & 0xFFFFFFFF


@inlined
def code_with(decoding, bit, p1, coder, data):  # type: ignore[no-untyped-def]
    """Write `bit`, or read it, with p1 / 65536 the probability of a 1. Read: UNDETERMINED, or EXHAUSTED if the stream ended
    before; written: EXHAUSTED if `data` is full, and the bit is as good as lost."""
    bound = (coder[RANGE] >> 16) * (65536 - p1)
    if decoding:
        code = coder[CODE]
        if code + coder[SLACK] < bound:
            bit = 0
        elif code >= bound:
            bit = 1
            coder[CODE] = code - bound
        else:
            return UNDETERMINED
    elif bit:
        coder[LOW] = _add(coder[LOW] + bound, coder[PLACE], data)
    coder[RANGE] = coder[RANGE] - bound if bit else bound
    while coder[RANGE] < TOP:
        coder[RANGE] <<= 8
        if decoding:
            if coder[PLACE] >= len(data) + WINDOW and not coder[PARTIAL]:
                return EXHAUSTED
            _take(coder, data)
        else:
            if coder[PLACE] >= len(data) - FLUSHED:
                return EXHAUSTED
            data[coder[PLACE]] = coder[LOW] >> 24
            coder[PLACE] += 1
            coder[LOW] = (coder[LOW] & 0xFFFFFF) << 8
    return bit


@inlined
def code(decoding, bit, contexts, chosen, label, coder, data, probs, weights, trace):  # type: ignore[no-untyped-def]
    """`code_with`, with the probability of three contexts under the weights `chosen`. What was coded is noted in `trace` (…, 3)
    int32, bit, p1 and label, as long as there is room."""
    a, b, c = contexts
    pa, pb, pc = probs[0, a], probs[1, b], probs[2, c]
    xa, xb, xc = STRETCH[pa >> 20], STRETCH[pb >> 20], STRETCH[pc >> 20]
    x = (weights[chosen, 0] * xa + weights[chosen, 1] * xb + weights[chosen, 2] * xc) >> 16
    x = min(max(x, -LARGEST), LARGEST)
    p1 = min(max(int(SQUASH[x + LARGEST]), 16), 65536 - 16)
    bit = code_with(decoding, bit, p1, coder, data)
    if bit < 0:
        return bit
    if coder[TRACED] < len(trace):
        trace[coder[TRACED], 0] = bit
        trace[coder[TRACED], 1] = p1
        trace[coder[TRACED], 2] = label
    coder[TRACED] += 1
    error = ((bit << 16) - p1) * RATE
    weights[chosen, 0] += (xa * error + (1 << 15)) >> 16
    weights[chosen, 1] += (xb * error + (1 << 15)) >> 16
    weights[chosen, 2] += (xc * error + (1 << 15)) >> 16
    probs[0, a] = _learned(pa, bit)
    probs[1, b] = _learned(pb, bit)
    probs[2, c] = _learned(pc, bit)
    return bit


@inlined
def _learned(state, bit):  # type: ignore[no-untyped-def]
    """The probability one decision later."""
    p, n = np.int64(state) >> 10, np.int64(state) & 1023
    target = 4194303 if bit else 0
    p += ((target - p) * RECIPROCAL[n]) >> 16
    if n < LIMIT:
        n += 1
    return np.uint32((p << 10) | n)


@compiled
def finish(coder, data):  # type: ignore[no-untyped-def]
    """Write the byte that tells the last interval from its neighbours, with zeros to follow. The length of the stream."""
    value = (coder[LOW] + TOP - 1) >> 24 << 24
    value = _add(value, coder[PLACE], data)
    data[coder[PLACE]] = value >> 24
    return coder[PLACE] + FLUSHED


@compiled
def length_read(coder):  # type: ignore[no-untyped-def]
    """The length of the stream that a decoder has read to its end."""
    return coder[PLACE] - WINDOW + FLUSHED


def costs(trace: NDArray[np.int32]) -> NDArray[np.float64]:
    """The bits that each decision of a trace costs by its probability."""
    return -np.log2(np.where(trace[:, 0] == 1, trace[:, 1], 65536 - trace[:, 1]) / 65536)
