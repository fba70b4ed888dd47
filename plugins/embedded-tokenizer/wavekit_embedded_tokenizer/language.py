"""The seven-token language of S3 (§4.3 to §4.6) on coefficients in the order of `scan`.

Planes T = T0, T0 / 2, …, T_f. In each, every block of 16 that no plane has found significant is asked for first, then every
group of 4, then coefficients:

    block still whole    all |α| < T: GROUP4.  Otherwise it is dissolved, without a token of its own, and
    group still whole    all |α| < T: GROUP2.  Otherwise it is dissolved, and
    coefficient          |α| < T: ZERO.  Otherwise NEGATIVE or POSITIVE, and α̃ = ±3T/2
    found in an earlier plane: UP if |α| > |α̃|, otherwise DOWN, and α̃ moves by T/2

That is `lazy` refinement, which gives the published lengths. `eager`, the rule as the text states it, refines in the plane that
finds a coefficient too, and by T/4. α̃ is the best reconstruction after any number of tokens: 0 or the middle of the interval
known. A sequence begins with a token for T0 (START + e for T0 = T_f 2^e) and ends with its last slot; END fills up rows.

The functions are numba's and work on one sequence: `values` (N,) float64 is α̃, `groups` (N / 4,) and `blocks` (N / 16,) uint8 say
what is whole, `head` (7,) int64 is the rest. Nothing here knows of images.
"""

from __future__ import annotations

import numpy as np

from wavekit_core.compiled import compiled, inlined

GROUP4, GROUP2, NEGATIVE, POSITIVE, ZERO, DOWN, UP, END, START = range(9)
NAMES = ("group4", "group2", "negative", "positive", "zero", "down", "up", "end")

# kinds of slots: what the next token is about
FINISHED, BEGIN, BLOCK, GROUP, COEFFICIENT, REFINEMENT = range(6)
KINDS = ("end", "start", "block", "group", "coefficient", "refinement")

# places in `head`: the plane (T = T_f 2^plane; -1 after the end, -2 before the beginning), the place in the scan, whether an
# eager refinement is due; whole groups and zeros since a dissolution in this plane (-1: none was here); anything found so far
PLANE, PLACE, DUE, WHOLE, ZEROS, FOUND, TOP = range(7)
HEAD = 7


@inlined
def begin(head, values, groups, blocks):  # type: ignore[no-untyped-def]
    """Before the first token."""
    head[:] = 0
    head[PLANE] = -2
    head[WHOLE] = head[ZEROS] = -1
    values[:] = 0.0
    groups[:] = 1
    blocks[:] = 1


@inlined
def slot(head, values, groups, blocks):  # type: ignore[no-untyped-def]
    """The kind of the next slot."""
    if head[PLANE] < 0:
        return BEGIN if head[PLANE] == -2 else FINISHED
    if head[DUE]:
        return REFINEMENT
    k = head[PLACE]
    if k % 16 == 0 and blocks[k // 16]:
        return BLOCK
    if k % 4 == 0 and groups[k // 4]:
        return GROUP
    return REFINEMENT if values[k] != 0.0 else COEFFICIENT


@inlined
def legal(head, kind, planes, strict, adaptive, count):  # type: ignore[no-untyped-def]
    """The tokens that may stand in the next slot, as bits; the beginnings are `planes` bits from START on."""
    if kind == FINISHED:
        return 1 << END
    if kind == BEGIN:
        return ((1 << planes) - 1) << START
    if kind == REFINEMENT:
        return 1 << DOWN | 1 << UP
    k = head[PLACE]
    allowed = 1 << NEGATIVE | 1 << POSITIVE
    if not strict:
        allowed |= 1 << ZERO
        if kind == BLOCK:
            allowed |= 1 << GROUP4
        if kind != COEFFICIENT:
            allowed |= 1 << GROUP2
        return allowed
    # a dissolved group holds something found, a dissolved block a dissolved group, and the first plane something found
    if not (k % 4 == 3 and head[ZEROS] == 3):
        allowed |= 1 << ZERO
    if kind != COEFFICIENT and not (k % 16 == 12 and head[WHOLE] == 3):
        allowed |= 1 << GROUP2
    if kind == BLOCK and not (adaptive and k == count - 16 and head[PLANE] == head[TOP] > 0 and not head[FOUND]):
        allowed |= 1 << GROUP4
    return allowed


@inlined
def agreeing(head, values, kind, allowed, known, planes, strict, adaptive, lowest):  # type: ignore[no-untyped-def]
    """Those of the `allowed` tokens that agree with the coefficients `known` (N,), NaN where nothing is known, now and, under
    the strict rules, later: where something has to be found, something can be."""
    if kind == FINISHED:
        return allowed
    k, count = head[PLACE], len(known)
    if kind == BEGIN:
        for e in range(planes):
            T = lowest * (1 << e)
            if significant(known, 0, count, 2 * T) or (
                strict and adaptive and e > 0 and not findable(known, 0, count, T)
            ):
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
    group, block = k - k % 4 + 4, k - k % 16 + 16  # where they end
    if strict and (kind != COEFFICIENT or head[ZEROS] == k % 4) and not findable(known, k + 1, group, T):
        allowed &= ~(1 << ZERO)
    if kind == COEFFICIENT:
        return allowed
    if significant(known, k, group, T) or (
        strict and (kind == BLOCK or head[WHOLE] == k % 16 // 4) and not findable(known, group, block, T)
    ):
        allowed &= ~(1 << GROUP2)
    if kind == BLOCK and (allowed >> GROUP4) & 1:
        first = strict and adaptive and head[PLANE] == head[TOP] and head[TOP] > 0 and not head[FOUND]
        if significant(known, k, block, T) or (first and not findable(known, block, count, T)):
            allowed &= ~(1 << GROUP4)
    return allowed


@inlined
def significant(known, first, last, T):  # type: ignore[no-untyped-def]
    """Whether a known coefficient from `first` up to `last` reaches T."""
    for k in range(first, last):  # noqa: SIM110
        if abs(known[k]) >= T:  # never of NaN
            return True
    return False


@inlined
def findable(known, first, last, T):  # type: ignore[no-untyped-def]
    """Whether one that is free, or known to reach T, is there."""
    for k in range(first, last):  # noqa: SIM110
        if not abs(known[k]) < T:
            return True
    return False


@inlined
def advance(head, values, groups, blocks, token, kind, lowest, eager):  # type: ignore[no-untyped-def]
    """Take `token`, which has to be legal, in a slot of `kind`. `lowest` is T_f."""
    if kind == FINISHED:
        return
    if kind == BEGIN:
        head[PLANE] = head[TOP] = token - START
        return
    k = head[PLACE]
    T = lowest * (1 << head[PLANE])
    step = 1
    if kind == REFINEMENT:
        change = T / 4 if eager else T / 2
        if (token == UP) == (values[k] > 0):
            values[k] += change
        else:
            values[k] -= change
        head[DUE] = 0
    elif token == GROUP4:
        step = 16
    else:
        if kind == BLOCK:
            blocks[k // 16] = 0
            head[WHOLE] = 0
        if token == GROUP2:
            step = 4
            if head[WHOLE] >= 0:
                head[WHOLE] += 1
        else:
            if kind != COEFFICIENT:
                groups[k // 4] = 0
                head[ZEROS] = 0
            if token == ZERO:
                if head[ZEROS] >= 0:
                    head[ZEROS] += 1
            else:
                values[k] = -1.5 * T if token == NEGATIVE else 1.5 * T
                head[FOUND] = 1
                if eager:
                    head[DUE] = 1
                    return
    k += step
    if k % 4 == 0:
        head[ZEROS] = -1
    if k % 16 == 0:
        head[WHOLE] = -1
    if k == len(values):
        k = 0
        head[PLANE] -= 1  # -1 is the end
    head[PLACE] = k


@compiled
def read(tokens, values, lowest, eager):  # type: ignore[no-untyped-def]
    """α̃ after legal `tokens`, a prefix of any length, into `values` (N,)."""
    head = np.empty(HEAD, np.int64)
    groups = np.empty(len(values) // 4, np.uint8)
    blocks = np.empty(len(values) // 16, np.uint8)
    begin(head, values, groups, blocks)
    for token in tokens:
        kind = slot(head, values, groups, blocks)
        if kind == FINISHED:
            break
        advance(head, values, groups, blocks, token, kind, lowest, eager)


@inlined
def spell(coefficient, known, k, T, change, eager, zero, tokens, n):  # type: ignore[no-untyped-def]
    """Write the tokens of a coefficient that is visited, from place `n` on, and say where the next one goes. `known` (N,) is |α̃|;
    `zero` says that it is below T."""
    size, value = abs(coefficient), known[k]
    if value == 0.0:
        found = size >= T
        tokens[n] = (NEGATIVE if coefficient < 0 else POSITIVE) if found else zero
        n += 1
        value = 1.5 * T if found else 0.0
        if not (found and eager):
            known[k] = value
            return n
    up = size > value
    tokens[n] = UP if up else DOWN
    known[k] = value + change if up else value - change
    return n + 1


@compiled
def write(coefficients, lowest, top, eager, tokens):  # type: ignore[no-untyped-def]
    """The sequence of `coefficients` (N,) into `tokens`, and its length. `top` is the first plane, or -1 for the highest one
    that finds something. -1 if a coefficient reaches past the first plane, -2 if `tokens` is too short."""
    count = len(coefficients)
    largest = 0.0
    for k in range(count):
        largest = max(largest, abs(coefficients[k]))
    highest = 0
    while largest >= lowest * (1 << (highest + 1)):
        highest += 1
    if top < 0:
        top = highest
    elif highest > top:
        return -1
    inside = np.zeros(count // 4)  # the largest of each group not dissolved; of a dissolved one, infinite
    within = np.zeros(count // 16)
    known = np.zeros(count)  # |α̃|
    for g in range(count // 4):
        for k in range(4 * g, 4 * g + 4):
            inside[g] = max(inside[g], abs(coefficients[k]))
        within[g // 4] = max(within[g // 4], inside[g])
    room = len(tokens)
    if room < 1:
        return -2
    tokens[0] = START + top
    n = 1
    for plane in range(top, -1, -1):
        T = lowest * (1 << plane)
        change = T / 4 if eager else T / 2
        for b in range(count // 16):
            if within[b] < T:
                if n >= room:
                    return -2
                tokens[n] = GROUP4
                n += 1
                continue
            for g in range(4 * b, 4 * b + 4):
                if inside[g] < T:
                    if n >= room:
                        return -2
                    tokens[n] = GROUP2
                    n += 1
                    continue
                if n + 8 > room:
                    return -2
                for k in range(4 * g, 4 * g + 4):
                    n = spell(coefficients[k], known, k, T, change, eager, ZERO, tokens, n)
    return n
