"""Token samplers hold to the laws of samplers, and write what the model's distribution says."""

from __future__ import annotations

import pytest
import torch

from wavekit_core.kinds import Sampler
from wavekit_core.testing import NotApplicable, laws_of, sampler_suite
from wavekit_core.testing.chain import ChainSpace, MarkovChain
from wavekit_core.testing.laws import Law
from wavekit_core.tokens import Greedy, MinP, Temperature, TopK, TopP

test_temperature_laws = sampler_suite(Temperature)
test_top_k_laws = sampler_suite(TopK, {"k": 4})
test_top_p_laws = sampler_suite(TopP, {"p": 1.0})
test_min_p_laws = sampler_suite(MinP, {"p": 0.0})

OF_CHANCE = ("mean-and-covariance", "seeds")  # greedy leaves nothing to chance


@pytest.mark.parametrize(
    "law", [law for law in laws_of(Greedy, {}) if law.name not in OF_CHANCE], ids=lambda law: law.name
)
def test_greedy_laws(law: Law) -> None:
    try:
        law.check()
    except NotApplicable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def chain() -> MarkovChain:
    return MarkovChain(ChainSpace(4, 5)).eval()


def drawn(sampler: Sampler, chain: MarkovChain, count: int, *given: object, **more: object) -> torch.Tensor:
    torch.manual_seed(6)
    return sampler.sample(chain, count, *given, **more)


def frequencies(sequences: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """How often each of `sequences` (n, L) is in `found`; none else may be."""
    same = (found[:, None] == sequences).all(2)
    assert same.any(1).all()
    return same.double().mean(0)


def test_with_temperature_1_every_sequence_comes_as_often_as_the_model_says(chain):
    for labels, label in ((None, -1), (torch.ones(20_000, dtype=torch.int64), 1)):
        sequences, expected = chain.likelihoods(label)
        found = frequencies(sequences, drawn(Temperature(), chain, 20_000, labels))
        assert ((found - expected).abs() <= 5 * (expected * (1 - expected) / 20_000).sqrt() + 1e-4).all()


def test_guidance_draws_from_the_log_odds_of_the_class_moved_away_from_those_of_none(chain):
    guided = MarkovChain(chain.space)
    guided.table[0] = 2.5 * chain.table[0] - 1.5 * chain.table[-1]
    sequences, expected = guided.likelihoods(0)
    labels = torch.zeros(20_000, dtype=torch.int64)
    found = frequencies(sequences, drawn(Temperature(guidance=1.5), chain, 20_000, labels))
    assert ((found - expected).abs() <= 5 * (expected * (1 - expected) / 20_000).sqrt() + 1e-4).all()


def test_guidance_0_is_none_and_without_labels_nothing_is_guided(chain):
    labels = torch.arange(50) % 2
    plain = drawn(Temperature(), chain, 50, labels)
    assert torch.equal(drawn(Temperature(guidance=0.0), chain, 50, labels), plain)
    assert torch.equal(drawn(Temperature(guidance=3.0), chain, 50), drawn(Temperature(), chain, 50))
    assert not torch.equal(drawn(Temperature(guidance=3.0), chain, 50, labels), plain)


def test_guidance_is_refused_for_a_model_without_classes(chain):
    plain = MarkovChain(chain.space)
    plain.classes = 0
    assert "knows no classes" in (Temperature(guidance=1.0).refuses(plain) or "")
    assert Temperature().refuses(plain) is None


def test_what_is_known_is_kept_and_everything_that_fits_it_can_come(chain):
    sequences, _ = chain.likelihoods()
    fits = (sequences[:, 1] == 2) & (sequences[:, 4] == 1)  # between them a 0, which follows a 2: a run without choice
    found = frequencies(sequences, drawn(Temperature(), chain, 20_000, known={1: 2, 4: 1}))
    assert torch.equal(found > 0, fits)


def test_where_all_is_known_the_model_is_not_asked(chain, monkeypatch):
    monkeypatch.setattr(chain, "logits", None)
    found = drawn(Temperature(), chain, 2, known=dict(enumerate([0, 1, 2, 0, 3])))
    assert found.tolist() == [[0, 1, 2, 0, 3]] * 2


def test_the_end_after_a_few_tokens_leaves_a_prefix(chain):
    whole = drawn(Temperature(), chain, 6, None)
    torch.manual_seed(6)
    part = Temperature(tokens=2).sample(chain, 6)
    assert part.shape == whole.shape
    assert (part[:, 2:] == 3).all()
    assert torch.equal(part[:, :2], whole[:, :2])


def test_previews_are_what_is_written_so_far(chain):
    seen: list[torch.Tensor] = []
    whole = drawn(Temperature(), chain, 3, callback=lambda step, stage, tokens: seen.append(tokens.clone()))
    for step, tokens in enumerate(seen):
        assert torch.equal(tokens[:, : step + 1], whole[:, : step + 1])
        assert (tokens[:, step + 1 :] == 3).all()


def test_greedy_takes_the_most_probable_token_whatever_the_seed(chain):
    first = drawn(Greedy(), chain, 3)
    torch.manual_seed(99)
    assert torch.equal(Greedy().sample(chain, 3), first)
    assert torch.equal(first[0], first[1])
    coldest = drawn(Temperature(temperature=1e-4), chain, 3)
    assert torch.equal(coldest, first)


LOGITS = torch.tensor([[0.0, 2.0, 1.0, -torch.inf, 0.5], [3.0, -torch.inf, -torch.inf, -torch.inf, 2.9]])


def test_top_k_keeps_the_most_probable():
    assert TopK(k=2).kept(LOGITS).tolist() == [[False, True, True, False, False], [True, False, False, False, True]]


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8, 0.95, 1.0])
def test_top_p_keeps_the_smallest_set_that_suffices(p):
    kept = TopP(p=p).kept(LOGITS) & LOGITS.isfinite()
    for row, logits in zip(kept, LOGITS.double(), strict=True):
        probable = logits.softmax(0)
        total = float(probable[row].sum())
        assert total >= p - 1e-6
        if row.sum() > 1:  # without the least of them it does not
            assert total - float(probable[row].min()) < p
        assert float(probable[row].min()) >= float(probable[~row].max())


def test_min_p_keeps_what_is_at_least_a_share_of_the_best():
    kept = MinP(p=0.3).kept(LOGITS)
    expected = LOGITS.softmax(1) / LOGITS.softmax(1).amax(1, keepdim=True) >= 0.3
    assert torch.equal(kept, expected)
    assert kept.sum(1).tolist() == [2, 2]


def test_what_is_not_legal_is_never_chosen_even_among_all():
    for sampler in (Temperature(5.0), TopK(k=9), TopP(p=1.0), MinP(p=0.0)):
        chosen = torch.stack([sampler.choose(LOGITS) for _ in range(200)])
        assert LOGITS.isfinite()[torch.arange(2), chosen].all()
