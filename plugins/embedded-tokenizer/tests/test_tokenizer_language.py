"""What the language says and what of it comes back."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from wavekit_embedded_tokenizer import EmbeddedTokenizer
from wavekit_embedded_tokenizer.language import DOWN, END, GROUP4, NEGATIVE, START, UP

from wavekit_core.errors import DataError, SpaceError, WavekitError
from wavekit_core.spaces import ImageSpace
from wavekit_core.wavelets import FilterBank, WaveletTransform

LANGUAGES = [
    {"refine": refine, "groups": groups, "threshold": threshold, "order": order, "lowest": 0.25}
    for refine, groups, (threshold, order) in itertools.product(
        ("lazy", "eager"), ("blocks", "zerotree"), (("adaptive", "raster"), (8.0, "morton"))
    )
]
languages = st.sampled_from(LANGUAGES)
seeds = st.integers(0, 2**31)


def pyramids(wavelet="haar", levels=2, image=(2, 8, 16), **norm):
    return WaveletTransform(FilterBank.from_pywt(wavelet), levels=levels, **norm).target(ImageSpace(*image))


def drawn(space, count, seed, power=3):
    """Coefficients of all sizes below 4, some of them exactly thresholds, some exactly 0."""
    made = torch.Generator().manual_seed(seed)
    flat = (torch.rand(count, space.numbers, generator=made) * 2 - 1) ** power * 4
    kind = torch.randint(8, flat.shape, generator=made)
    ties = flat.sign() * 2 ** flat.abs().clamp(min=1e-3).log2().floor()
    return space.unflatten(torch.where(kind == 0, torch.zeros(()), torch.where(kind == 1, ties, flat)))


def ready(arguments, space=None):
    tokenizer, space = EmbeddedTokenizer(**arguments), space or pyramids()
    return tokenizer, space, tokenizer.target(space)


@pytest.mark.parametrize(("refine", "expected"), [("lazy", (-24, -20)), ("eager", (-20, -18))])
def test_the_worked_example_of_the_paper(refine, expected):
    tokenizer, space, _ = ready({"lowest": 8.0, "threshold": 16.0, "refine": refine}, pyramids(image=(1, 8, 8)))
    flat = torch.zeros(1, space.numbers)
    flat[0, 0] = -17.45
    tokens = tokenizer(space.unflatten(flat))
    first = [START + 1, NEGATIVE] + [DOWN] * (refine == "eager")
    assert tokens[0, : len(first)].tolist() == first
    second = int((tokens[0] != GROUP4).nonzero()[len(first) + 6][0])  # after three ZEROs and three GROUP2s
    after = [space.flatten(tokenizer.inverse(tokens[:, :k]))[0, 0].item() for k in (second, tokens.shape[1])]
    assert after == list(expected)
    assert tokens[0, second] == DOWN


@given(languages, seeds)
@settings(max_examples=40, deadline=None)
def test_a_code_of_a_code_is_the_code_and_errors_are_bounded(arguments, seed):
    tokenizer, space, target = ready(arguments)
    pyramid = drawn(space, 3, seed)
    tokens = tokenizer(pyramid)
    back = tokenizer.inverse(tokens)
    assert torch.equal(tokenizer(back), tokens)
    found, given_ = space.flatten(back), space.flatten(pyramid)
    lowest, error = tokenizer.coding.lowest, (found - given_).abs()
    assert (error[found != 0] <= lowest / (2 if tokenizer.coding.refine == "lazy" else 4)).all()
    assert (error[found == 0] < lowest).all()
    legal = target.grammar.slots(tokens).legal  # raises if one is not
    assert legal.gather(2, tokens[..., None]).all()
    for b in range(3):
        alone = space.unflatten(given_[b : b + 1])
        assert torch.equal(tokenizer(alone), tokens[b : b + 1])


@given(languages, seeds)
@settings(max_examples=10, deadline=None)
def test_every_prefix_decodes_to_the_middle_of_what_is_known(arguments, seed):
    tokenizer, space, _ = ready(arguments, pyramids(image=(1, 8, 8)))
    pyramid = drawn(space, 1, seed)
    tokens, given_ = tokenizer(pyramid), space.flatten(pyramid)
    before = math.inf
    for k in range(int((tokens != END).sum()) + 1):
        found = space.flatten(tokenizer.inverse(tokens[:, :k]))
        plane = 0.5 * 2.0 ** found.abs().clamp(min=0.25).log2().floor()  # half the widest interval around what is found
        assert ((found - given_).abs()[found != 0] <= plane[found != 0]).all()
        now = float(given_[found == 0].abs().max()) if (found == 0).any() else 0.0
        assert now <= before
        before = now


@given(languages, seeds)
@settings(max_examples=25, deadline=None)
def test_a_mutated_sequence_is_rejected_or_the_code_of_what_it_decodes_to(arguments, seed):
    tokenizer, space, target = ready(arguments, pyramids(image=(1, 8, 8)))
    tokens = tokenizer(drawn(space, 1, seed))
    random = np.random.default_rng(seed)
    length = int((tokens != END).sum())
    for _ in range(20):
        changed = tokens.clone()
        changed[0, random.integers(length)] = int(random.integers(target.vocabulary))
        try:
            back = tokenizer.inverse(changed)
            target.grammar.slots(changed)  # refuses what is cut, which `inverse` reads
        except ValueError:
            continue
        if changed[0, -1] == END:  # it is complete
            assert torch.equal(tokenizer(back), changed)


@pytest.mark.parametrize("arguments", [LANGUAGES[0], LANGUAGES[2]])
@pytest.mark.parametrize("token", [UP, -1, 63, 64, 10**9])
def test_a_token_that_is_not_legal_is_named_with_its_place(arguments, token):
    tokenizer, space, target = ready(arguments)
    tokens = tokenizer(drawn(space, 3, 0))
    tokens[1, 1] = token
    for refused in (tokenizer.inverse, target.grammar.slots):
        with pytest.raises(ValueError, match=rf"row 1, column 1: token {token}; legal is .*positive"):
            refused(tokens)


def test_a_sequence_that_is_cut_reads_as_its_prefix_and_nothing_follows_its_end():
    tokenizer, space, target = ready({})
    tokens = tokenizer(drawn(space, 3, 0))
    cut = tokens.clone()
    cut[:, 9:] = END
    assert torch.equal(space.flatten(tokenizer.inverse(cut)), space.flatten(tokenizer.inverse(tokens[:, :9])))
    with pytest.raises(ValueError, match="row 0, column 9: token 7"):
        target.grammar.slots(cut)
    cut[1, 12] = tokens[1, 12]
    with pytest.raises(ValueError, match="row 1, column 12"):
        tokenizer.inverse(cut)


def test_black_and_white_and_what_bior_adds():
    white = torch.ones(1, 1, 32, 32)
    haar = WaveletTransform(FilterBank.from_pywt("haar"), levels=4)
    tokenizer, space, target = ready({}, haar.target(ImageSpace(1, 32, 32)))
    assert target.planes == 8  # LL of white is 16, exactly a threshold
    assert tokenizer(haar(white))[0, 0] == START + 7
    black = tokenizer(haar(0 * white))
    assert black[0].tolist() == [START] + [GROUP4] * 64 + [END] * (target.length - 65)
    assert not space.flatten(tokenizer.inverse(black)).any()
    bior = WaveletTransform(FilterBank.from_pywt("bior4.4"), levels=4)
    fixed = EmbeddedTokenizer(threshold=8.0)
    fixed.target(bior.target(ImageSpace(1, 32, 32)))
    with pytest.raises(DataError, match=r"size 16, and planes from T0 = 8 on hold what is below 16; set threshold"):
        fixed(bior(white))


def test_numbers_that_are_not_finite_are_refused():
    tokenizer, space, _ = ready({})
    with pytest.raises(DataError, match="finite"):
        tokenizer(space.unflatten(torch.full((1, space.numbers), math.nan)))


def test_the_uniform_threshold_is_that_of_the_data():
    tokenizer, space, _ = ready({"threshold": "uniform"})
    with pytest.raises(WavekitError, match="fit"):
        tokenizer(space.zeros(1))
    with pytest.raises(DataError, match="no images"):
        tokenizer.fit([])
    tokenizer.fit(drawn(space, 4, seed) for seed in range(3))
    assert (tokenizer(drawn(space, 4, 0))[:, 0] == START + 4).all()  # 2 = 2⁻³ 2⁴ is the power of two below the largest
    with pytest.raises(DataError, match="threshold"):
        tokenizer(space.unflatten(torch.full((1, space.numbers), 4.0)))


def test_sequences_that_are_cut_are_prefixes_and_their_walks_end():
    tokenizer, space, _ = ready({"max_tokens": 50})
    pyramid = drawn(space, 2, 0)
    tokens = tokenizer(pyramid)
    assert tokens.shape == (2, 50)
    assert torch.equal(tokens, EmbeddedTokenizer()(pyramid)[:, :50])
    tokenizer.inverse(tokens)
    walk = tokenizer.target(space).grammar.walk(2)
    for token in tokens.T:
        assert not walk.ended.any()
        walk.advance(token)
    assert walk.ended.all()
    assert walk.slots().legal.nonzero()[:, 1].tolist() == [END, END]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("wavelet", "mode"), [("haar", "periodization"), ("bior2.2", "whole-symmetric")])
def test_whole_numbers_come_back_as_the_very_pixels(channels, wavelet, mode):
    transform = WaveletTransform(FilterBank.from_pywt(wavelet), levels=3, mode=mode, norm="integer")
    image = ImageSpace(channels, 32, 48)
    tokenizer = EmbeddedTokenizer(lowest=1.0)
    tokenizer.target(transform.target(image))
    assert tokenizer.lossless
    grey = torch.randint(256, (3, *image.shape), generator=torch.Generator().manual_seed(0))
    grey[1], grey[2] = 255 * (grey[1] > 127), 255
    back = transform.inverse(tokenizer.inverse(tokenizer(transform(grey / 255))))
    assert torch.equal((back * 255).round().long(), grey)


def test_what_cannot_be_coded_is_refused_with_a_remedy():
    def refusal(space, **arguments):
        with pytest.raises(SpaceError) as found:
            EmbeddedTokenizer(**arguments).target(space)
        return str(found.value)

    assert "norm ortho" in refusal(pyramids(norm="whiten"))
    assert "lowest: 1" in refusal(pyramids(norm="integer"))
    assert "fewer levels" in refusal(pyramids(levels=3))
    assert "periodization" in refusal(pyramids("bior4.4", mode="symmetric"))
    assert "larger lowest" in refusal(pyramids(), lowest=2.0**-30)
    assert "wavelet" in refusal(ImageSpace(1, 8, 8))
    with pytest.raises(ValueError, match=r"0\.3 is no power of two; take 0\.25"):
        EmbeddedTokenizer(lowest=0.3)
    with pytest.raises(ValueError, match="below lowest"):
        EmbeddedTokenizer(threshold=0.0625)
