"""Corrections and metrics of light curves."""
