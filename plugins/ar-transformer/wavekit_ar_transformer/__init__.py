"""Planned: autoregressive transformer over wavelet tokens"""
