"""Planned: score-based model of the coarse wavelet band"""
