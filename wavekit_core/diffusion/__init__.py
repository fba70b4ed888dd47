"""Sampling from score and flow models: coordinates, noise levels, solvers, samplers, and what they do to Gaussian data.

`times` bridges the three processes and the four predictions; `grids` are sequences of σ; `solvers` are pure functions of a
denoiser; `samplers` are the components made of them; `gaussian` computes what a sampler loses, exactly.
"""
