"""The laws of a sampler; the suite brings a linear-Gaussian autoencoder whose data it knows."""

from wavekit_core.testing import sampler_suite

from wavekit_my_part import MyPart

test_laws = sampler_suite(MyPart)
