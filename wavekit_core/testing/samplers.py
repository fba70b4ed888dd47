"""Laws of samplers: Gaussian data come out with the right mean and covariance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wavekit_core.engine.shards import seeded
from wavekit_core.errors import RecipeError
from wavekit_core.kinds import Batch, Generator, Sampler
from wavekit_core.testing import components
from wavekit_core.testing.cases import Case, require_arguments
from wavekit_core.testing.drawing import require_elements, require_seeds
from wavekit_core.testing.elements import tensors
from wavekit_core.testing.known import KnownModel, Stranger, known_model
from wavekit_core.testing.laws import Law, NotApplicable

DRAWS = 4000
SIGMAS = 5.0  # standard errors that an estimate may be off


@dataclass(frozen=True)
class SamplerCase(Case):
    """A sampler and the known model that it draws from."""

    known: KnownModel | None = None

    def fit(self, instance: Sampler, labelled: bool = False) -> None:
        with seeded("wavekit_core.testing", "fit"):
            instance.fit(self.of.model, self.batches(labelled))
        instance.eval()

    def observe(self, instance: Sampler) -> list[Tensor]:
        if not instance.samples:
            return tensors(instance.reconstruct(self.of.model, next(iter(self.of.batches(False))).data[:3]))
        return tensors(instance.sample(self.of.model, 3))

    def batches(self, labelled: bool = False) -> Callable[[], Iterator[Batch]]:
        return lambda: iter(self.of.batches(labelled))

    @property
    def of(self) -> KnownModel:
        assert self.known is not None
        return self.known

    def sampling(self, labelled: bool = False) -> Sampler:
        """A new one, fitted; NotApplicable if it draws nothing new."""
        instance = self.build()
        if not instance.samples:
            raise NotApplicable("it draws nothing new")
        self.fit(instance, labelled)
        return instance

    def drawn(self, sampler: Sampler, count: int, labels: Tensor | None = None, seed: int = 0) -> Any:
        with torch.no_grad(), seeded("wavekit_core.testing", "draw", seed):
            return sampler.sample(self.of.model, count, labels)


def laws(
    component: type[Any],
    arguments: Sequence[Mapping[str, Any]],
    model: KnownModel | None = None,
    imports: Sequence[str] = (),
    **_: Any,
) -> Iterator[Law]:
    """With `model`, or with the kit's for the class that the sampler draws from."""
    known = model or known_model(component.draws_from)
    if known is None:
        raise RecipeError(
            f"{component.__name__} draws from {component.draws_from.__name__}s, and the kit has known models of "
            "autoencoders and denoisers alone; give model=KnownModel(…) of its own"
        )
    for one in arguments:
        require_arguments(component, one)
        case = SamplerCase(component, one, None, tuple(imports), known)
        yield from components.common(case, *LAWS, *components.LAWS)


def mean_and_covariance(case: SamplerCase) -> str | None:
    """From a model of Gaussian data it draws elements of the right mean and covariance, up to 5 standard errors of 4000 draws and
    of the data that it was fitted to.

    Both are looked at along the principal components of the data, so that a small one is not lost behind a large one.
    """
    sampler = case.sampling()
    drawn = case.of.space.flatten(case.drawn(sampler, DRAWS)).double()
    fitted = type(sampler).fit is not Sampler.fit
    share = 1 / DRAWS + (1 / case.of.count if fitted else 0)  # the variance of an estimate, as a share
    variances, directions = torch.linalg.eigh(case.of.covariance.double())
    kept = variances > 1e-9 * variances[-1]
    deviations = variances[kept].sqrt()
    unit = (drawn - case.of.mean.double()) @ directions[:, kept] / deviations  # mean 0, covariance 1
    off_mean = unit.mean(0).abs() / share**0.5
    place = int(off_mean.argmax())
    assert float(off_mean.max()) <= SIGMAS, (
        f"the mean of {DRAWS} draws is {float(unit.mean(0)[place]):.3g} standard deviations from the data's in a direction "
        f"in which those deviate by {float(deviations[place]):.3g}: off by {float(off_mean.max()):.1f} standard errors"
    )
    eye = torch.eye(len(deviations), dtype=torch.float64)
    off = (torch.cov(unit.T) - eye).abs() / ((1 + eye) * share).sqrt()
    row, column = divmod(int(off.argmax()), len(deviations))
    found, expected = float(torch.cov(unit.T)[row, column]), float(eye[row, column])
    assert float(off.max()) <= SIGMAS, (
        f"the covariance of {DRAWS} draws along two directions of unit variance is {found:.3g}, and the data's {expected:g} "
        f"(they deviate by {float(deviations[row]):.3g} and {float(deviations[column]):.3g} there): off by "
        f"{float(off.max()):.1f} standard errors"
    )
    return f"off by at most {float(off_mean.max()):.1f} and {float(off.max()):.1f} standard errors"


def classes(case: SamplerCase) -> str | None:
    """A sampler that is `conditional` draws, for each label, elements of that class's mean."""
    sampler = case.sampling(labelled=True)
    if not sampler.conditional:
        raise NotApplicable("it is not conditional")
    if case.of.class_means is None:
        raise NotApplicable("the known model has no classes")
    labels = torch.arange(DRAWS) % 2
    drawn = case.of.space.flatten(case.drawn(sampler, DRAWS, labels)).double()
    share = 2 / DRAWS + 2 / case.of.count
    worst = 0.0
    for label, mean in enumerate(case.of.class_means.double()):
        found = drawn[labels == label].mean(0)
        off = (found - mean).abs() / (case.of.covariance.double().diagonal() * share).sqrt()
        place = int(off.argmax())
        assert float(off.max()) <= SIGMAS, (
            f"asked for class {label}, the mean is {float(found[place]):.4g} in place {place}, and that of the class "
            f"{float(mean[place]):.4g}: off by {float(off.max()):.1f} standard errors"
        )
        worst = max(worst, float(off.max()))
    return f"off by at most {worst:.1f} standard errors"


def samples(case: SamplerCase) -> str | None:
    """`sample(model, n)` gives n elements of the model's space, finite and within its range, with labels and without."""
    sampler = case.sampling()
    for count in (5, 1):
        for labels in (None, torch.zeros(count, dtype=torch.int64)):
            require_elements(case.of.space, case.drawn(sampler, count, labels), count, f"sample(model, {count})")
    return None


def seeds(case: SamplerCase) -> str | None:
    """The same seed draws the same bytes, another seed others."""
    sampler = case.sampling()
    require_seeds(lambda seed: tensors(case.drawn(sampler, 4, seed=seed)))
    return None


def reconstructions(case: SamplerCase) -> str | None:
    """`reconstruct(model, data)` gives as many elements of the model's space, finite."""
    sampler = case.ready()
    if not case.of.model.reconstructs:
        raise NotApplicable("the known model does not reconstruct")
    data = next(iter(case.of.batches(False))).data
    require_elements(case.of.space, sampler.reconstruct(case.of.model, data), len(data), "reconstruct(model, data)")
    return None


def fit_twice(case: SamplerCase) -> str | None:
    """Fitting twice is fitting once: the state depends on the model and the data alone."""
    once, twice = case.ready(), case.ready()
    if type(once).fit is Sampler.fit:
        raise NotApplicable("it learns nothing")
    case.fit(twice)
    first, second = once.state_dict(), twice.state_dict()
    assert set(first) == set(second), f"the second fit adds or removes {', '.join(sorted(set(first) ^ set(second)))}"
    for name, tensor in first.items():
        components.same([tensor], [second[name]], f"the second fit to the same data gives another {name}")
    return f"{len(first)} tensors"


def model_is_kept(case: SamplerCase) -> str | None:
    """Fitting and drawing leave the model as it is."""
    model = case.of.model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.eval()
    sampler = case.ready()
    case.observe(sampler)
    changed = [name for name, tensor in model.state_dict().items() if not torch.equal(before[name], tensor)]
    model.load_state_dict(before)
    evaluating = not model.training
    model.eval()
    assert not changed, f"it changes {', '.join(changed)} of the model that it draws from"
    assert evaluating, "it leaves the model in train mode, and found it in eval mode"
    return None


def refusals(case: SamplerCase) -> str | None:
    """`refuses` accepts a model that it can draw from, says in a sentence why another one does not do, and raises nothing."""
    sampler = case.build()
    reason = sampler.refuses(case.of.model)
    assert reason is None, f"it refuses the known model: {reason}"
    if issubclass(Generator, case.component.draws_from):
        return "it draws from every generator"
    reason = sampler.refuses(Stranger(case.of.space))
    assert reason is not None, f"it takes a model that is no {case.component.draws_from.__name__}"
    said = isinstance(reason, str) and len(reason.split()) > 2
    assert said, f"it refuses with {reason!r}; say what was found and why"
    return reason


LAWS = (mean_and_covariance, classes, samples, seeds, reconstructions, fit_twice, model_is_kept, refusals)
