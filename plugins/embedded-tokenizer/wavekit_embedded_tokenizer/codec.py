"""Coefficients to bytes and back: the language's decisions, slot by slot, through the range coder.

A token is a few decisions: is the block empty, is the group empty, is the coefficient zero, its sign; or, of a coefficient found
earlier, up or down. Where an area of 8×8 blocks has found nothing so far, a decision at its first block says
whether all of it is empty in this plane: of most of an image nothing else is asked in the first planes. What the strict grammar
leaves no choice about costs nothing. So a stream is a sequence of the language (`language.write`) without its first token,
which is the top plane, and it decodes to it.

Encoding and decoding are one function: what they condition on cannot differ. Its arrays are `goal` (what is encoded:
2 ⌊|α| / T_f⌋, and 1 more if α < 0), `known` and `sign` (what is known of it), by place of the layout; `blocks` and `groups`, 1
while they are whole; `busy`, 1 of the areas that have found something, and `quiet`, what was said of them in this plane;
those of the range coder; `tokens` and `trace`, which are told as long as there is room.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavekit_core.compiled import compiled, pasted
from wavekit_embedded_tokenizer import contexts, rangecoder
from wavekit_embedded_tokenizer.contexts import KINDS
from wavekit_embedded_tokenizer.language import DOWN, GROUP2, GROUP4, NEGATIVE, POSITIVE, START, UP, ZERO
from wavekit_embedded_tokenizer.layout import (
    AREA,
    BAND,
    COLUMNS,
    FIRST,
    LEVEL,
    PARENT,
    PARENT_STRIDE,
    ROWS,
    SIDE,
    STRIDE,
    TOGETHER,
    Layout,
)
from wavekit_embedded_tokenizer.rangecoder import EXHAUSTED, FOUND, RUNNING, TOKENS, TRACED, code

PLANES = 28  # at most: 2 |α̃| / T_f is an int32
UNKNOWN, EMPTY, SOME = range(3)  # what was said of an area in this plane
FORCED = 4  # as `fresh`: everything before was empty, so this is not
LABELS = (PLANES, 3, 8, len(KINDS))  # plane, channel, level, kind of a decision, as a shape
LOWEST = -20, 12  # the exponents that T_f may have


@pasted
def _note(coder, tokens, token):  # type: ignore[no-untyped-def]
    if coder[TOKENS] < len(tokens):
        tokens[coder[TOKENS]] = token
    coder[TOKENS] += 1


@pasted
def _decided(decoding, wanted, here, kind, where, plane, coder, data, probs, weights, trace):  # type: ignore[no-untyped-def]
    """A decision of a kind at `where`, given the contexts `here`: the bit, or why the stream ends."""
    label = ((plane * 3 + where[0]) * 8 + where[1]) * 6 + kind
    chosen = (kind * 6 + min(where[1], 5)) * 3 + where[0]
    return code(decoding, wanted, here, chosen, label, coder, data, probs, weights, trace)


@pasted
def _coefficient(  # type: ignore[no-untyped-def]
    decoding, goal, known, sign, coder, data, probs, weights, tokens, trace,
    at, stride, parent, channel_size, plane, where, fresh,
):  # fmt: skip
    """1 if it stays zero, RUNNING if not, or why the stream ends. `fresh` as in `contexts`."""
    shift = plane + 1
    old = known[at] != 0
    bit = 1
    if old or fresh < FORCED:
        if old:
            kind = contexts.REFINEMENT
            here = contexts.of_refinement(known, at, stride, parent, channel_size, shift, where)
            wanted = 0 if decoding else (goal[at] >> shift) & 1
        else:
            kind = contexts.COEFFICIENT
            here = contexts.of_coefficient(known, at, stride, parent, channel_size, shift, where, fresh)
            wanted = 0 if decoding else int(goal[at] >> shift != 0)
        bit = _decided(decoding, wanted, here, kind, where, plane, coder, data, probs, weights, trace)
        if bit < 0:
            return bit
    if old:
        known[at] += (1 << plane) if bit else -(1 << plane)
        _note(coder, tokens, UP if bit else DOWN)
        return RUNNING
    if not bit:
        _note(coder, tokens, ZERO)
        return 1
    here = contexts.of_sign(sign, at, stride, channel_size, where)
    kind = contexts.SIGN
    wanted = 0 if decoding else goal[at] & 1
    bit = _decided(decoding, wanted, here, kind, where, plane, coder, data, probs, weights, trace)
    if bit < 0:
        return bit
    known[at] = 3 << plane
    sign[at] = -1 if bit else 1
    coder[FOUND] = 1
    _note(coder, tokens, NEGATIVE if bit else POSITIVE)
    return RUNNING


@pasted
def _some(goal, at, stride, shift):  # type: ignore[no-untyped-def]
    """Whether anything in a group is found in this plane."""
    return int((goal[at] | goal[at + 1] | goal[at + stride] | goal[at + stride + 1]) >> shift != 0)


@pasted
def _others(flags, at, channel, per_channel):  # type: ignore[no-untyped-def]
    """Which channels before have dissolved the same block or group."""
    found = 0
    if channel > 0:
        found += flags[at - per_channel] == 0
    if channel > 1:
        found += 2 * (flags[at - 2 * per_channel] == 0)
    return found


@pasted
def _group(  # type: ignore[no-untyped-def]
    decoding, goal, known, sign, groups, coder, data, probs, weights, tokens, trace,
    g, at, stride, parent, channel_size, plane, where, per_channel, fresh,
):  # fmt: skip
    """1 if it stays whole, RUNNING if not, or why the stream ends. `fresh` of its block, as in `contexts`."""
    new = groups[g] != 0
    if new:
        if fresh < FORCED:
            others = _others(groups, g, where[0], per_channel)
            here = contexts.of_group(known, at, stride, parent, plane + 1, where, others, fresh)
            wanted = 0 if decoding else _some(goal, at, stride, plane + 1)
            kind = contexts.GROUP
            bit = _decided(decoding, wanted, here, kind, where, plane, coder, data, probs, weights, trace)
            if bit < 0:
                return bit
            if not bit:
                _note(coder, tokens, GROUP2)
                return 1
        groups[g] = 0
    zeros = 0
    for i in range(4):
        done = _coefficient(
            decoding, goal, known, sign, coder, data, probs, weights, tokens, trace,
            at + (i >> 1) * stride + (i & 1), stride, parent, channel_size, plane, where, 1 + zeros if new else 0,
        )  # fmt: skip
        if done < 0:
            return done
        zeros += done
    return RUNNING


@pasted
def _block(  # type: ignore[no-untyped-def]
    decoding, goal, known, sign, blocks, groups, coder, data, probs, weights, tokens, trace,
    b, first, stride, parent, parent_stride, channel_size, plane, where, per_channel, apart, forced,
):  # fmt: skip
    """RUNNING, or why the stream ends. `first`: the first place of each group; `apart`: they are of four bands."""
    channel, level, band, index = where
    new = blocks[b] != 0
    if new and not forced:
        wanted = 0
        if not decoding:
            for g in range(4):
                wanted |= _some(goal, first[g], stride, plane + 1)
        others = _others(blocks, b, channel, per_channel)
        here = contexts.of_block(
            known, first[0], stride, 2 if apart else 4, parent, parent_stride, plane + 1, where, others
        )
        kind = contexts.BLOCK
        bit = _decided(decoding, wanted, here, kind, where, plane, coder, data, probs, weights, trace)
        if bit < 0:
            return bit
        if not bit:
            _note(coder, tokens, GROUP4)
            return RUNNING
    if new:
        blocks[b] = 0
    empty = 0
    for g in range(4):
        of = (channel, level, g if apart else band, index)
        above = parent + (g >> 1) * parent_stride + (g & 1) if parent else 0
        done = _group(
            decoding, goal, known, sign, groups, coder, data, probs, weights, tokens, trace,
            4 * b + g, first[g], stride, above, channel_size, plane, of, 4 * per_channel, 1 + empty if new else 0,
        )  # fmt: skip
        if done < 0:
            return done
        empty += done
    return RUNNING


@pasted
def _quiet(  # type: ignore[no-untyped-def]
    decoding, goal, busy, run, at, row, column, above, per_channel, first, stride, plane, where, coder, data, probs, weights,
    trace,
):  # fmt: skip
    """Whether an area is empty in this plane, or why the stream ends. `at`: the area; `row` and `column` of its first block."""
    wanted = 0
    if not decoding:
        rows, columns = min(SIDE, run[ROWS] - row), min(SIDE, run[COLUMNS] - column)
        for i in range(4 * rows):
            for j in range(4 * columns):
                wanted |= goal[first + i * stride + j]
        wanted = int(wanted >> (plane + 1) != 0)
    across, down = -(-run[COLUMNS] // SIDE), -(-run[ROWS] // SIDE)
    here = contexts.of_area(busy, at, row // SIDE, column // SIDE, down, across, above, per_channel, where)
    bit = _decided(decoding, wanted, here, contexts.AREA, where, plane, coder, data, probs, weights, trace)
    return bit if bit < 0 else 1 - bit


@compiled
def _stream(  # type: ignore[no-untyped-def]
    decoding, goal, known, sign, blocks, groups, busy, quiet, coder, data, probs, weights, tokens, trace,
    top, runs, channels, size,
):  # fmt: skip
    """All planes of `channels` of `size` places each. RUNNING if the sequence is whole, or why it ends before."""
    per_channel, areas = len(blocks) // channels, len(busy) // channels
    _note(coder, tokens, START + top)
    for plane in range(top, -1, -1):
        for channel in range(channels):
            b = channel * per_channel
            for r in range(len(runs)):
                run = runs[r]
                apart = run[BAND] == TOGETHER
                where = (channel, min(run[LEVEL], 7), 0 if apart else run[BAND], min(top - plane, 7))
                stride, parent = run[STRIDE], 0
                across = -(-run[COLUMNS] // SIDE)
                for row in range(run[ROWS]):
                    for column in range(run[COLUMNS]):
                        # the first plane finds something, or it would not be the first
                        forced = b == len(blocks) - 1 and plane == top > 0 and not coder[FOUND]
                        area = 0
                        if apart:
                            step = channel * size + 2 * row * stride + 2 * column
                            first = (
                                run[FIRST] + step,
                                run[FIRST + 1] + step,
                                run[FIRST + 2] + step,
                                run[FIRST + 3] + step,
                            )
                        else:
                            area = channel * areas + run[AREA] + row // SIDE * across + column // SIDE
                            at = run[FIRST] + channel * size + 4 * row * stride + 4 * column
                            if row % SIDE == 0 and column % SIDE == 0:
                                quiet[area] = UNKNOWN
                                if not busy[area] and not (plane == top > 0 and area == len(busy) - 1):
                                    above = 2
                                    if r > 3:  # the first run has no areas
                                        coarser = runs[r - 3]
                                        place = row // SIDE // 2 * -(-coarser[COLUMNS] // SIDE) + column // SIDE // 2
                                        above = busy[channel * areas + coarser[AREA] + place]
                                    done = _quiet(
                                        decoding, goal, busy, run, area, row, column, above, areas, at, stride, plane, where,
                                        coder, data, probs, weights, trace,
                                    )  # fmt: skip
                                    if done < 0:
                                        return done
                                    quiet[area] = EMPTY if done else SOME
                            if quiet[area] == EMPTY:
                                _note(coder, tokens, GROUP4)
                                b += 1
                                continue
                            last = (row % SIDE == SIDE - 1 or row == run[ROWS] - 1) and (
                                column % SIDE == SIDE - 1 or column == run[COLUMNS] - 1
                            )
                            forced = forced or (last and quiet[area] == SOME and not busy[area])
                            first = (at, at + 2, at + 2 * stride, at + 2 * stride + 2)
                            parent = run[PARENT] + channel * size + 2 * row * run[PARENT_STRIDE] + 2 * column
                        done = _block(
                            decoding, goal, known, sign, blocks, groups, coder, data, probs, weights, tokens, trace,
                            b, first, stride, parent, run[PARENT_STRIDE], size, plane, where, per_channel, apart, forced,
                        )  # fmt: skip
                        if done < 0:
                            return done
                        if not apart and not blocks[b]:
                            busy[area] = 1
                        b += 1
    return RUNNING


@compiled
def _quantised(values, lowest, goal):  # type: ignore[no-untyped-def]
    """`goal` of coefficients; the largest ⌊|α| / T_f⌋, or -1 if one is not finite or too large. A whole number that is no power
    of two belongs to the interval below it, as the language says DOWN where |α| = |α̃|."""
    largest = 0
    for k in range(len(values)):
        size = abs(values[k]) / lowest
        if not size < 1 << PLANES:
            return -1
        n = int(size)
        if n == size and n & (n - 1):
            n -= 1
        goal[k] = 2 * n + (values[k] < 0)
        largest = max(largest, n)
    return largest


@dataclass(frozen=True)
class Decoded:
    """What the bytes say. `known` (places,) int32 is 2 |α̃| / T_f, `sign` its sign; `count` how many tokens of the sequence are
    known, and `tokens` the first of them, if they were asked for."""

    known: NDArray[np.int32]
    sign: NDArray[np.int8]
    count: int
    whole: bool  # all of the sequence is there
    damaged: bool  # the bytes do not end where the sequence does
    tokens: NDArray[np.uint8]
    trace: NDArray[np.int32]
    decisions: int


@dataclass(frozen=True)
class Encoded:
    data: bytes
    top: int  # the first plane
    whole: bool  # not cut by `limit`
    trace: NDArray[np.int32]


def encode(
    values: NDArray[np.float32], lowest: float, of: Layout, limit: int | None = None, traced: int = 0
) -> Encoded:
    """Coefficients (places,), floating, laid out by `of`, with T_f = `lowest`, a power of two. After `limit` bytes, the stream is
    cut. `traced`: how many decisions to note.

    Raises ValueError if there are more than PLANES planes, or if a coefficient is not finite.
    """
    goal = np.empty(of.places, np.int32)
    largest = _quantised(values, lowest, goal)
    if largest < 0:
        raise ValueError(f"a coefficient is not finite, or reaches {PLANES} planes above the threshold {lowest:g}")
    top = max(int(largest).bit_length() - 1, 0)
    room = 64 + of.count * (top + 3) // 8 if limit is None else limit + 16
    while True:
        data, trace = np.zeros(room, np.uint8), np.zeros((traced, 3), np.int32)
        _, _, coder, ended = _run(False, goal, data, False, np.zeros(0, np.uint8), trace, top, of)
        if ended == RUNNING or limit is not None:
            break
        room *= 2
    length = int(rangecoder.finish(coder, data))
    whole = ended == RUNNING and (limit is None or length <= limit)
    kept = length if whole or limit is None else min(length, limit)
    return Encoded(data[:kept].tobytes(), top, whole, trace[: coder[TRACED]])


def decode(data: bytes, top: int, of: Layout, whole: bool, tokens: int = 0, traced: int = 0) -> Decoded:
    """The bytes of a stream, or the first of them. If `whole`, what follows them are zeros, and they must end where the
    sequence does; otherwise it is unknown, and decoding ends before the first token that they leave open. `tokens` and `traced`:
    how many tokens and decisions to give back."""
    array = np.frombuffer(data, np.uint8).copy()
    sequence, trace = np.zeros(tokens, np.uint8), np.zeros((traced, 3), np.int32)
    known, sign, coder, ended = _run(True, np.zeros(0, np.int32), array, not whole, sequence, trace, top, of)
    damaged = ended == EXHAUSTED
    if ended == RUNNING:
        length = rangecoder.length_read(coder)
        damaged = bool(len(data) != length if whole else len(data) > length)
    count, decisions = int(coder[TOKENS]), int(coder[TRACED])
    return Decoded(known, sign, count, ended == RUNNING, damaged, sequence[:count], trace[:decisions], decisions)


def _run(decoding: bool, goal, data, partial: bool, tokens, trace, top: int, of: Layout):  # type: ignore[no-untyped-def]
    known, sign = np.zeros(of.places, np.int32), np.zeros(of.places, np.int8)
    blocks, groups = np.ones(of.count // 16, np.uint8), np.ones(of.count // 4, np.uint8)
    busy, quiet = np.zeros(of.channels * of.areas, np.uint8), np.zeros(of.channels * of.areas, np.uint8)
    coder = np.zeros(10, np.int64)
    if not rangecoder.start(coder, data, partial, decoding):
        return known, sign, coder, EXHAUSTED
    ended = _stream(
        decoding, goal, known, sign, blocks, groups, busy, quiet, coder, data, *rangecoder.model(), tokens, trace,
        top, of.runs, of.channels, of.size,
    )  # fmt: skip
    return known, sign, coder, ended
