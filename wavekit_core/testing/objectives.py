"""Laws of generators that train: losses fall, every parameter moves, and a stopped training goes on exactly."""

from __future__ import annotations

import math

import torch

from wavekit_core.kinds import Loss
from wavekit_core.testing.generator_case import END, GeneratorCase
from wavekit_core.testing.training import difference

STOP = 3  # the step at which a training is stopped, to go on to END
FALL = 0.05  # of the first losses: what overfitting one batch has to take away


def overfits_one_batch(case: GeneratorCase) -> str | None:
    """Every objective, trained alone on one batch by the training loop, falls clearly in a bounded number of steps: by 5 %, and
    by more than chance."""
    figures, steps = [], case.steps
    for name in [objective.name for objective in case.trained().objectives()]:
        training = case.training(only=name, steps=steps, count=8, shards=1).fit().run(steps)
        losses = torch.tensor([row[f"{name}/loss"] for row in training.rows], dtype=torch.float64)
        first, last = losses[: max(2, steps // 20)], losses[-max(4, steps // 5) :]
        fall = float(first.mean() - last.mean())
        needed = max(FALL * abs(float(first.mean())), 3 * float(last.std()) / math.sqrt(len(last)))
        assert fall > needed, (
            f"the loss of {name!r} on one batch of 8 is {float(first.mean()):.4g} at first and {float(last.mean()):.4g} after "
            f"{steps} steps; a fall of more than {needed:.2g} was expected"
        )
        figures.append(f"{name} {float(first.mean()):.3g} to {float(last.mean()):.3g}")
    return ", ".join(figures)


def resumes_exactly(case: GeneratorCase) -> str | None:
    """A training that is stopped, saved and restored into a new generator ends with the same bytes as one that was not."""
    case.trained()
    straight = case.training().fit().run(END)
    saved = case.training().fit().run(STOP).files()
    resumed = case.training(seed=1).restore(saved).run(END)
    what = difference(straight.files(), resumed.files())
    assert what is None, (
        f"stopped at step {STOP} and gone on to step {END}, {what} differs from a training that was not stopped; what losses "
        "need belongs into parameters and buffers, and random numbers come from torch's global generators"
    )
    return f"{sum(map(len, saved.values()))} bytes"


def every_parameter_moves(case: GeneratorCase) -> str | None:
    """A few steps of training change every parameter that is trained."""
    case.trained()
    training = case.training(steps=END).fit()
    before = {name: p.detach().clone() for name, p in training.step.trained().items()}
    training.run(END)
    still = [name for name, p in training.step.trained().items() if torch.equal(before[name], p)]
    assert not still, (
        f"{END} steps do not change {', '.join(map(_own, still))}; freeze what is not used (requires_grad_(False))"
    )
    return f"{len(before)} parameters"


def objectives_cover_parameters(case: GeneratorCase) -> str | None:
    """Every parameter with `requires_grad` is in one objective, once; the others are frozen."""
    model = case.ready()
    names = {id(p): name for name, p in model.named_parameters()}
    seen: dict[int, str] = {}
    for objective in model.objectives():
        for p in (p for group in objective.parameters for p in group["params"]):
            who = names.get(id(p), "a parameter that is not the model's")
            assert id(p) in names, f"objective {objective.name!r} trains {who}"
            assert p.requires_grad, f"objective {objective.name!r} trains {who}, which is frozen"
            other = seen.get(id(p))
            assert other is None, f"{who} is trained by {other!r} and by {objective.name!r}, or twice; once is expected"
            seen[id(p)] = objective.name
    free = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in seen]
    assert not free, f"no objective trains {', '.join(free)}; add it to one, or freeze it with requires_grad_(False)"
    unique = [one.name for one in model.objectives()]
    assert len(set(unique)) == len(unique), f"two objectives have the same name: {', '.join(unique)}"
    frozen = sum(not p.requires_grad for p in model.parameters())
    return f"{len(seen)} trained, {frozen} frozen"


def losses(case: GeneratorCase) -> str | None:
    """Every loss is one finite number with a gradient; its terms are finite numbers with the same names in every call."""
    model = case.trained()
    model.train()
    count = 0
    for objective in model.objectives():
        names: list[str] | None = None
        for seed, size in ((0, 4), (1, 4), (0, 2)):
            loss = objective.loss(case.batch(size, seed))
            assert isinstance(loss, Loss), f"objective {objective.name!r} gives a {type(loss).__name__}, and no Loss"
            for term, value in {"loss": loss.value, **loss.terms}.items():
                value = torch.as_tensor(value)
                form = tuple(value.shape)
                assert form == (), f"{term} of {objective.name!r} has the shape {form}; one number is expected"
                assert bool(torch.isfinite(value)), f"{term} of {objective.name!r} is {float(value)} on random data"
            assert loss.value.requires_grad, f"the loss of {objective.name!r} has no gradient"
            assert names in (None, list(loss.terms)), (
                f"the terms of {objective.name!r} are {', '.join(names or [])} in one call and {', '.join(loss.terms)} in another"
            )
            names = list(loss.terms)
        count += 1
    return f"{count} objective{'s' * (count != 1)}"


def _own(name: str) -> str:
    """A parameter's name in the generator, and not in what stands around it."""
    return name.removeprefix("inner.").removeprefix("generator.")


LAWS = (overfits_one_batch, resumes_exactly, every_parameter_moves, objectives_cover_parameters, losses)
