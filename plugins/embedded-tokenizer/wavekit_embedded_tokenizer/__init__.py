"""Planned: embedded bit-plane tokens of wavelet coefficients"""
