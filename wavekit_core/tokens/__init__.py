"""Samplers of models that write tokens."""

from wavekit_core.tokens.samplers import Greedy, MinP, Temperature, TokenSampler, TopK, TopP

__all__ = ["Greedy", "MinP", "Temperature", "TokenSampler", "TopK", "TopP"]
