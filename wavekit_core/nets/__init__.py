"""Networks of denoisers: a U-Net, an MLP for a few numbers, and their sizes by name."""

from wavekit_core.nets.mlp import MLP
from wavekit_core.nets.network import Network
from wavekit_core.nets.presets import Preset, make_network
from wavekit_core.nets.unet import UNet

__all__ = ["MLP", "Network", "Preset", "UNet", "make_network"]
