"""The core of wavekit: interfaces, registry, recipes, training and runs."""

__version__ = "0.1.0"
