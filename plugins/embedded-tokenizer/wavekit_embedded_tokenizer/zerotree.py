"""The language of six tokens: one ZEROTREE in place of both groups (S3, "Zero-tree"; after Shapiro 1993).

A coefficient's children are the four of the next finer level over the same pixels, and of each 2×2 of the coarsest
approximation all but the first are parents of a band's four: children are always a group of the scan. Children are visited as
soon as something in their parent's subtree, the parent included, has been found. A coefficient that is visited and not found:

    nothing in its subtree was found      all |α| < T there: ZEROTREE.  Otherwise its children are visited from now on, and
    otherwise, or if it has no children   |α| < T: ZERO.  Otherwise NEGATIVE or POSITIVE, and α̃ = ±3T/2

Refinement, the order, the beginning, the end and the numbers of tokens are those of `language`; ZEROTREE has GROUP2's number,
and GROUP4 does not occur. `groups` (N / 4,) are the groups of siblings: 0 not visited, 1 visited, 2 visited since this plane
because of a ZERO, so that one of them has to hold something. `child` (N,) int32 is the group of a place's children, or -1.

On the first 10,000 images of Fashion-MNIST with T0 = 16, T_f = 1/16 and bior4.4 a sequence has 1600.066 slots on the average; S3
prints 1601.7.
"""

from __future__ import annotations

import numpy as np

from wavekit_core.compiled import compiled, inlined
from wavekit_embedded_tokenizer.language import (
    BEGIN,
    COEFFICIENT,
    DOWN,
    DUE,
    END,
    FINISHED,
    FOUND,
    GROUP,
    GROUP2,
    NEGATIVE,
    PLACE,
    PLANE,
    POSITIVE,
    REFINEMENT,
    START,
    TOP,
    UP,
    ZERO,
    ZEROS,
    spell,
)

ZEROTREE = GROUP2


def children(parent):  # type: ignore[no-untyped-def]
    """(N,) int32: of every place the group of its children, from the parents of all places; -1 where there are none."""
    child = np.full(len(parent), -1, dtype=np.int32)
    first = parent[::4]
    child[first[first >= 0]] = np.nonzero(first >= 0)[0]
    return child


def last_root(parent):  # type: ignore[no-untyped-def]
    """The last place that has no parent."""
    return int(np.nonzero(parent < 0)[0][-1])


def subtrees(known, child):  # type: ignore[no-untyped-def]
    """Of `known` (B, N) with NaN: the largest known size in every subtree (B, N), and the same with infinity where something
    is free."""
    largest, possible = np.nan_to_num(np.abs(known), nan=0.0), np.nan_to_num(np.abs(known), nan=np.inf)
    for k in np.nonzero(child >= 0)[0][::-1]:
        four = slice(4 * child[k], 4 * child[k] + 4)
        for sizes in (largest, possible):
            sizes[:, k] = np.maximum(sizes[:, k], sizes[:, four].max(1))
    return largest, possible


@inlined
def begin(head, values, groups, child):  # type: ignore[no-untyped-def]
    """Before the first token."""
    head[:] = 0
    head[PLANE] = -2
    values[:] = 0.0
    groups[:] = 1
    for k in range(len(child)):
        if child[k] >= 0:
            groups[child[k]] = 0


@inlined
def slot(head, values, groups, child):  # type: ignore[no-untyped-def]
    """The kind of the next slot; GROUP where a ZEROTREE may stand."""
    if head[PLANE] < 0:
        return BEGIN if head[PLANE] == -2 else FINISHED
    k = head[PLACE]
    if head[DUE] or values[k] != 0.0:
        return REFINEMENT
    return GROUP if child[k] >= 0 and groups[child[k]] == 0 else COEFFICIENT


@inlined
def legal(head, groups, child, kind, planes, strict, adaptive, last):  # type: ignore[no-untyped-def]
    """The tokens that may stand in the next slot, as bits. `last` is the last root."""
    if kind == FINISHED:
        return 1 << END
    if kind == BEGIN:
        return ((1 << planes) - 1) << START
    if kind == REFINEMENT:
        return 1 << DOWN | 1 << UP
    k = head[PLACE]
    allowed = 1 << NEGATIVE | 1 << POSITIVE | 1 << ZERO
    nothing = 1 << ZERO  # what says that nothing is in the subtree
    if kind == GROUP:
        allowed |= 1 << ZEROTREE
        nothing = 1 << ZEROTREE
    if strict:
        owing = groups[k // 4] == 2 and k % 4 == 3 and head[ZEROS] == 3
        first = adaptive and k == last and head[PLANE] == head[TOP] and head[TOP] > 0 and not head[FOUND]
        if owing or first:
            allowed &= ~nothing
    return allowed


@inlined
def agreeing(  # type: ignore[no-untyped-def]
    head, values, groups, child, kind, allowed, known, largest, possible, planes, strict, adaptive, last, lowest
):
    """Those of the `allowed` tokens that agree with the coefficients `known` (N,), NaN where nothing is known. `largest` and
    `possible` (N,) are those of `subtrees`."""
    if kind == FINISHED:
        return allowed
    k = head[PLACE]
    if kind == BEGIN:
        most = able = 0.0
        for i in range(last + 1):
            most, able = max(most, largest[i]), max(able, possible[i])
        for e in range(planes):
            T = lowest * (1 << e)
            if most >= 2 * T or (strict and adaptive and e > 0 and able < T):
                allowed &= ~(1 << (START + e))
        return allowed
    T = lowest * (1 << head[PLANE])
    if kind == REFINEMENT:
        if np.isnan(known[k]):
            return allowed
        return 1 << UP if abs(known[k]) > abs(values[k]) else 1 << DOWN
    if not np.isnan(known[k]):
        if abs(known[k]) >= T:
            return 1 << NEGATIVE if known[k] < 0 else 1 << POSITIVE
        allowed &= ~(1 << NEGATIVE | 1 << POSITIVE)
    nothing = 1 << ZERO
    if kind == GROUP:
        nothing = 1 << ZEROTREE
        able = False
        for i in range(4 * child[k], 4 * child[k] + 4):
            able = able or possible[i] >= T
        if strict and not able:
            allowed &= ~(1 << ZERO)
        if largest[k] >= T:
            allowed &= ~nothing
    if strict and groups[k // 4] == 2 and (k % 4 == 0 or head[ZEROS] == k % 4):
        able = False
        for i in range(k + 1, k - k % 4 + 4):
            able = able or possible[i] >= T
        if not able:
            allowed &= ~nothing
    if strict and adaptive and head[PLANE] == head[TOP] and head[TOP] > 0 and not head[FOUND]:
        able = False
        for i in range(k + 1, last + 1):
            able = able or (groups[i // 4] > 0 and possible[i] >= T)
        if not able:
            allowed &= ~nothing
    return allowed


@inlined
def advance(head, values, groups, child, token, kind, lowest, eager):  # type: ignore[no-untyped-def]
    """Take `token`, which has to be legal, in a slot of `kind`. `lowest` is T_f."""
    if kind == FINISHED:
        return
    if kind == BEGIN:
        head[PLANE] = head[TOP] = token - START
        return
    k = head[PLACE]
    T = lowest * (1 << head[PLANE])
    if kind == REFINEMENT:
        change = T / 4 if eager else T / 2
        if (token == UP) == (values[k] > 0):
            values[k] += change
        else:
            values[k] -= change
        head[DUE] = 0
    else:
        if k % 4 == 0:
            head[ZEROS] = 0
        if token == ZEROTREE or (token == ZERO and kind == COEFFICIENT):
            head[ZEROS] += 1
        else:
            head[FOUND] = 1
            if kind == GROUP:
                groups[child[k]] = 2 if token == ZERO else 1
            if token != ZERO:
                values[k] = -1.5 * T if token == NEGATIVE else 1.5 * T
                if eager:
                    head[DUE] = 1
                    return
    if k % 4 == 3 and groups[k // 4] == 2:
        groups[k // 4] = 1
    k += 1
    while k < len(values) and groups[k // 4] == 0:
        k += 4
    if k >= len(values):
        k = 0
        head[PLANE] -= 1
    head[PLACE] = k


@compiled
def write(coefficients, child, lowest, top, eager, tokens):  # type: ignore[no-untyped-def]
    """The sequence of `coefficients` (N,) into `tokens`, and its length; as `language.write`."""
    count = len(coefficients)
    within = np.empty(count)  # the largest of each subtree
    visited = np.full(count // 4, 2.0 * abs(lowest) * (1 << 40))  # the largest of the parent's subtree
    for k in range(count - 1, -1, -1):
        within[k] = abs(coefficients[k])
        if child[k] >= 0:
            for i in range(4 * child[k], 4 * child[k] + 4):
                within[k] = max(within[k], within[i])
            visited[child[k]] = within[k]
    largest = 0.0
    for k in range(count):
        largest = max(largest, within[k])
    highest = 0
    while largest >= lowest * (1 << (highest + 1)):
        highest += 1
    if top < 0:
        top = highest
    elif highest > top:
        return -1
    known = np.zeros(count)
    room = len(tokens)
    if room < 1:
        return -2
    tokens[0] = START + top
    n = 1
    for plane in range(top, -1, -1):
        T = lowest * (1 << plane)
        change = T / 4 if eager else T / 2
        for g in range(count // 4):
            if visited[g] < T:
                continue
            if n + 8 > room:
                return -2
            for k in range(4 * g, 4 * g + 4):
                zero = ZEROTREE if child[k] >= 0 and within[k] < T else ZERO
                n = spell(coefficients[k], known, k, T, change, eager, zero, tokens, n)
    return n
