"""The transformer: what it remembers, what it learns, what it says of sequences."""

from __future__ import annotations

import math

import pytest
import torch
from wavekit_ar_transformer import ARTransformer

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Batch
from wavekit_core.spaces import TokenSpace
from wavekit_core.testing import generator_suite
from wavekit_core.testing.chain import ChainSpace, MarkovChain
from wavekit_core.tokens import Greedy, MinP, Temperature, TopK, TopP

SMALL = {"width": 16, "depth": 2, "heads": 2}

test_laws = generator_suite(ARTransformer, SMALL | {"classes": 2, "lr": 1e-2}, imports=["wavekit_core.testing"])
test_laws_of_the_papers = generator_suite(
    ARTransformer,
    SMALL | {"features": "paper", "qk_norm": False, "mask": False, "lr": 1e-2},
    imports=["wavekit_core.testing"],
)

SPACE = ChainSpace(4, 6)


def model(space: TokenSpace = SPACE, **options: object) -> ARTransformer:
    torch.manual_seed(1)
    made = ARTransformer(space, **(SMALL | {"classes": 2} | options))
    with torch.no_grad():  # far from the beginning, where all tokens are about as probable
        for p in made.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return made.eval()


def sequences(count: int, seed: int = 0) -> torch.Tensor:
    every, likelihoods = MarkovChain(SPACE).likelihoods()
    made = torch.Generator().manual_seed(seed)
    return every[likelihoods.multinomial(count, replacement=True, generator=made)]


OPTIONS = [
    {},
    {"features": "paper", "qk_norm": False},
    {"next_slot": False, "positions": "learned"},
    {"positions": "none", "classes": 0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("steps", [[6], [1] * 6, [2, 1, 3]])
def test_what_is_said_place_by_place_is_what_is_said_of_the_whole(options, steps):
    made, tokens = model(**options), torch.randint(4, (3, 6))
    features, before, labels = _places(tokens), _before(tokens), torch.tensor([0, 1, -1])
    expected = _whole(made, before, features, labels)
    memory, found, at = made.remember(3, 6), [], 0
    for length in steps:
        part = slice(at, at + length)
        found.append(made.logits(before[:, part], features[:, part], labels, memory))
        at += length
    assert torch.allclose(torch.cat(found, 1), expected, atol=1e-4)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_sequences_at_places_of_their_own_are_told_the_same_as_together(options):
    made, tokens = model(**options), torch.randint(4, (4, 6))
    features, before, labels = _places(tokens), _before(tokens), torch.tensor([0, 1, -1, 1])
    expected = _whole(made, before, features, labels)
    memory, held = made.remember(4, 6), torch.zeros(4, dtype=torch.int64)
    for counts in torch.tensor([[1, 3, 0, 2], [2, 0, 1, 1], [1, 1, 1, 1], [2, 2, 3, 0], [0, 0, 1, 2]]):
        length = int(counts.max())
        at = held[:, None] + torch.arange(length)
        inside, rows = at.clamp(max=5), torch.arange(4)[:, None]
        given = before[rows, inside], features[rows, inside]
        found = made.logits(*given, labels, memory, counts)
        meant = torch.arange(length) < counts[:, None]
        assert torch.allclose(found[meant], expected[rows.expand_as(at)[meant], at[meant]], atol=1e-4)
        held += counts
    assert held.tolist() == [6, 6, 6, 6]


def test_a_memory_of_some_sequences_goes_on_as_the_whole_one():
    made, tokens = model(), torch.randint(4, (4, 6))
    features, before, labels = _places(tokens), _before(tokens), torch.tensor([0, 1, -1, 1])
    expected = _whole(made, before, features, labels)
    memory = made.remember(4, 6)
    made.logits(before[:, :3], features[:, :3], labels, memory)
    rows = torch.tensor([3, 1])
    found = made.logits(before[rows, 3:], features[rows, 3:], labels[rows], memory.keep(rows))
    assert torch.allclose(found, expected[rows, 3:], atol=1e-4)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_likelihoods_of_all_sequences_add_up_to_one(options):
    every, _ = MarkovChain(SPACE).likelihoods()
    made = model(**options)
    for label in (None, torch.ones(len(every), dtype=torch.int64)):
        nats = made.negative_log_likelihood(every, label)
        assert math.isclose(float(nats.neg().exp().sum()), 1, abs_tol=1e-5)


def test_the_parts_of_a_likelihood_add_up_to_it():
    made, tokens = model(), sequences(40)
    code, nats = made.code(tokens), made.negative_log_likelihood(tokens)
    assert torch.equal(code.nats, nats)
    assert set(code.parts) == {f"token/{t}" for t in range(4)}
    assert sum(part for part, _ in code.parts.values()) == pytest.approx(float(nats.mean()), rel=1e-5)
    counts = [float((tokens == t).sum()) / 40 for t in range(3)]
    found = [code.parts[f"token/{t}"][1] for t in range(4)]
    assert found == pytest.approx([*counts, float((tokens == 3).any(1).sum()) / 40])


def test_a_sequence_says_the_same_of_itself_beside_longer_ones():
    made = model()
    short, long = torch.tensor([[0, 3, 3, 3, 3, 3]]), torch.tensor([[0, 0, 0, 0, 0, 0]])
    alone = made.negative_log_likelihood(short)
    assert torch.allclose(made.negative_log_likelihood(torch.cat([short, long]))[:1], alone, atol=1e-5)


def test_gradients_reach_everything():
    for options in OPTIONS:
        made = model(**options).train()
        made.loss(Batch(sequences(16), torch.arange(16) % 2)).value.backward()
        assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in made.parameters())


def test_it_learns_a_chain_to_its_entropy():
    chain = MarkovChain(SPACE)
    every, likelihoods = chain.likelihoods()
    torch.manual_seed(0)
    made = ARTransformer(SPACE, width=32, depth=2, heads=2, lr=3e-3)
    objective = made.objectives()[0]
    optimizer = objective.optimizer(objective.parameters)
    for seed in range(150):
        optimizer.zero_grad()
        objective.loss(Batch(sequences(128, seed))).value.backward()
        optimizer.step()
    more = likelihoods @ made.eval().negative_log_likelihood(every).double() + likelihoods @ likelihoods.log()
    assert 0 <= float(more) < 0.05  # the divergence from the chain, in nats a sequence


def test_the_loss_counts_every_token_the_same_in_whatever_batch():
    made, tokens = model(), sequences(6)
    whole = made.loss(Batch(tokens)).value
    parts = torch.stack([made.loss(Batch(tokens[rows])).value for rows in (slice(0, 2), slice(2, 4), slice(4, 6))])
    assert torch.allclose(whole, parts.mean(), atol=1e-6)
    assert torch.allclose(whole * SPACE.length, made.negative_log_likelihood(tokens).mean(), atol=1e-5)


def test_without_the_mask_what_is_not_legal_costs_too():
    tokens = sequences(6)
    masked, free = model(), model(mask=False)
    loss = free.loss(Batch(tokens))
    assert float(loss.value) > float(masked.loss(Batch(tokens)).value)
    assert 0 < float(loss.terms["illegal"]) < 1


@pytest.mark.parametrize(
    "sampler", [Greedy(), Temperature(), Temperature(guidance=2.0), TopK(k=2), TopP(p=0.6), MinP(p=0.1)], ids=repr
)
def test_every_sample_is_legal(sampler):
    made = model()
    drawn = sampler.sample(made, 30, torch.arange(30) % 2)
    assert drawn.shape == (30, 6)
    SPACE.grammar.slots(drawn)  # raises for one that is not


def test_samples_follow_the_likelihood():
    torch.manual_seed(3)
    made, every = model(), MarkovChain(SPACE).likelihoods()[0]
    expected = made.negative_log_likelihood(every).neg().exp()
    drawn = Temperature().sample(made, 4000)
    found = (drawn[:, None] == every).all(2).float().mean(0)
    assert ((found - expected).abs() <= 5 * (expected * (1 - expected) / 4000).sqrt() + 1e-3).all()


def test_bfloat16_says_about_the_same():
    made, tokens = model(), sequences(8)
    with torch.autocast("cpu", torch.bfloat16):
        half = made.negative_log_likelihood(tokens)
        drawn = Temperature().sample(made, 20)
    assert half.dtype == torch.float32
    assert torch.allclose(half, made.negative_log_likelihood(tokens), rtol=0.1, atol=0.3)
    SPACE.grammar.slots(drawn)


def test_heads_that_do_not_fit_are_refused():
    with pytest.raises(SpaceError, match="no multiple of heads"):
        ARTransformer(SPACE, width=10, heads=3)


def _before(tokens: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.full_like(tokens[:, :1], -1), tokens[:, :-1]], 1)


def _places(tokens: torch.Tensor) -> torch.Tensor:
    return torch.arange(tokens.shape[1]).expand_as(tokens)[..., None]


def _whole(made: ARTransformer, before: torch.Tensor, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Log-odds by a plain pass over whole sequences."""
    from wavekit_ar_transformer.network import whole

    passed = torch.cat([torch.full_like(features[:, :1], -1), features[:, :-1]], 1)
    of_class = labels[:, None].expand_as(before).flatten() if made.classes else None
    rows = made.inputs.rows(before.flatten(), passed.flatten(0, 1), features.flatten(0, 1), of_class)
    with torch.no_grad():
        found = made.decoder(made.inputs(rows, made.inputs.table()), whole(torch.ones_like(before, dtype=torch.bool)))
    return found.unflatten(0, before.shape)


def test_what_a_step_costs_is_not_known_without_images():
    with torch.device("meta"):
        made = model()
    with pytest.raises(NotImplementedError, match="how many tokens images have"):
        made.loss(Batch(sequences(4).to("meta")))
