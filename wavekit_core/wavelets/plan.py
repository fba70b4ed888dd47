"""What is to be computed: a bank, a mode, a number of levels, a size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from wavekit_core.filters import FilterBank
from wavekit_core.wavelets.axis import analysis_matrix, synthesis_matrix
from wavekit_core.wavelets.borders import Mode, coefficient_count

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Size = tuple[int, ...]  # (H, W), or (N,) for signals


@dataclass(frozen=True)
class Plan:
    """A transform of images or signals of one size. Two operators belong to it: `split` makes bands of an image, `join`
    an image of bands.

    As it stands, they are the analysis and the synthesis. Of the transposed plan, `split` is the adjoint of the synthesis
    and `join` that of the analysis; so the gradient of either operator is the other one of the transposed plan.
    """

    bank: FilterBank
    mode: Mode
    levels: int
    size: Size
    transposed: bool = False

    def __post_init__(self) -> None:
        if why := refusal(self.bank, self.mode):
            raise ValueError(f"{why}; take bior2.2 or bior4.4, or another mode")

    @cached_property
    def sizes(self) -> tuple[Size, ...]:
        """The size of the image and, finest first, of each level's approximation (and of its stacked details)."""
        return level_sizes(self.bank, self.mode, self.levels, self.size)

    @cached_property
    def T(self) -> Plan:
        """The transposed plan."""
        return _same(replace(self, transposed=not self.transposed))

    @property
    def axes(self) -> int:
        return len(self.size)

    def split_matrix(self, size: int) -> csr_array:
        """`split` of one level along an axis of `size`: (2 · count, size), low-pass rows first."""
        if self.transposed:
            return synthesis_matrix(self.bank, self.mode, size).T.tocsr()
        return analysis_matrix(self.bank, self.mode, size)

    def join_matrix(self, size: int) -> csr_array:
        """`join` of one level along an axis of `size`: (size, 2 · count), low-pass columns first."""
        if self.transposed:
            return analysis_matrix(self.bank, self.mode, size).T.tocsr()
        return synthesis_matrix(self.bank, self.mode, size)


def level_sizes(bank: FilterBank, mode: Mode, levels: int, size: Size) -> tuple[Size, ...]:
    """`Plan.sizes`."""
    sizes = [size]
    for _ in range(levels):
        sizes.append(tuple(coefficient_count(n, bank.length, mode) for n in sizes[-1]))
    return tuple(sizes)


def refusal(bank: FilterBank, mode: Mode) -> str | None:
    """Why `bank` cannot be used in `mode`, or None if it can."""
    if mode != "whole-symmetric" or bank.whole_symmetric:
        return None
    return f"the mode whole-symmetric needs symmetric filters of odd length, or Haar's, and {bank.name} has others"


@lru_cache(maxsize=512)
def _same(plan: Plan) -> Plan:
    return plan


def plan_of(bank: FilterBank, mode: Mode, levels: int, size: Size) -> Plan:
    """The plan, and always the same object for the same arguments, so that what is derived from it is derived once."""
    return _same(Plan(bank, mode, levels, size))
