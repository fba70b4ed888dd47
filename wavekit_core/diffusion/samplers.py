"""Samplers of score and flow models: a solver, a grid, and guidance."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from wavekit_core.diffusion import solvers
from wavekit_core.diffusion.grids import GRIDS, Grid
from wavekit_core.diffusion.solvers import Callback, Denoise, Method, Noise
from wavekit_core.errors import RecipeError
from wavekit_core.kinds.denoiser import Denoiser
from wavekit_core.kinds.generator import Generator
from wavekit_core.kinds.sampler import Sampler

Steps = Annotated[int, Field(ge=1)]
Guidance = Annotated[float, Field(ge=0)]
Scale = Annotated[float, Field(gt=0)]


class DiffusionSampler(Sampler):
    """Base of the samplers that go with a `Denoiser` from noise to data. A subclass has a `solve`.

    Args:
        steps: of the solver, from the largest σ to 0.
        grid: the σ in between (`wavekit_core.diffusion.grids`).
        guidance: g ≥ 0 of classifier-free guidance (Ho & Salimans 2022): D = D_u + (1 + g) (D_c − D_u), with D_c of the label and
            D_u of none. Both are evaluated in one batch of twice the size. What is drawn without labels is not guided.
        data_scale: the process runs on data multiplied by it, so that they are larger or smaller than what the solver takes
            them for: D_s(x; σ) = s · D(x / s; σ / s).
    """

    draws_from = Denoiser

    def __init__(self, steps: Steps, grid: Grid, guidance: Guidance = 0.0, data_scale: Scale = 1.0):
        super().__init__()
        self.steps, self.grid, self.guidance, self.data_scale = steps, grid, guidance, data_scale

    @abstractmethod
    def solve(
        self, denoise: Denoise, x: Tensor, sigmas: list[float], noise: Noise, callback: Callback | None
    ) -> Tensor:
        """x at the last of `sigmas` from x at the first, as `wavekit_core.diffusion.solvers` do."""

    @property
    def stages(self) -> int:
        """Evaluations of the denoiser for one image."""
        return self.steps

    @property
    def evaluations(self) -> int:
        """Evaluations of the network for one image: with guidance two where the denoiser has one."""
        return self.stages * (2 if self.guidance else 1)

    def refuses(self, model: Generator) -> str | None:
        if reason := super().refuses(model):
            return reason
        assert isinstance(model, Denoiser)
        if self.guidance and not model.classes:
            return (
                f"guidance {self.guidance:g} goes from what no class asks for to what one does, and {type(model).__name__} "
                "knows no classes; leave guidance at 0, or train with labels"
            )
        low, high = model.sigmas
        if not low * max(1.0, self.data_scale) < high * min(1.0, self.data_scale):
            return (
                f"data_scale {self.data_scale:g} leaves no noise level that {type(model).__name__}, trained for σ from {low:g} "
                f"to {high:g}, knows; use one nearer to 1"
            )
        return None

    def sigmas(self, smallest: float, largest: float) -> list[float]:
        """The grid, `steps` + 1 values for data multiplied by `data_scale`, of a model trained from σ `smallest` to `largest`.
        Both ends are such that the model, which sees σ / `data_scale`, was trained for them."""
        scale = self.data_scale
        return GRIDS[self.grid](self.steps, smallest * max(1.0, scale), largest * min(1.0, scale))

    def draw(
        self,
        denoise: Denoise,
        seed: Tensor,
        span: tuple[float, float],
        noise: Noise = torch.randn_like,
        callback: Callback | None = None,
    ) -> Tensor:
        """Normalised elements of the form of `seed`, standard normal numbers, with D(x; σ) for σ in `span`. The callback is told
        of x, D and σ of the data themselves, whatever `data_scale`."""
        scale = self.data_scale
        sigmas = self.sigmas(*span)

        def scaled(x: Tensor, sigma: float) -> Tensor:
            return scale * denoise(x / scale, sigma / scale)

        def told(step: int, sigma: float, x: Tensor, denoised: Tensor) -> None:
            assert callback is not None
            callback(step, sigma / scale, x / scale, denoised / scale)

        x = solvers.start(seed, sigmas[0])
        return self.solve(scaled, x, sigmas, noise, told if callback else None) / scale

    @torch.no_grad()
    def sample(  # type: ignore[override]
        self, model: Denoiser, count: int, labels: Tensor | None = None, callback: Callback | None = None
    ) -> Any:
        """`count` new elements of `model.space`. `labels` (count,) ask for classes, -1 for none; models without classes ignore
        them. `callback(step, sigma, x, denoised)` sees normalised elements. Raises RecipeError for a class that the model does
        not know."""
        device = _device(model)
        guided = self.guidance > 0 and labels is not None
        denoise = _denoiser(model, _known(model, count, labels, device), self.guidance if guided else 0.0)
        return model.finished(
            self.draw(denoise, torch.randn(count, *model.shape, device=device), model.sigmas, callback=callback)
        )


class ReverseSDE(DiffusionSampler):
    """The reverse Ornstein–Uhlenbeck process by Euler and Maruyama's method, S4 Eq. 20.

    Args:
        final_noise: add noise in the last step too, as Eq. 20 has it; Algorithm 2 does not. It is never removed.
    """

    def __init__(
        self,
        steps: Steps = 64,
        grid: Grid = "quadratic",
        guidance: Guidance = 0.0,
        data_scale: Scale = 1.0,
        final_noise: bool = False,
    ):
        super().__init__(steps, grid, guidance, data_scale)
        self.final_noise = final_noise

    def solve(
        self, denoise: Denoise, x: Tensor, sigmas: list[float], noise: Noise, callback: Callback | None
    ) -> Tensor:
        return solvers.euler_maruyama(denoise, x, sigmas, noise, callback, self.final_noise)


class Ancestral(DiffusionSampler):
    """DDPM's sampler with the exact β of each step, as WSGM has it. On Gaussian data with the exact score it is better than
    `reverse-sde` from 16 steps on, and worse at 4.

    Args:
        variance: of the noise in a step: `large`, β, or `small`, the posterior's.
        final_noise: add noise in the last step too (with `large`; the posterior's variance is 0 there).
    """

    def __init__(
        self,
        steps: Steps = 64,
        grid: Grid = "quadratic",
        guidance: Guidance = 0.0,
        data_scale: Scale = 1.0,
        variance: Literal["large", "small"] = "large",
        final_noise: bool = False,
    ):
        super().__init__(steps, grid, guidance, data_scale)
        self.variance, self.final_noise = variance, final_noise

    def solve(
        self, denoise: Denoise, x: Tensor, sigmas: list[float], noise: Noise, callback: Callback | None
    ) -> Tensor:
        return solvers.ancestral(denoise, x, sigmas, noise, callback, self.final_noise, self.variance)


class DDIM(DiffusionSampler):
    """DDIM, of order 1.

    Args:
        eta: of the noise in a step: 0 for none, 1 for that of `ancestral` with the small variance.
    """

    def __init__(
        self,
        steps: Steps = 32,
        grid: Grid = "quadratic",
        guidance: Guidance = 0.0,
        data_scale: Scale = 1.0,
        eta: Annotated[float, Field(ge=0, le=1)] = 0.0,
    ):
        super().__init__(steps, grid, guidance, data_scale)
        self.eta = eta

    def solve(
        self, denoise: Denoise, x: Tensor, sigmas: list[float], noise: Noise, callback: Callback | None
    ) -> Tensor:
        return solvers.ddim(denoise, x, sigmas, noise, callback, self.eta)


class Heun(DiffusionSampler):
    """EDM's deterministic sampler, of order 2, with two evaluations a step."""

    def __init__(self, steps: Steps = 16, grid: Grid = "karras", guidance: Guidance = 0.0, data_scale: Scale = 1.0):
        super().__init__(steps, grid, guidance, data_scale)

    @property
    def stages(self) -> int:
        return solvers.stages("heun", self.steps)

    def solve(
        self, denoise: Denoise, x: Tensor, sigmas: list[float], noise: Noise, callback: Callback | None
    ) -> Tensor:
        return solvers.heun(denoise, x, sigmas, callback)


class DPMpp2M(DiffusionSampler):
    """DPM-Solver++(2M), of order 2, with one evaluation a step."""

    def __init__(self, steps: Steps = 32, grid: Grid = "log-snr", guidance: Guidance = 0.0, data_scale: Scale = 1.0):
        super().__init__(steps, grid, guidance, data_scale)

    def solve(
        self, denoise: Denoise, x: Tensor, sigmas: list[float], noise: Noise, callback: Callback | None
    ) -> Tensor:
        return solvers.dpmpp_2m(denoise, x, sigmas, callback)


class FlowODE(DiffusionSampler):
    """The ordinary differential equation of flow matching on the straight path.

    Args:
        method: Runge–Kutta method, of order 1, 2, 2 and 4 with 1, 2, 2 and 4 evaluations a step.
    """

    def __init__(
        self,
        steps: Steps = 16,
        grid: Grid = "flow",
        guidance: Guidance = 0.0,
        data_scale: Scale = 1.0,
        method: Method = "midpoint",
    ):
        super().__init__(steps, grid, guidance, data_scale)
        self.method: Method = method

    @property
    def stages(self) -> int:
        return solvers.stages(self.method, self.steps)

    def solve(
        self, denoise: Denoise, x: Tensor, sigmas: list[float], noise: Noise, callback: Callback | None
    ) -> Tensor:
        return solvers.flow_ode(denoise, x, sigmas, callback, self.method)


def _device(model: torch.nn.Module) -> torch.device | None:
    """Where the model is; None, torch's default, for one without tensors."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return None


def _known(model: Denoiser, count: int, labels: Tensor | None, device: torch.device | None) -> Tensor | None:
    """Labels as the model takes them: None for one without classes, -1 where no class is asked for."""
    if not model.classes:
        return None
    if labels is None:
        return torch.full((count,), -1, dtype=torch.int64, device=device)
    if labels.numel() and not -1 <= int(labels.min()) <= int(labels.max()) < model.classes:
        raise RecipeError(
            f"classes from {int(labels.min())} to {int(labels.max())} are asked for; the model knows 0 to "
            f"{model.classes - 1}; ask for those, or for none with -1"
        )
    return labels.to(device)


def _denoiser(model: Denoiser, labels: Tensor | None, guidance: float) -> Denoise:
    """D(x; σ) of `model` for `labels`, guided."""

    def denoise(x: Tensor, sigma: float) -> Tensor:
        return model.denoise(x, torch.full((len(x),), sigma, dtype=x.dtype, device=x.device), labels).to(x.dtype)

    if labels is None or not guidance:
        return denoise
    both = torch.cat([labels, torch.full_like(labels, -1)])

    def guided(x: Tensor, sigma: float) -> Tensor:
        level = torch.full((2 * len(x),), sigma, dtype=x.dtype, device=x.device)
        asked, free = model.denoise(torch.cat([x, x]), level, both).to(x.dtype).chunk(2)
        return free + (1 + guidance) * (asked - free)

    return guided
