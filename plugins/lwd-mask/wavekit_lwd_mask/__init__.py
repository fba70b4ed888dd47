"""Planned: wavelet-masked latent flow matching"""
