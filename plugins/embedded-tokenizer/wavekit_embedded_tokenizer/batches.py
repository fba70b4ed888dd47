"""The languages over whole batches, a row after the other: numba's, without Python's lock.

`settings` (7,) int64 holds what PLANES to LAST name; `geometry` (N, 8) int32 is level, band, channel, row, column, parent, left
and upper neighbour of every place; `child` (N,) int32 is that of `zerotree`. One sequence's state is a row of `heads`, `values`,
`groups` and `blocks` (`language`).
"""

from __future__ import annotations

import numpy as np

from wavekit_core.compiled import compiled, inlined, pasted
from wavekit_embedded_tokenizer import language, zerotree
from wavekit_embedded_tokenizer.language import BEGIN, END, FINISHED, HEAD, PLACE, PLANE, START, TOP

PLANES, STRICT, ADAPTIVE, EAGER, TREE, FIXED, LAST = range(7)  # places in `settings`
PARENT = 5  # the first neighbour in `geometry`
FEATURES = 11


@pasted
def _blocks_legal(head, groups, blocks, kind, planes, strict, adaptive, count):  # type: ignore[no-untyped-def]
    return _legal_in_blocks(head, kind, planes, strict, adaptive, count)


@pasted
def _blocks_agreeing(  # type: ignore[no-untyped-def]
    head, values, groups, blocks, kind, allowed, known, largest, possible, planes, strict, adaptive, count, lowest
):
    return _agreeing_in_blocks(head, values, kind, allowed, known, planes, strict, adaptive, lowest)


# of both languages: begin, slot, legal, agreeing, advance, with the same arguments; the fourth is `blocks` or `child`; LAST is
# the number of places or the last root
_legal_in_blocks, _agreeing_in_blocks = language.legal, language.agreeing
_BLOCKS = (language.begin, language.slot, _blocks_legal, _blocks_agreeing, language.advance)
_TREE = (zerotree.begin, zerotree.slot, zerotree.legal, zerotree.agreeing, zerotree.advance)
_write_blocks, _write_tree = language.write, zerotree.write


@inlined
def _describe(features, head, values, geometry, kind, planes):  # type: ignore[no-untyped-def]
    """The features of a slot, in the order of `EmbeddedGrammar.features`."""
    features[0] = kind
    features[1] = head[PLANE] if head[PLANE] >= 0 else (planes if kind == BEGIN else planes + 1)
    features[10] = planes if kind == BEGIN else head[TOP]
    if kind in (BEGIN, FINISHED):
        features[2:10] = 0
        return
    k = head[PLACE]
    for i in range(5):
        features[2 + i] = geometry[k, i]
    for i in range(3):
        there = geometry[k, PARENT + i]
        features[7 + i] = 0 if there < 0 else (2 if values[there] != 0.0 else 1)


def _kernels(begin, slot, legal, agreeing, advance):  # type: ignore[no-untyped-def]
    """The kernels for one language, which has to be known where they are compiled to be fast."""

    @pasted
    def decode(tokens, element, extra, lowest, settings, half, vectors):  # type: ignore[no-untyped-def]
        count = vectors.shape[1]
        planes, fixed, last = settings[PLANES], settings[FIXED], settings[LAST]
        strict, adaptive, eager = settings[STRICT] != 0, settings[ADAPTIVE] != 0, settings[EAGER] != 0
        head, values, groups = np.empty(HEAD, np.int64), np.empty(count), np.empty(count // 4, np.uint8)
        for b in range(len(tokens)):
            begin(head, values, groups, extra)
            for i in range(tokens.shape[1]):
                token = tokens[b, i]
                kind = slot(head, values, groups, extra)
                if kind == FINISHED or token == END:  # a sequence may be cut: it is embedded
                    for rest in range(i, tokens.shape[1]):
                        if tokens[b, rest] != END:
                            return b, rest
                    break
                allowed = legal(head, groups, extra, kind, planes, strict, adaptive, last)
                if kind == BEGIN and fixed >= 0:
                    allowed = 1 << (START + fixed)
                if token < 0 or token > 62 or not (allowed >> token) & 1:
                    return b, i
                advance(head, values, groups, extra, token, kind, lowest, eager)
            for k in range(count):
                value = values[k]
                vectors[b, element[k]] = value - half if value > 0 else (value + half if value < 0 else 0.0)
        return -1, -1

    @pasted
    def follow(tokens, geometry, extra, lowest, settings, features, allowed_tokens):  # type: ignore[no-untyped-def]
        count, vocabulary = len(geometry), allowed_tokens.shape[2]
        planes, fixed, last = settings[PLANES], settings[FIXED], settings[LAST]
        strict, adaptive, eager = settings[STRICT] != 0, settings[ADAPTIVE] != 0, settings[EAGER] != 0
        head, values, groups = np.empty(HEAD, np.int64), np.empty(count), np.empty(count // 4, np.uint8)
        for b in range(len(tokens)):
            begin(head, values, groups, extra)
            for i in range(tokens.shape[1]):
                token = tokens[b, i]
                kind = slot(head, values, groups, extra)
                allowed = legal(head, groups, extra, kind, planes, strict, adaptive, last)
                if kind == BEGIN and fixed >= 0:
                    allowed = 1 << (START + fixed)
                _describe(features[b, i], head, values, geometry, kind, planes)
                for v in range(vocabulary):
                    allowed_tokens[b, i, v] = (allowed >> v) & 1
                if token < 0 or token >= vocabulary or not (allowed >> token) & 1:
                    return b, i
                if kind == FINISHED:
                    for rest in range(i + 1, tokens.shape[1]):
                        if tokens[b, rest] != END:
                            return b, rest
                        features[b, rest] = features[b, i]
                        allowed_tokens[b, rest] = allowed_tokens[b, i]
                    break
                advance(head, values, groups, extra, token, kind, lowest, eager)
        return -1, -1

    @pasted
    def look(  # type: ignore[no-untyped-def]
        heads,
        values,
        groups,
        extra,
        geometry,
        lowest,
        settings,
        known,
        largest,
        possible,
        features,
        allowed_tokens,
        bits,
    ):
        planes, fixed, last = settings[PLANES], settings[FIXED], settings[LAST]
        strict, adaptive = settings[STRICT] != 0, settings[ADAPTIVE] != 0
        for b in range(len(heads)):
            head, found, whole = heads[b], values[b], groups[b]
            kind = slot(head, found, whole, extra[b])
            allowed = legal(head, whole, extra[b], kind, planes, strict, adaptive, last)
            if kind == BEGIN and fixed >= 0:
                allowed = 1 << (START + fixed)
            if len(known):
                subtree, able = largest[b], possible[b]
                allowed = agreeing(
                    head,
                    found,
                    whole,
                    extra[b],
                    kind,
                    allowed,
                    known[b],
                    subtree,
                    able,
                    planes,
                    strict,
                    adaptive,
                    last,
                    lowest,
                )
            _describe(features[b], head, found, geometry, kind, planes)
            for v in range(allowed_tokens.shape[1]):
                allowed_tokens[b, v] = (allowed >> v) & 1
            bits[b] = allowed

    @pasted
    def step(heads, values, groups, extra, lowest, eager, bits, tokens):  # type: ignore[no-untyped-def]
        for b in range(len(heads)):
            if tokens[b] < 0 or tokens[b] > 62 or not (bits[b] >> tokens[b]) & 1:
                return b
        for b in range(len(heads)):
            kind = slot(heads[b], values[b], groups[b], extra[b])
            advance(heads[b], values[b], groups[b], extra[b], tokens[b], kind, lowest, eager)
        return -1

    @pasted
    def start(heads, values, groups, extra):  # type: ignore[no-untyped-def]
        for b in range(len(heads)):
            begin(heads[b], values[b], groups[b], extra[b])

    return decode, follow, look, step, start


_decode_blocks, _follow_blocks, _look_blocks, _step_blocks, _start_blocks = _kernels(*_BLOCKS)
_decode_tree, _follow_tree, _look_tree, _step_tree, _start_tree = _kernels(*_TREE)


@compiled
def encode(vectors, element, child, lowest, settings, half, tokens):  # type: ignore[no-untyped-def]
    """Tokens (B, L), filled up with END, of pyramids as vectors (B, N); sequences that are longer are cut. `settings[FIXED]` is
    the first plane or -1; `half` is added to every size but 0. Returns the row with a coefficient that is not finite or beyond
    the first plane, or -1."""
    count, length = vectors.shape[1], tokens.shape[1]
    row = np.empty(count)
    scratch = np.empty(9 + settings[PLANES] * count + (count if settings[EAGER] else 0), np.uint8)
    beyond = lowest * (1 << settings[PLANES])
    for b in range(len(vectors)):
        for k in range(count):
            value = np.float64(vectors[b, element[k]])
            row[k] = value + half if value > 0 else (value - half if value < 0 else value)
            if not abs(row[k]) < beyond:
                return b
        if settings[TREE]:
            n = _write_tree(row, child, lowest, settings[FIXED], settings[EAGER], scratch)
        else:
            n = _write_blocks(row, lowest, settings[FIXED], settings[EAGER], scratch)
        if n < 0:
            return b
        n = min(n, length)
        for i in range(n):
            tokens[b, i] = scratch[i]
        for i in range(n, length):
            tokens[b, i] = END
    return -1


@compiled
def decode(tokens, element, child, lowest, settings, half, vectors):  # type: ignore[no-untyped-def]
    """Vectors (B, N) of `tokens` (B, k), prefixes of any length. Returns row and column of a token that is not legal, or
    (-1, -1)."""
    if settings[TREE]:
        return _decode_tree(tokens, element, child, lowest, settings, half, vectors)
    blocks = np.empty(vectors.shape[1] // 16, np.int32)
    return _decode_blocks(tokens, element, blocks, lowest, settings, half, vectors)


@compiled
def follow(tokens, geometry, child, lowest, settings, features, allowed_tokens):  # type: ignore[no-untyped-def]
    """Features (B, L, F) and legal tokens (B, L, V) of the places of `tokens` (B, L). Returns row and column of a token that is
    not legal, or (-1, -1)."""
    if settings[TREE]:
        return _follow_tree(tokens, geometry, child, lowest, settings, features, allowed_tokens)
    blocks = np.empty(len(geometry) // 16, np.int32)
    return _follow_blocks(tokens, geometry, blocks, lowest, settings, features, allowed_tokens)


@compiled
def start(heads, values, groups, extra, settings):  # type: ignore[no-untyped-def]
    """All sequences before their first token. `extra` (B, N / 16) int32 are blocks, or (B, N) int32 `child` in every row."""
    if settings[TREE]:
        _start_tree(heads, values, groups, extra)
    else:
        _start_blocks(heads, values, groups, extra)


@compiled
def look(  # type: ignore[no-untyped-def]
    heads, values, groups, extra, geometry, lowest, settings, known, largest, possible, features, allowed_tokens, bits
):
    """Features (B, F), legal tokens (B, V), the same as `bits` (B,), of the next place of each. `known` (B, N) or (0, N)."""
    if settings[TREE]:
        _look_tree(
            heads,
            values,
            groups,
            extra,
            geometry,
            lowest,
            settings,
            known,
            largest,
            possible,
            features,
            allowed_tokens,
            bits,
        )
    else:
        _look_blocks(
            heads,
            values,
            groups,
            extra,
            geometry,
            lowest,
            settings,
            known,
            largest,
            possible,
            features,
            allowed_tokens,
            bits,
        )


@compiled
def step(heads, values, groups, extra, lowest, settings, bits, tokens):  # type: ignore[no-untyped-def]
    """Write `tokens` (B,). Returns the row of one that is not among `bits`, before anything is written, or -1."""
    eager = settings[EAGER] != 0
    if settings[TREE]:
        return _step_tree(heads, values, groups, extra, lowest, eager, bits, tokens)
    return _step_blocks(heads, values, groups, extra, lowest, eager, bits, tokens)
