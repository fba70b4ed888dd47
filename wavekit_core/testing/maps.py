"""Laws of every transform: what it gives, what comes back, and what it leaves alone."""

from __future__ import annotations

import torch

from wavekit_core.errors import SpaceError
from wavekit_core.spaces import TokenSpace
from wavekit_core.testing.components import require_reason
from wavekit_core.testing.elements import STRANGE, form_of, moved_to, name_of, off_by, row_of, tensors
from wavekit_core.testing.laws import NotApplicable, described
from wavekit_core.testing.transform_case import TransformCase

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}  # of the largest value; bior3.1 loses a few digits


def declared_space(case: TransformCase) -> str | None:
    """What it gives for batches of 0, 1 and 3 is of the space that `target` declares, and what comes back is of the source."""
    transform = case.ready()
    target = transform.target(case.space)
    assert transform.target(case.space) == target, "`target` gives another space the second time that it is asked"
    for count in (1, 3, 0):
        made = transform(case.batch(count=count))
        assert target.holds(made, count), f"a batch of {count} becomes {form_of(made)}, and {target} is declared"
        inner = getattr(made, "space", target)
        assert inner == target, f"a batch of {count} says of itself that it is of {inner}, and {target} is declared"
        back = transform.inverse(made)
        assert case.space.holds(back, count), (
            f"a batch of {count} comes back as {form_of(back)}, and not as {case.space}"
        )
    return str(target)


def reconstruction(case: TransformCase) -> str | None:
    """`inverse` after `forward` gives the batch back, in float64 and in float32, unless the class says `lossless = False`."""
    if not _says(case, "lossless"):
        raise NotApplicable("it says that it is not lossless")
    figures = []
    for dtype, tolerance in TOLERANCES.items():
        transform, x = case.at(dtype), case.batch(dtype)
        off = off_by(transform.inverse(transform(x)), x)
        assert off <= tolerance, (
            f"inverse(forward(x)) is off by {off:.2g} of the largest value in {name_of(dtype)}, at most {tolerance:.0e} is "
            "rounding; a transform that loses something says lossless = False"
        )
        figures.append(off)
    return f"off by {', '.join(f'{off:.1e}' for off in figures)}"


def projection(case: TransformCase) -> str | None:
    """What is lost is lost once: `forward` after `inverse` after `forward` gives what `forward` gave (of tokens: the same)."""
    worst = 0.0
    for dtype, tolerance in TOLERANCES.items():
        transform = case.at(dtype)
        first = transform(case.batch(dtype))
        again = transform(transform.inverse(first))
        for a, b in zip(tensors(first), tensors(again), strict=True):
            off = off_by(b, a)
            assert off <= (tolerance if a.is_floating_point() else 0), (
                f"forward(inverse(y)) is off by {off:.2g} of the largest value from y = forward(x) in {name_of(dtype)}"
                if a.is_floating_point()
                else f"encode(decode(tokens)) differs from tokens = encode(x) in {int((a != b).sum())} of {a.numel()} places"
            )
            worst = max(worst, off)
    return f"off by {worst:.1e}"


def batches(case: TransformCase) -> str | None:
    """Every element of a batch is transformed as it is alone."""
    transform, x = case.at(torch.float64), case.batch(torch.float64)
    worst = 0.0
    for which, function, data in (("forward", transform, x), ("inverse", transform.inverse, transform(x))):
        together = tensors(function(data))
        for index in range(3):
            alone = tensors(function(row_of(data, index)))
            for a, b in zip(together, alone, strict=True):
                off = off_by(b, a[index : index + 1])
                limit = 1e-10 if a.is_floating_point() else 0
                assert off <= limit, (
                    f"{which}: element {index} of a batch of 3 is off by {off:.2g} from what it is alone"
                )
                worst = max(worst, off)
    return f"off by {worst:.1e}"


def inputs_kept(case: TransformCase) -> str | None:
    """`forward` and `inverse` leave what they are given as it was."""
    transform, x = case.ready(), case.batch()
    for which, function in (("forward", transform), ("inverse", transform.inverse)):
        before = [tensor.clone() for tensor in tensors(x)]
        made = function(x)
        for a, b in zip(before, tensors(x), strict=True):
            assert torch.equal(a, b), f"{which} changes the batch that it is given; write to a new tensor"
        x = made
    return None


def no_randomness(case: TransformCase) -> str | None:
    """It draws no random numbers."""
    transform, x = case.ready(), case.batch()
    before = torch.get_rng_state()
    transform.inverse(transform(x))
    assert torch.equal(before, torch.get_rng_state()), (
        "it draws from torch's random numbers; a transform is a fixed map"
    )
    return None


def refusals(case: TransformCase) -> str | None:
    """`target` takes a space and keeps to it, or raises SpaceError with a reason; it raises nothing else."""
    taken = refused = 0
    for strange in STRANGE:
        transform = case.build()
        try:
            transform.target(strange)
        except SpaceError as error:
            require_reason(error, type(transform), strange)
            refused += 1
            continue
        except Exception as error:
            raise AssertionError(
                f"target({strange}): {described(error)}; raise SpaceError(self, reason, remedy) for what it cannot take"
            ) from error
        taken += 1
        _keeps(TransformCase(case.component, case.arguments, strange))
    return f"{taken} of {len(STRANGE)} strange spaces taken, {refused} refused"


def _keeps(case: TransformCase) -> None:
    try:
        case.batch()
    except (TypeError, NotApplicable):
        return  # there are no elements of that space
    try:
        declared_space(case)
    except Exception as error:
        found = str(error) if isinstance(error, AssertionError) else described(error)
        raise AssertionError(f"target takes {case.space}, but then {found}") from error


def dtype(case: TransformCase) -> str | None:
    """float32 stays float32 and float64 stays float64, both ways."""
    for one in TOLERANCES:
        transform, x = case.at(one), case.batch(one)
        made = transform(x)
        for which, data in (("forward", made), ("inverse", transform.inverse(made))):
            wrong = sorted({name_of(t.dtype) for t in tensors(data) if t.is_floating_point() and t.dtype != one})
            assert not wrong, f"{which} of {name_of(one)} gives {', '.join(wrong)}"
    return None


def device(case: TransformCase) -> str | None:
    """The result is on the batch's device: CPU, meta (which has sizes alone), and CUDA where there is one, with the same
    numbers."""
    devices = ["meta", *(["cuda"] if torch.cuda.is_available() else [])]
    expected = case.at(torch.float64)(case.batch(torch.float64))
    for name in devices:
        transform = case.at(torch.float64).to(name)
        made = transform(moved_to(case.batch(torch.float64), name))
        for which, data in (("forward", made), ("inverse", transform.inverse(made))):
            wrong = sorted({t.device.type for t in tensors(data)} - {name})
            assert not wrong, f"{which} of a batch on {name} gives one on {', '.join(wrong)}"
        for a, b in zip(tensors(expected), tensors(made), strict=True):
            assert a.shape == b.shape, f"forward gives {tuple(b.shape)} on {name}, and {tuple(a.shape)} on the CPU"
            assert name == "meta" or off_by(b.cpu(), a) <= 1e-9, (
                f"forward on {name} is off by {off_by(b.cpu(), a):.2g} from the CPU"
            )
    return f"cpu, {', '.join(devices)}"


def _says(case: TransformCase, what: str) -> bool:
    """A declaration of the transform (`lossless`, `linear`), of its class or of the instance; true where it says nothing."""
    return bool(getattr(case.ready(), what, True)) and not (
        what == "lossless" and isinstance(case.target(), TokenSpace)
    )


LAWS = (declared_space, reconstruction, projection, batches, inputs_kept, no_randomness, refusals)
NUMBERS = (dtype, device)
