"""Writing sequences: what is legal never leads to a place without a way on."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from wavekit_embedded_tokenizer import EmbeddedTokenizer
from wavekit_embedded_tokenizer.language import END
from wavekit_embedded_tokenizer.scan import scan

from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import FilterBank, WaveletTransform

LOWEST = 0.25
WEIGHTS = (6, 6, 1, 1, 3, 1, 1, 1)  # as many groups as real images have


def space(channels=2):
    return WaveletTransform(FilterBank.from_pywt("haar"), levels=2).target(ImageSpace(channels, 8, 16))


def written(target, count, seed, known=None):
    """Sequences of random legal tokens, filled up."""
    made = torch.Generator().manual_seed(seed)
    weights = torch.tensor([*WEIGHTS, *[1.0] * target.planes], dtype=torch.float64)
    walk, columns = target.grammar.walk(count, known), []
    while not walk.ended.all():
        slots = walk.slots()
        assert slots.legal.any(1).all()
        columns.append(torch.multinomial(slots.legal * weights, 1, generator=made)[:, 0])
        walk.advance(columns[-1])
    tokens = torch.full((count, target.length), END)
    tokens[:, : len(columns)] = torch.stack(columns, 1)
    return tokens


languages = st.fixed_dictionaries(
    {
        "refine": st.sampled_from(["lazy", "eager"]),
        "groups": st.sampled_from(["blocks", "zerotree"]),
        "threshold": st.sampled_from(["adaptive", 4.0]),
        "strict": st.booleans(),
    }
)


@given(languages, st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_random_walks_decode_and_strict_ones_are_the_code_of_what_they_decode_to(arguments, seed):
    tokenizer = EmbeddedTokenizer(lowest=LOWEST, **arguments)
    target = tokenizer.target(space())
    tokens = written(target, 8, seed)
    back = tokenizer.inverse(tokens)
    if arguments["strict"]:
        assert torch.equal(tokenizer(back), tokens)


@given(languages, st.integers(0, 2**31), st.sampled_from([0.0, 0.02, 0.2, 0.6, 0.95, 1.0]))
@settings(max_examples=40, deadline=None)
def test_walks_around_known_coefficients_never_end_too_early_and_hold_them(arguments, seed, share):
    tokenizer = EmbeddedTokenizer(lowest=LOWEST, **arguments)
    target = tokenizer.target(space())
    made = np.random.default_rng(seed)
    top = 2 * (4.0 if arguments["threshold"] == 4.0 else LOWEST * 2 ** (target.planes - 1))
    sizes = made.uniform(-1, 1, (8, space().numbers)) ** 5 * top * 2.0 ** -made.integers(0, 5, (8, 1))
    sizes[made.random(sizes.shape) >= share] = np.nan
    known = torch.from_numpy(sizes)
    tokens = written(target, 8, seed, known)
    found = tokenizer.known(tokenizer.inverse(tokens))
    error, there = (found - known).abs(), ~known.isnan()
    assert (error[there & (found != 0)] <= LOWEST / 2).all()
    assert (error[there & (found == 0)] < LOWEST).all()
    if arguments["strict"]:
        assert torch.equal(tokenizer(tokenizer.inverse(tokens)), tokens)


def test_all_coefficients_known_leave_the_code_alone():
    tokenizer = EmbeddedTokenizer()
    target = tokenizer.target(space())
    transform = WaveletTransform(FilterBank.from_pywt("haar"), levels=2)
    pyramid = transform(torch.rand(4, 2, 8, 16, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(written(target, 4, 0, tokenizer.known(pyramid)), tokenizer(pyramid))


def test_known_coefficients_that_no_plane_holds_are_refused():
    tokenizer = EmbeddedTokenizer(threshold=1.0)
    target = tokenizer.target(space())
    with pytest.raises(ValueError, match="coefficient of 2, and sequences reach up to 2"):
        target.grammar.walk(1, torch.full((1, space().numbers), 2.0))
    with pytest.raises(ValueError, match="are expected"):
        target.grammar.walk(2, torch.zeros(1, space().numbers))


def test_a_token_that_is_not_legal_is_not_written():
    walk = EmbeddedTokenizer().target(space()).grammar.walk(2)
    start = walk.slots().legal[0].nonzero()[0]
    with pytest.raises(ValueError, match="row 1, column 0: token 5; legal is 8"):
        walk.advance(torch.tensor([int(start), 5]))
    walk.advance(start.repeat(2))
    assert walk.written == 1


@pytest.mark.parametrize("groups", ["blocks", "zerotree"])
@pytest.mark.parametrize("refine", ["lazy", "eager"])
def test_teacher_forcing_sees_what_a_walk_sees(groups, refine):
    tokenizer = EmbeddedTokenizer(lowest=LOWEST, groups=groups, refine=refine)
    target = tokenizer.target(space())
    tokens = written(target, 6, 1)
    grammar, walk = target.grammar, target.grammar.walk(6)
    whole = grammar.slots(tokens)
    sizes = torch.tensor(list(grammar.features.values()))
    assert whole.features.amin() >= 0
    assert (whole.features.amax((0, 1)) < sizes).all()
    for place, column in enumerate(tokens.T):
        slots = walk.slots()
        assert torch.equal(slots.features, whole.features[:, place])
        assert torch.equal(slots.legal, whole.legal[:, place])
        walk.advance(column)


def test_features_are_those_of_the_place():
    """Every slot of a coefficient, by the definition of each feature on the decoded prefix."""
    tokenizer = EmbeddedTokenizer(lowest=LOWEST, groups="zerotree")
    source = space(1)
    target, order = tokenizer.target(source), scan(source)
    tokens = written(target, 1, 3)
    names = list(target.grammar.features)
    features = target.grammar.slots(tokens).features[0]
    for place in range(1, int((tokens != END).sum())):
        row = dict(zip(names, features[place].tolist(), strict=True))
        at = [getattr(order, name) == row[name] for name in ("level", "band", "channel", "row", "column")]
        (k,) = np.nonzero(np.logical_and.reduce(at))[0]
        now = tokenizer.known(tokenizer.inverse(tokens[:, :place]))[0]
        assert row["kind"] == (5 if now[k] else row["kind"])
        assert row["threshold"] == int(tokens[0, 0]) - 8
        for name in ("parent", "left", "up"):
            relative = getattr(order, name)[k]
            assert row[name] == (0 if relative < 0 else 1 + bool(now[relative]))


@given(languages, st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_stages_are_the_planes_and_up_to_the_end_of_one_no_smaller_coefficient_is_found(arguments, seed):
    tokenizer = EmbeddedTokenizer(lowest=LOWEST, **arguments)
    target = tokenizer.target(space())
    grammar, tokens = target.grammar, written(target, 4, seed)
    assert [float(name) for name in grammar.stages] == [LOWEST * 2**p for p in reversed(range(target.planes))]
    stages = grammar.stages_of(tokens)
    assert torch.equal(stages, grammar.stage(grammar.slots(tokens).features))
    assert bool((stages.diff() >= 0).all())
    assert bool((stages[:, 0] == 0).all())
    assert torch.equal(stages == target.planes, tokens == END)
    whole = tokenizer.known(tokenizer.inverse(tokens)).abs()
    for stage, name in enumerate(grammar.stages):
        part = torch.where(stages <= stage, tokens, END)
        found = tokenizer.known(tokenizer.inverse(part)).abs()
        assert torch.equal(found > 0, whole >= float(name))
    last = int(stages[:, :-1].max()) // 2
    part = torch.where(stages <= last, tokens, END)
    assert torch.equal(grammar.stages_of(part), torch.where(stages <= last, stages, target.planes))


@pytest.mark.parametrize("groups", ["blocks", "zerotree"])
def test_a_walk_that_is_cut_is_at_its_end_and_the_others_go_on(groups):
    tokenizer = EmbeddedTokenizer(lowest=LOWEST, groups=groups)
    target = tokenizer.target(space())
    tokens = written(target, 4, 5)
    whole, walk, cut = target.grammar.walk(4), target.grammar.walk(4), torch.tensor([True, False, True, False])
    for place in range(40):
        if place == 9:
            walk.cut(cut)
        column = tokens[:, place] if place < 9 else torch.where(cut, END, tokens[:, place])
        slots, expected = walk.slots(), whole.slots()
        assert torch.equal(slots.features[~cut], expected.features[~cut])
        assert torch.equal(slots.legal[~cut], expected.legal[~cut])
        if place >= 9:
            assert torch.equal(walk.ended, whole.ended | cut)
            assert (slots.legal[cut].nonzero()[:, 1] == END).all()
            assert (target.grammar.stage(slots.features)[cut] == target.planes).all()
        walk.advance(column)
        whole.advance(tokens[:, place])
