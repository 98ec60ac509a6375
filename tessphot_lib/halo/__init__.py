"""Halo photometry of saturated stars."""
