"""A transform that keeps every law, and for each law one that breaks it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wavekit_core.errors import SpaceError
from wavekit_core.kinds import Transform
from wavekit_core.spaces import ImageSpace


class Doubled(Transform):
    """Images of twice the values."""

    def target(self, source):
        if not isinstance(source, ImageSpace):
            raise SpaceError(self, f"takes images, and is given {source}", "put it where the images are")
        return dataclasses.replace(source, low=2 * source.low, high=2 * source.high)

    def forward(self, x: Tensor) -> Tensor:
        return x * 2

    def inverse(self, y: Tensor) -> Tensor:
        return y / 2


class NothingFromNothing(Doubled):
    def forward(self, x):
        return super().forward(x) if len(x) else x.flatten()


class WithoutTheLastRow(Doubled):
    def forward(self, x):
        return torch.cat([2 * x[..., :-1, :], torch.zeros_like(x[..., -1:, :])], -2)


class Fading(Doubled):
    lossless = False

    def inverse(self, y):
        return 0.45 * y


class BatchCentred(Doubled):
    lossless = False

    def forward(self, x):
        return 2 * (x - x.mean(0))


class InPlace(Doubled):
    def forward(self, x):
        made = x * 2
        x.data.mul_(1 + (1e-13 if x.dtype == torch.float64 else 1e-6))
        return made


class Dicing(Doubled):
    def forward(self, x):
        torch.rand(1)
        return super().forward(x)


class Rude(Doubled):
    def target(self, source):
        if not isinstance(source, ImageSpace):
            raise ValueError("no image")
        return super().target(source)


class Silent(Doubled):
    def target(self, source):
        if not isinstance(source, ImageSpace):
            raise SpaceError(self, "no")
        return super().target(source)


class Bent(Doubled):
    def forward(self, x):
        return x.sinh()

    def inverse(self, y):
        return y.asinh()


class _InverseAsGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g / 2


class InverseAsGradient(Doubled):
    """The mistake of a well-known library."""

    def forward(self, x):
        return _InverseAsGradient.apply(x)


@dataclass(frozen=True)
class Coefficients(ImageSpace):
    orthonormal: bool = True


class Loud(Doubled):
    def target(self, source):
        doubled = super().target(source)
        return Coefficients(*doubled.shape, doubled.low, doubled.high)


class AlwaysDouble(Doubled):
    def forward(self, x):
        return x.double() * 2


class ReadsValues(Doubled):
    def forward(self, x):
        return x * 2 if float(x.detach().abs().sum()) >= 0 else x


class _WrongSinh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sinh()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].sinh()


class WrongSinh(Bent):
    linear = False

    def forward(self, x):
        return _WrongSinh.apply(x)


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        return g * 2


class Once(Doubled):
    def forward(self, x):
        return _Once.apply(x)


class Cut(Doubled):
    linear = False

    def forward(self, x):
        return 2 * x.detach()


class Counting(Doubled):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return 2 * x * (1 + 1e-6 * self.calls * (x.dtype == torch.float32))


class Forgetful(Doubled):
    def __init__(self):
        super().__init__()
        self.shift = 0.0

    def fit(self, batches):
        self.shift = float(torch.cat(list(batches)).mean())

    def forward(self, x):
        return 2 * (x - self.shift)

    def inverse(self, y):
        return y / 2 + self.shift


class Unpicklable(Doubled):
    def __init__(self):
        super().__init__()
        self.double = lambda x: 2 * x


class Reader(Doubled):
    def __init__(self):
        super().__init__()
        self.factor = torch.ones(()).item()


class Eager(Doubled):
    def __init__(self):
        super().__init__()
        self.register_buffer("factor", torch.full((1,), 2.0, device="cpu"))


class Factor:
    pass


FACTOR = Factor()


class NoRecipe(Doubled):
    """A parameter that no recipe can hold."""

    def __init__(self, factor: Factor = FACTOR):
        super().__init__()


class Sized(Doubled):
    """Right, with parameters."""

    def __init__(self, size: int, taps: tuple[float, ...] = (1.0, 2.0)):
        super().__init__()
        self.register_buffer("taps", torch.tensor(taps))

    def target(self, source):
        if not isinstance(source, ImageSpace):
            raise SpaceError(self, f"takes images, and is given {source}", "put it where the images are")
        if source.height % 24:
            raise SpaceError(self, f"{source} is not divisible by 24", "use other sizes", at="size")
        return super().target(source)


class WrongPlace(Sized):
    def target(self, source):
        if not isinstance(source, ImageSpace):
            raise SpaceError(self, f"takes images, and is given {source}", at="level")
        return Doubled.target(self, source)


BROKEN = [  # the class, the laws that it breaks, the first of them the one that it is made for, and words of what is said
    (NothingFromNothing, ["declared-space", "refusals"], r"a batch of 0 becomes float32 \(0,\), and images"),
    (WithoutTheLastRow, ["reconstruction"], r"inverse\(forward\(x\)\) is off by .* says lossless = False"),
    (Fading, ["projection"], r"forward\(inverse\(y\)\) is off by 0.1 of the largest value"),
    (BatchCentred, ["batches"], "forward: element 0 of a batch of 3 is off by .* from what it is alone"),
    (InPlace, ["inputs-kept"], "forward changes the batch that it is given"),
    (Dicing, ["no-randomness"], "draws from torch's random numbers"),
    (Rude, ["refusals"], r"target\(16 tokens|target\(.*\): ValueError is raised: no image; raise SpaceError"),
    (Silent, ["refusals"], "is refused with 'no'; say what was found"),
    (Bent, ["linearity", "adjointness"], r"forward\(2.5 x − 0.75 y\) is off by .* says linear = False"),
    (InverseAsGradient, ["adjointness", "gradients"], "⟨W x, y⟩ = .* with the gradient as Wᵀ"),
    (Loud, ["energy"], "declared orthonormal, and the energy changes by a factor of 4"),
    (AlwaysDouble, ["dtype"], "forward of float32 gives float64"),
    (ReadsValues, ["device"], "where device is checked"),
    (WrongSinh, ["gradients"], "forward: the gradient is not that of finite differences"),
    (Cut, ["gradients", "second-gradients"], "forward: no gradient passes through; it is cut off"),
    (Once, ["second-gradients"], "forward: the gradient of the gradient is not"),
    (Counting, ["determinism", "copies"], "other bytes the second time"),
    (Forgetful, ["state"], "what was learned belongs into buffers"),
    (Unpicklable, ["copies"], "it cannot be pickled"),
    (Reader, ["no-tensor-is-read"], "built on the meta device, .* may use the sizes of a tensor and nothing else"),
    (Eager, ["no-tensor-is-read"], "it keeps real numbers in factor"),
    (NoRecipe, ["recipe"], "cannot represent an object.* where recipe is checked"),
]
