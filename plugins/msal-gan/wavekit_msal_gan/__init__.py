"""Planned: multi-scale adversarial model of wavelet details"""
