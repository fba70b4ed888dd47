"""Details of wavelet pyramids given their approximation: the multi-scale adversarial model and its baselines."""

from wavekit_msal_gan.diagnostics import diversity, energies, kurtosis, parent_swap
from wavekit_msal_gan.msal import MSAL
from wavekit_msal_gan.ol import OL
from wavekit_msal_gan.sl import SL

__all__ = ["MSAL", "OL", "SL", "diversity", "energies", "kurtosis", "parent_swap"]
