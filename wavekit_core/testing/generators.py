"""Laws of generators: that they train, go on exactly, and give what their space says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from wavekit_core.component import Component, signature_of
from wavekit_core.engine.shards import seeded
from wavekit_core.errors import RecipeError, SpaceError
from wavekit_core.kinds import Autoencoder, Denoiser, DetailGenerator, DetailSpace, Generator
from wavekit_core.spaces import ImageSpace, Space, TokenSpace
from wavekit_core.testing import components, objectives
from wavekit_core.testing.cases import require_arguments
from wavekit_core.testing.drawing import require_elements, require_seeds
from wavekit_core.testing.elements import CLASSES, STRANGE, pyramid_space, tensors
from wavekit_core.testing.generator_case import GeneratorCase
from wavekit_core.testing.laws import Law, NotApplicable, described

SPACES = (  # the first that a generator takes is the one that it is checked on
    *(ImageSpace(1, 8, 8), ImageSpace(1, 16, 16), ImageSpace(3, 32, 32), ImageSpace(1, 64, 64)),
    *(pyramid_space(ImageSpace(1, 8, 8)), TokenSpace(16, 12)),
    DetailSpace(pyramid_space(ImageSpace(1, 16, 16)), (1,)),
)


def laws(
    component: type[Any],
    arguments: Sequence[Mapping[str, Any]],
    spaces: Sequence[Space] | None = None,
    steps: int = 100,
    imports: Sequence[str] = (),
    **_: Any,
) -> Iterator[Law]:
    """On `spaces`, or on the first of the kit's that the generator takes."""

    for one in arguments:
        require_arguments(component, one)
        for space in spaces or [_taken(component, one)]:
            case = GeneratorCase(component, one, space, tuple(imports), steps)
            yield from components.common(case, *objectives.LAWS, *LAWS, *components.LAWS)


def _taken(component: type[Any], arguments: Mapping[str, Any]) -> Space:
    accepted = _accepted(component)
    refusal = ""
    for space in SPACES:
        if not isinstance(space, accepted):
            continue
        try:
            GeneratorCase(component, arguments, space).build()
        except SpaceError as error:
            refusal = str(error)
            continue
        except Exception:
            pass  # the laws say what is wrong
        return space
    raise RecipeError(
        f"{GeneratorCase(component, arguments)} takes none of the spaces of a check ({refusal or 'of another class'}); "
        "give spaces of its own"
    )


def _accepted(component: type[Any]) -> tuple[type[Space], ...]:
    port = signature_of(component).port  # type: ignore[arg-type]
    if port is None:
        raise RecipeError(
            f"{component.__name__} has no space port: a generator's first parameter is the space that it models"
        )
    return port[1]


def samples(case: GeneratorCase) -> str | None:
    """`sample(n)` gives n elements of the space, finite and within its range, with labels and without."""
    model = _sampling(case)
    for count in (5, 1):
        for labels in (None, torch.arange(count) % CLASSES):
            with torch.no_grad(), seeded("wavekit_core.testing", "samples"):
                require_elements(case.space, model.sample(count, labels), count, f"sample({count})")
    return "conditional" if model.conditional else None


def seeds(case: GeneratorCase) -> str | None:
    """The same seed draws the same bytes, another seed others."""
    model = _sampling(case)

    def drawn(seed: int) -> list[Tensor]:
        with torch.no_grad(), seeded("wavekit_core.testing", "seeds", seed):
            return tensors(model.sample(4))

    require_seeds(drawn)
    return None


def sampling_changes_nothing(case: GeneratorCase) -> str | None:
    """Drawing and reconstructing leave parameters and buffers as they are."""
    model = case.ready()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    case.observe(model)
    changed = [name for name, tensor in model.state_dict().items() if not _equal(before[name], tensor)]
    assert not changed, f"{', '.join(changed)} changes when the model is used in its eval mode"
    return None


def reconstructions(case: GeneratorCase) -> str | None:
    """`reconstruct` gives as many elements of the space, finite."""
    model = case.ready()
    if not model.reconstructs:
        raise NotApplicable("it does not reconstruct")
    for count in (3, 1):
        with torch.no_grad():
            require_elements(case.space, model.reconstruct(case.batch(count).data), count, "reconstruct", bounded=False)
    return None


def likelihood(case: GeneratorCase) -> str | None:
    """`negative_log_likelihood` gives one finite number an element, (B,)."""
    model = case.ready()
    if not model.has_likelihood:
        raise NotApplicable("it has no likelihood")
    with torch.no_grad():
        nats = model.negative_log_likelihood(case.batch(3).data)
    assert tuple(nats.shape) == (3,), f"the likelihood of 3 elements has the shape {tuple(nats.shape)}, not (3,)"
    assert bool(torch.isfinite(nats).all()), f"the likelihood of random data is {nats.tolist()}"
    return f"{float(nats.mean()):.4g} nats"


def latent(case: GeneratorCase) -> str | None:
    """An autoencoder's posterior has every band of its latent, its noise scales are above 0, and `decode` needs drawn bands
    alone."""
    model = case.ready()
    if not isinstance(model, Autoencoder):
        raise NotApplicable("it is no autoencoder")
    with torch.no_grad():
        state = model.encode(case.batch(3).data)
        assert state.space == model.latent, f"its posterior is of {state.space}, and the latent is {model.latent}"
        for part, bands in (("mean", state.mean), ("scale", state.scale), ("sample", state.sample)):
            assert set(bands) == set(model.latent.names()), (
                f"the {part} of its posterior has the bands {', '.join(bands)}, and the latent {', '.join(model.latent.names())}"
            )
            for band in model.latent.bands:
                form, value = (3, *band.shape), bands[band.name]
                fits = tuple(value.shape) == form if part != "scale" else _broadcasts(value, form)
                assert fits, f"the {part} of {band.name} has the shape {tuple(value.shape)}, and {form} is expected"
                assert bool(torch.isfinite(value).all()), f"the {part} of {band.name} is not finite"
                assert part != "scale" or bool((value > 0).all()), f"the noise scale of {band.name} is not above 0"
        drawn = {name: state.sample[name] for name in model.latent.names(drawn=True)}
        require_elements(case.space, model.decode(drawn), 3, "decode", bounded=False)
    return str(model.latent)


def denoising(case: GeneratorCase) -> str | None:
    """A denoiser gives finite elements from the smallest to the largest noise that it was trained for, with labels where it knows
    classes, and at the smallest almost what it is given."""
    model = case.ready()
    if not isinstance(model, Denoiser):
        raise NotApplicable("it is no denoiser")
    low, high = model.sigmas
    assert 0 < low < high, f"its sigmas are {low} and {high}; the smallest is above 0 and below the largest"
    x = torch.randn(3, *model.shape)
    labels = torch.tensor([0, model.classes - 1, -1]) if model.classes else None
    with torch.no_grad():
        for sigma in (low, math.sqrt(low * high), high):
            found = model.denoise(sigma * x, torch.full((3,), sigma), labels)
            assert found.shape == x.shape, f"denoise gives {tuple(found.shape)} for {tuple(x.shape)}"
            assert bool(torch.isfinite(found).all()), f"denoise at σ = {sigma:g} is not finite"
        off = float((model.denoise(x, torch.full((3,), low), labels) - x).abs().max())
    assert off <= 20 * low, f"at its smallest σ, {low:g}, it changes elements by up to {off:.3g}; a few σ are expected"
    return f"σ from {low:g} to {high:g}"


def details(case: GeneratorCase) -> str | None:
    """A detail generator that draws by itself gives finite details of every level of its space, the same for the same seed."""
    model = case.ready()
    if not isinstance(model, DetailGenerator):
        raise NotApplicable("it generates no details")
    if not model.draws:
        raise NotApplicable("it draws details with a sampler")
    for level, approx in zip(model.space.levels, case.batch(3).data.approximations, strict=True):

        def drawn(seed: int, level: int = level, approx: Tensor = approx) -> Tensor:
            with torch.no_grad(), seeded("wavekit_core.testing", "details", seed):
                return model.draw(approx, level, torch.arange(3) % CLASSES)

        form = (3, model.space.channels, 3, *model.space.size(level))
        found = drawn(0)
        assert tuple(found.shape) == form, (
            f"the details of level {level} have the shape {tuple(found.shape)}, not {form}"
        )
        assert bool(torch.isfinite(found).all()), f"the details of level {level} are not finite"
        assert torch.equal(found, drawn(0)), f"the details of level {level} differ for the same seed"
    return f"levels {', '.join(map(str, model.space.levels))}"


def refusals(case: GeneratorCase) -> str | None:
    """A space of its port's class is modelled, or refused by the constructor with SpaceError and a reason; it raises nothing
    else."""
    taken = refused = 0
    for strange in (one for one in STRANGE if isinstance(one, _accepted(case.component))):
        try:
            model = case.build(strange)
        except SpaceError as error:
            if isinstance(error.component, Component):
                components.require_reason(error, type(error.component), strange)
            refused += 1
            continue
        except Exception as error:
            raise AssertionError(
                f"built for {strange}: {described(error)}; raise SpaceError(self, reason, remedy) for what it cannot model"
            ) from error
        other = GeneratorCase(case.component, case.arguments, strange)
        try:
            _keeps(other, model)
        except NotApplicable:
            continue
        except Exception as error:
            found = str(error) if isinstance(error, AssertionError) else described(error)
            raise AssertionError(f"it is built for {strange}, but then {found}") from error
        taken += 1
    return f"{taken} strange spaces taken, {refused} refused"


def _keeps(case: GeneratorCase, model: Generator) -> None:
    """Raise unless a model that was built for a space works on it."""
    case.fit(model)
    for objective in model.objectives():
        value = objective.loss(case.batch(4)).value.detach()
        assert bool(torch.isfinite(value)), f"the loss of {objective.name!r} is {float(value)} on random data"
    with torch.no_grad():
        if model.samples:
            require_elements(case.space, model.sample(2), 2, "sample(2)")
        if model.reconstructs:
            require_elements(case.space, model.reconstruct(case.batch(2).data), 2, "reconstruct", bounded=False)


def _sampling(case: GeneratorCase) -> Generator:
    model = case.ready()
    if not model.samples:
        raise NotApplicable("it does not sample by itself; samplers draw from it")
    return model


def _broadcasts(value: Tensor, form: tuple[int, ...]) -> bool:
    try:
        return tuple(torch.broadcast_shapes(value.shape, form)) == form
    except RuntimeError:
        return False


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(
        (a.eq(b) | (a.isnan() & b.isnan())).all() if a.is_floating_point() else a.eq(b).all()
    )


LAWS = (
    *(samples, seeds, sampling_changes_nothing, reconstructions, likelihood, latent, denoising, details),
    refusals,
)
