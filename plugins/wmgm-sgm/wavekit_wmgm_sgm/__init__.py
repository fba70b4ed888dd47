"""Score models by an Ornstein–Uhlenbeck process: of the coarse approximation or of pixels, and of conditional details."""

from wavekit_wmgm_sgm.details import ScoreDetails
from wavekit_wmgm_sgm.model import ScoreModel

__all__ = ["ScoreDetails", "ScoreModel"]
