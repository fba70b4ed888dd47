"""Positive learnable scales: the latent's noise s and the likelihood's sigma."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FLOOR = 1e-4
Form = Literal["softplus", "log"]


def positive(raw: Tensor, form: Form = "softplus", floor: float = FLOOR) -> Tensor:
    """`softplus`: softplus(raw) + floor; its slope is bounded, so one bad batch cannot blow a scale up. `log`: exp(raw), in
    which the evidence bound's −log s is linear."""
    return F.softplus(raw) + floor if form == "softplus" else raw.exp()


def raw_of(value: float, form: Form = "softplus", floor: float = FLOOR) -> float:
    """The number that `positive` sends to `value` > 0, or to just above the floor."""
    if form == "log":
        return math.log(value)
    above = max(value - floor, 1e-6)
    return above + math.log(-math.expm1(-above))


class Scale(nn.Module):
    """`count` positive scales, all starting at `init`; `fixed` ones are not trained."""

    def __init__(
        self, count: int, init: float, fixed: bool = False, floor: float = FLOOR, form: Form = "softplus"
    ) -> None:
        super().__init__()
        self.floor, self.form = floor, form
        rho = torch.full((count,), raw_of(init, form, floor))
        if fixed:
            self.register_buffer("rho", rho)
        else:
            self.rho = nn.Parameter(rho)

    def forward(self) -> Tensor:
        """(count,)"""
        return positive(self.rho, self.form, self.floor)
